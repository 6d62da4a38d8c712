/**
 * Writer of GGUF: lays out the header of a file, version 3, and streams the tensors behind it.
 *
 * It refuses to know what fields and tensors mean. Tensors begin at multiples of 32 bytes, the format's default.
 * Format: ggml's docs/gguf.md; the reader is gguf.ts.
 */

import { type GgufType, ggufTypes } from "../tensor/gguf-types.ts";
import { elementCount } from "../tensor/shape.ts";

/** Is a value of the metadata; whole numbers are written with 32 bits. */
export type WrittenGgufField =
  | { readonly type: "uint32" | "float32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "int32s"; readonly value: readonly number[] };

/** Is the metadata of a file, in its order. */
export type WrittenGgufFields = Readonly<Record<string, WrittenGgufField>>;

/** Is a tensor to be written. */
export interface WrittenGgufTensor {
  readonly name: string;
  readonly type: GgufType;
  /** Outermost first, as everywhere here. */
  readonly shape: readonly number[];
  /** Returns its bytes, when it is its turn. */
  read(): Promise<Uint8Array>;
}

/** The format's numbers of value types. */
const valueTypes = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;
const version = 3;
const alignmentBytes = 32;

/** Collects the pieces of a header. */
class HeaderWriter {
  readonly #pieces: Uint8Array[] = [];
  sizeBytes = 0;

  bytes(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.sizeBytes += bytes.length;
  }

  #number(sizeBytes: number, set: (view: DataView) => void): void {
    const bytes = new Uint8Array(sizeBytes);
    set(new DataView(bytes.buffer));
    this.bytes(bytes);
  }

  uint32(value: number): void {
    this.#number(4, (view) => view.setUint32(0, value, true));
  }

  int32(value: number): void {
    this.#number(4, (view) => view.setInt32(0, value, true));
  }

  float32(value: number): void {
    this.#number(4, (view) => view.setFloat32(0, value, true));
  }

  uint64(value: number): void {
    this.#number(8, (view) => view.setBigUint64(0, BigInt(value), true));
  }

  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.uint64(bytes.length);
    this.bytes(bytes);
  }

  array(type: "string" | "int32", length: number): void {
    this.uint32(valueTypes.array);
    this.uint32(valueTypes[type]);
    this.uint64(length);
  }

  field(field: WrittenGgufField): void {
    if (field.type === "strings") {
      this.array("string", field.value.length);
      for (const text of field.value) this.string(text);
    } else if (field.type === "int32s") {
      this.array("int32", field.value.length);
      for (const value of field.value) this.int32(value);
    } else {
      this.uint32(valueTypes[field.type]);
      if (field.type === "string") this.string(field.value);
      else if (field.type === "bool") this.bytes(Uint8Array.of(field.value ? 1 : 0));
      else this[field.type](field.value);
    }
  }

  join(): Uint8Array {
    const joined = new Uint8Array(this.sizeBytes);
    let offset = 0;
    for (const piece of this.#pieces) {
      joined.set(piece, offset);
      offset += piece.length;
    }
    return joined;
  }
}

function paddingOf(sizeBytes: number): number {
  return (alignmentBytes - (sizeBytes % alignmentBytes)) % alignmentBytes;
}

function tensorBytes({ type, shape }: WrittenGgufTensor): number {
  const { blockSize, blockBytes } = ggufTypes[type];
  return (elementCount(shape) / blockSize) * blockBytes;
}

function writeHeader(fields: WrittenGgufFields, tensors: readonly WrittenGgufTensor[]): Uint8Array {
  const out = new HeaderWriter();
  out.bytes(new TextEncoder().encode("GGUF"));
  out.uint32(version);
  out.uint64(tensors.length);
  out.uint64(Object.keys(fields).length);
  for (const [key, field] of Object.entries(fields)) {
    out.string(key);
    out.field(field);
  }
  let offset = 0;
  for (const tensor of tensors) {
    out.string(tensor.name);
    out.uint32(tensor.shape.length);
    for (const extent of tensor.shape.toReversed()) out.uint64(extent);
    out.uint32(ggufTypes[tensor.type].id);
    out.uint64(offset);
    const sizeBytes = tensorBytes(tensor);
    offset += sizeBytes + paddingOf(sizeBytes);
  }
  out.bytes(new Uint8Array(paddingOf(out.sizeBytes)));
  return out.join();
}

/** Writes a file as a stream, one tensor in memory at a time. */
export async function* streamGguf(
  fields: WrittenGgufFields,
  tensors: readonly WrittenGgufTensor[],
): AsyncGenerator<Uint8Array, void, void> {
  yield writeHeader(fields, tensors);
  for (const tensor of tensors) {
    const bytes = await tensor.read();
    yield bytes;
    yield new Uint8Array(paddingOf(bytes.length));
  }
}
