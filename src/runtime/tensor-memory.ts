/**
 * Where the state of a stream lies between runs: on the host, or in the memory of a device.
 *
 * A buffer is a row of elements that graphs are fed from, and that takes in what they give, by stretches. What
 * is done to it happens in the order asked for, and before any later run. It refuses to know what the state means.
 */

import { InternalError } from "../errors.ts";
import { dtypeArrays, dtypeSizeBytes } from "../tensor/dtype.ts";
import { decodeFloat16, encodeFloat16 } from "../tensor/half-float.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { elementCount, type StaticShape, sameShape } from "../tensor/shape.ts";

/** Names an element type that state can be held in. */
export type StateDType = "float32" | "float16";

/** Is a tensor in the memory of a device. */
export interface DeviceTensor {
  readonly dtype: HostTensor["dtype"];
  readonly shape: StaticShape;
  /** The device's own handle, from its beginning. */
  readonly buffer: object;
  /** Lets its memory go, after what was asked for so far. */
  release(): void;
}

/** Is a tensor wherever it lies. */
export type Tensor = HostTensor | DeviceTensor;

/** Is a run of elements to copy. */
export interface Stretch {
  /** First element in the source. */
  readonly from: number;
  /** First element in the target. */
  readonly to: number;
  readonly length: number;
}

/** Is a row of elements that state lives in. It begins as zeros. */
export interface TensorBuffer {
  readonly dtype: StateDType;
  /** Elements. */
  readonly length: number;
  readonly sizeBytes: number;
  /** Views the first elements as a tensor, to feed a graph. */
  tensor(shape: StaticShape): Tensor;
  /** Copies stretches within the buffer; none may begin where an earlier one has written. */
  move(stretches: readonly Stretch[]): void;
  /** Takes stretches in: of a tensor of the buffer's dtype, or of numbers. */
  write(source: Tensor | Float32Array, stretches: readonly Stretch[]): void;
  /** Gives stretches out, as one array in which they lie at `to`. */
  read(stretches: readonly Stretch[]): Promise<Float32Array>;
  /** Makes an independent copy, longer if so wished. */
  clone(length?: number): TensorBuffer;
  /** Lets the memory go. */
  release(): void;
}

/** Is a memory that state can live in. */
export interface TensorMemory {
  /** Makes a buffer of zeros. @throws {@link OutOfMemoryError} when it is larger than the memory can have. */
  allocate(length: number, dtype?: StateDType): TensorBuffer;
  /**
   * Waits until all buffers asked for are there.
   * @throws {@link OutOfMemoryError} when one could not be had.
   */
  ready(): Promise<void>;
}

/** Tells whether a tensor lies on the host. */
export function isHostTensor(tensor: Tensor): tensor is HostTensor {
  return "data" in tensor;
}

/** Returns the float32 elements of a tensor on the host. @throws {@link InternalError} for any other. */
export function hostFloats(tensor: Tensor | undefined, name: string): Float32Array {
  if (tensor !== undefined && isHostTensor(tensor) && tensor.data instanceof Float32Array) return tensor.data;
  const got =
    tensor === undefined ? "nothing" : `${tensor.dtype}${isHostTensor(tensor) ? "" : " on a device"}`;
  throw new InternalError({ where: name, what: "not a tensor on the host", got, expected: "float32" });
}

/** Returns tensors for who can only read those on the host. @throws {@link InternalError} for any other. */
export function hostTensors(tensors: Readonly<Record<string, Tensor>>): Record<string, HostTensor> {
  const found: Record<string, HostTensor> = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    if (!isHostTensor(tensor)) {
      throw new InternalError({
        where: name,
        what: "the tensor lies on a device",
        expected: "one on the host",
      });
    }
    found[name] = tensor;
  }
  return found;
}

/** Lets go of the tensors that a run left on a device. */
export function releaseTensors(tensors: Readonly<Record<string, Tensor>>): void {
  for (const tensor of Object.values(tensors)) if (!isHostTensor(tensor)) tensor.release();
}

/** Returns the length of an array that holds all stretches. */
export function endOf(stretches: readonly Stretch[]): number {
  return stretches.reduce((end, { to, length }) => Math.max(end, to + length), 0);
}

/** Returns the elements of a source in the form that a buffer of that dtype stores. */
export function storedForm(source: HostTensor | Float32Array, dtype: StateDType): Float32Array | Uint16Array {
  const isNumbers = source instanceof Float32Array;
  const data = isNumbers ? source : source.data;
  if (dtype === "float32" && data instanceof Float32Array) return data;
  if (dtype === "float16" && data instanceof Float32Array) return encodeFloat16(data);
  if (!isNumbers && dtype === "float16" && source.dtype === "float16" && data instanceof Uint16Array)
    return data;
  const got = isNumbers ? "numbers" : source.dtype;
  throw new InternalError({ where: "state", what: "the elements do not fit", got, expected: dtype });
}

class HostBuffer implements TensorBuffer {
  readonly dtype: StateDType;
  readonly #data: Float32Array | Uint16Array;
  /** The last view: runs follow one another with the same one. */
  #view: HostTensor | undefined;

  constructor(dtype: StateDType, data: Float32Array | Uint16Array) {
    this.dtype = dtype;
    this.#data = data;
  }

  get length(): number {
    return this.#data.length;
  }

  get sizeBytes(): number {
    return this.length * dtypeSizeBytes(this.dtype);
  }

  tensor(shape: StaticShape): HostTensor {
    if (this.#view === undefined || !sameShape(this.#view.shape, shape)) {
      this.#view = hostTensor(this.dtype, shape, this.#data.subarray(0, elementCount(shape)) as Float32Array);
    }
    return this.#view;
  }

  move(stretches: readonly Stretch[]): void {
    for (const { from, to, length } of stretches) this.#data.copyWithin(to, from, from + length);
  }

  write(source: Tensor | Float32Array, stretches: readonly Stretch[]): void {
    if (!(source instanceof Float32Array) && !isHostTensor(source)) {
      throw new InternalError({ where: "state", what: "a tensor on a device came to the host" });
    }
    const data = storedForm(source, this.dtype);
    for (const { from, to, length } of stretches) this.#data.set(data.subarray(from, from + length), to);
  }

  async read(stretches: readonly Stretch[]): Promise<Float32Array> {
    const packed = new dtypeArrays[this.dtype](endOf(stretches));
    for (const { from, to, length } of stretches) packed.set(this.#data.subarray(from, from + length), to);
    return packed instanceof Uint16Array ? decodeFloat16(packed) : packed;
  }

  clone(length: number = this.length): HostBuffer {
    const data = new dtypeArrays[this.dtype](length);
    data.set(this.#data);
    return new HostBuffer(this.dtype, data);
  }

  release(): void {}
}

/** Is the memory of the process itself: feeding from it copies nothing. */
export const hostMemory: TensorMemory = {
  allocate: (length, dtype = "float32") => new HostBuffer(dtype, new dtypeArrays[dtype](length)),
  ready: () => Promise.resolve(),
};
