/**
 * State in the memory of a GPU, through WebGPU: rows are copied there, and never come to the host but to be saved.
 *
 * Copies are gathered in one command encoder and handed over together, before anything that must come after them.
 * The device is the one that the runtime computes on, so that its queue keeps everything in order.
 */

import { InternalError, OutOfMemoryError } from "../errors.ts";
import { dtypeSizeBytes } from "../tensor/dtype.ts";
import { decodeFloat16 } from "../tensor/half-float.ts";
import type { StaticShape } from "../tensor/shape.ts";
import {
  type DeviceTensor,
  endOf,
  isHostTensor,
  type StateDType,
  type Stretch,
  storedForm,
  type Tensor,
  type TensorBuffer,
  type TensorMemory,
} from "./tensor-memory.ts";

/** ONNX Runtime's shaders read four numbers at a time: a last vector that is not whole would read as other numbers. */
const vectorBytes = 16;

/** `GPUBufferUsage` and `GPUMapMode`, which are globals only where there is WebGPU. */
const usages = { mapRead: 1, copySource: 4, copyTarget: 8, storage: 128 } as const;
const mapModeRead = 1;

class WebgpuBuffer implements TensorBuffer {
  readonly dtype: StateDType;
  readonly length: number;
  readonly #memory: WebgpuMemory;
  readonly #buffer: GPUBuffer;

  constructor(memory: WebgpuMemory, buffer: GPUBuffer, dtype: StateDType, length: number) {
    this.#memory = memory;
    this.#buffer = buffer;
    this.dtype = dtype;
    this.length = length;
  }

  get sizeBytes(): number {
    return this.#bytes(this.length);
  }

  #bytes(elements: number): number {
    return elements * dtypeSizeBytes(this.dtype);
  }

  #copy(from: GPUBuffer, to: GPUBuffer, stretches: readonly Stretch[]): void {
    const { encoder } = this.#memory;
    for (const stretch of stretches) {
      const length = this.#bytes(stretch.length);
      if (length > 0)
        encoder.copyBufferToBuffer(from, this.#bytes(stretch.from), to, this.#bytes(stretch.to), length);
    }
  }

  tensor(shape: StaticShape): DeviceTensor {
    this.#memory.submit();
    return { dtype: this.dtype, shape, buffer: this.#buffer, release: () => {} };
  }

  move(stretches: readonly Stretch[]): void {
    const end = Math.max(0, ...stretches.map(({ from, length }) => from + length));
    if (end === 0) return;
    // A copy within one buffer is not allowed: by way of another, then.
    const scratch = this.#memory.scratch(this.#bytes(end));
    this.#copy(this.#buffer, scratch, [{ from: 0, to: 0, length: end }]);
    this.#copy(scratch, this.#buffer, stretches);
  }

  write(source: Tensor | Float32Array, stretches: readonly Stretch[]): void {
    if (source instanceof Float32Array || isHostTensor(source)) {
      this.#memory.submit();
      const data = storedForm(source, this.dtype);
      for (const { from, to, length } of stretches) {
        const part = data.slice(from, from + length);
        this.#memory.device.queue.writeBuffer(this.#buffer, this.#bytes(to), part);
      }
      return;
    }
    if (source.dtype !== this.dtype || !(source.buffer instanceof GPUBuffer)) {
      const { dtype: got } = source;
      throw new InternalError({ where: "state", what: "the elements do not fit", got, expected: this.dtype });
    }
    this.#copy(source.buffer, this.#buffer, stretches);
  }

  async read(stretches: readonly Stretch[]): Promise<Float32Array> {
    const length = endOf(stretches);
    if (length === 0) return new Float32Array(0);
    const staging = this.#memory.createBuffer(this.#bytes(length), usages.mapRead | usages.copyTarget);
    try {
      this.#copy(this.#buffer, staging, stretches);
      this.#memory.submit();
      await staging.mapAsync(mapModeRead);
      const bytes = staging.getMappedRange().slice(0, this.#bytes(length));
      return this.dtype === "float16" ? decodeFloat16(new Uint16Array(bytes)) : new Float32Array(bytes);
    } finally {
      staging.destroy();
    }
  }

  clone(length: number = this.length): WebgpuBuffer {
    const twin = this.#memory.allocate(length, this.dtype);
    this.#copy(this.#buffer, twin.#buffer, [{ from: 0, to: 0, length: this.length }]);
    return twin;
  }

  release(): void {
    this.#memory.submit();
    this.#buffer.destroy();
  }
}

/** Is the memory of one WebGPU device. */
export class WebgpuMemory implements TensorMemory {
  readonly device: GPUDevice;
  #encoder: GPUCommandEncoder | undefined;
  #scratch: GPUBuffer | undefined;
  #allocations: Promise<GPUError | null>[] = [];

  /** @param device the one that the runtime computes on. */
  constructor(device: GPUDevice) {
    this.device = device;
  }

  /** What copies are written into, until {@link WebgpuMemory.submit}. */
  get encoder(): GPUCommandEncoder {
    this.#encoder ??= this.device.createCommandEncoder();
    return this.#encoder;
  }

  /** Hands over the copies written so far. */
  submit(): void {
    if (this.#encoder === undefined) return;
    this.device.queue.submit([this.#encoder.finish()]);
    this.#encoder = undefined;
  }

  /** Gives room for at least that many bytes, for copies that follow at once. */
  scratch(sizeBytes: number): GPUBuffer {
    if (this.#scratch !== undefined && this.#scratch.size >= sizeBytes) return this.#scratch;
    this.submit();
    this.#scratch?.destroy();
    this.#scratch = this.createBuffer(sizeBytes, usages.copySource | usages.copyTarget);
    return this.#scratch;
  }

  /** Creates a buffer of zeros. @throws {@link OutOfMemoryError} when the device has none so large. */
  createBuffer(sizeBytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.device.limits;
    const limitBytes = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    const size = Math.max(1, Math.ceil(sizeBytes / vectorBytes)) * vectorBytes;
    if (size > limitBytes) throw outOfMemory(`${size} bytes in one buffer`, `at most ${limitBytes} bytes`);
    this.device.pushErrorScope("out-of-memory");
    const buffer = this.device.createBuffer({ size, usage });
    this.#allocations.push(this.device.popErrorScope());
    return buffer;
  }

  allocate(length: number, dtype: StateDType = "float32"): WebgpuBuffer {
    const usage = usages.storage | usages.copySource | usages.copyTarget;
    const buffer = this.createBuffer(length * dtypeSizeBytes(dtype), usage);
    return new WebgpuBuffer(this, buffer, dtype, length);
  }

  async ready(): Promise<void> {
    if (this.#allocations.length === 0) return;
    const allocations = this.#allocations;
    this.#allocations = [];
    const failure = (await Promise.all(allocations)).find((error) => error !== null);
    if (failure !== undefined) throw outOfMemory(failure.message, "room on the device");
  }
}

function outOfMemory(got: string, expected: string): OutOfMemoryError {
  return new OutOfMemoryError({
    where: "WebGPU",
    what: "the device has no memory for the state",
    got,
    expected,
    remedy: "Choose smaller context settings, or dispose of other sessions.",
  });
}
