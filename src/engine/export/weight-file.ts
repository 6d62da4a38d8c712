/**
 * One file with the constants of several graphs: each once, 16-bit floats widened to float32.
 *
 * Where constants were stretches of checkpoint files, they become stretches of this one, at multiples of a page, so
 * that it can be mapped. It is written as a stream.
 */

import { type ByteSource, memoryByteSource } from "../../files/byte-source.ts";
import type { Graph } from "../../graph/graph.ts";
import { rewriteGraph } from "../../graph/rewrite.ts";
import { type DType, dtypeSizeBytes } from "../../tensor/dtype.ts";
import { decodeBfloat16, decodeFloat16 } from "../../tensor/half-float.ts";

/** The alignment that ONNX recommends for external data, in bytes. */
const pageBytes = 4096;
/** Bytes that are read and widened at a time. */
const chunkBytes = 4 * 1024 * 1024;

const decoders: Partial<Record<DType, (halves: Uint16Array) => Float32Array>> = {
  bfloat16: decodeBfloat16,
  float16: decodeFloat16,
};

function storedDType(dtype: DType): DType {
  return decoders[dtype] === undefined ? dtype : "float32";
}

/** Is a stretch of a checkpoint's file and where it goes. */
interface Stretch {
  readonly source: ByteSource;
  readonly offset: number;
  readonly lengthBytes: number;
  readonly dtype: DType;
  /** Bytes from the beginning of the new file. */
  readonly to: number;
  /** Bytes in the new file. */
  readonly sizeBytes: number;
}

/** Is a file of constants that is yet to be written. */
export interface WeightFile {
  readonly sizeBytes: number;
  /** Gives the bytes of the file. */
  stream(signal?: AbortSignal): AsyncGenerator<Uint8Array, void, void>;
  /**
   * Points a graph's constants at the file, and makes its integer inputs int32: devices without 64 bits are many,
   * and no index needs them.
   */
  relocate(graph: Graph): Graph;
}

async function* streamStretch(stretch: Stretch, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const { source, offset, lengthBytes, dtype } = stretch;
  const decode = decoders[dtype];
  for (let done = 0; done < lengthBytes; done += chunkBytes) {
    signal?.throwIfAborted();
    const bytes = await source.read(offset + done, Math.min(chunkBytes, lengthBytes - done), signal);
    if (decode === undefined) {
      yield bytes;
      continue;
    }
    // The copy is aligned, which the file's bytes need not be.
    const { buffer, byteLength } = decode(new Uint16Array(bytes.slice().buffer));
    yield new Uint8Array(buffer, 0, byteLength);
  }
}

class PlannedWeightFile implements WeightFile {
  readonly #source: ByteSource;
  readonly #stretches = new Map<ByteSource, Map<string, Stretch>>();
  #sizeBytes = 0;

  constructor(name: string) {
    this.#source = memoryByteSource(name, new Uint8Array());
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  add(graph: Graph): void {
    for (const { value, data } of graph.initializers) {
      if (data.kind === "inline") continue;
      const { source, offset, lengthBytes } = data.external;
      const known = this.#stretches.get(source) ?? new Map<string, Stretch>();
      this.#stretches.set(source, known);
      const key = `${offset}+${lengthBytes}`;
      if (known.has(key)) continue;
      const { dtype } = value;
      const to = Math.ceil(this.#sizeBytes / pageBytes) * pageBytes;
      const sizeBytes = (lengthBytes / dtypeSizeBytes(dtype)) * dtypeSizeBytes(storedDType(dtype));
      known.set(key, { source, offset, lengthBytes, dtype, to, sizeBytes });
      this.#sizeBytes = to + sizeBytes;
    }
  }

  async *stream(signal?: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    const stretches = [...this.#stretches.values()].flatMap((known) => [...known.values()]);
    let position = 0;
    for (const stretch of stretches.sort((a, b) => a.to - b.to)) {
      if (stretch.to > position) yield new Uint8Array(stretch.to - position);
      yield* streamStretch(stretch, signal);
      position = stretch.to + stretch.sizeBytes;
    }
  }

  relocate(graph: Graph): Graph {
    return rewriteGraph(graph, {
      input: ({ builder }, { name, dtype, shape }) =>
        dtype === "int64" ? builder.input(name, "int32", shape) : undefined,
      initializer: ({ builder }, { value, data }) => {
        if (data.kind === "inline") return undefined;
        const { source, offset, lengthBytes } = data.external;
        const stretch = this.#stretches.get(source)?.get(`${offset}+${lengthBytes}`);
        if (stretch === undefined) return undefined;
        const external = { source: this.#source, offset: stretch.to, lengthBytes: stretch.sizeBytes };
        return builder.external(value.name, storedDType(value.dtype), value.shape.map(Number), external);
      },
      node({ isOutput }, { op, outputs }, inputs) {
        const [input] = inputs;
        const [output] = outputs;
        const isCast = op === "Cast" && input !== undefined && output !== undefined;
        // What was widened in the graph is float32 in the file.
        return isCast && input.dtype === output.dtype && !isOutput(output) ? [input] : undefined;
      },
    });
  }
}

/** Plans a file for the constants of graphs that lie in other files; equal stretches are one. */
export function planWeightFile(name: string, graphs: readonly Graph[]): WeightFile {
  const file = new PlannedWeightFile(name);
  for (const graph of graphs) file.add(graph);
  return file;
}
