/**
 * Writes GGUF files (version 3, little-endian): metadata of every value type, tensors of any type, split files.
 *
 * It knows the format alone and shares nothing with the reader under test. Fields can be set to what no sane
 * writer would write, for tests of bad input.
 * Format: ggml's docs/gguf.md.
 */

/** Gives the number of each metadata value type. */
const ggufValueTypes = {
  uint8: 0,
  int8: 1,
  uint16: 2,
  int16: 3,
  uint32: 4,
  int32: 5,
  float32: 6,
  bool: 7,
  string: 8,
  array: 9,
  uint64: 10,
  int64: 11,
  float64: 12,
} as const;

/** Names a metadata value type that is not an array. */
export type GgufScalarType = Exclude<keyof typeof ggufValueTypes, "array">;

/** Is a metadata value with its type. */
export type GgufField =
  | { readonly type: GgufScalarType; readonly value: number | bigint | boolean | string }
  | { readonly type: "array"; readonly of: "array"; readonly value: readonly GgufField[] }
  | {
      readonly type: "array";
      readonly of: GgufScalarType;
      readonly value: readonly (number | bigint | boolean | string)[];
    };

/** Is the metadata of a file, in its order. */
export type GgufFields = Readonly<Record<string, GgufField>>;

/** Gives the number, the elements of a block and the bytes of a block of each tensor type that can be written. */
export const ggufTensorTypes = {
  f32: { id: 0, blockSize: 1, blockBytes: 4 },
  f16: { id: 1, blockSize: 1, blockBytes: 2 },
  q4_0: { id: 2, blockSize: 32, blockBytes: 18 },
  q4_1: { id: 3, blockSize: 32, blockBytes: 20 },
  q5_0: { id: 6, blockSize: 32, blockBytes: 22 },
  q5_1: { id: 7, blockSize: 32, blockBytes: 24 },
  q8_0: { id: 8, blockSize: 32, blockBytes: 34 },
  q4_k: { id: 12, blockSize: 256, blockBytes: 144 },
  q5_k: { id: 13, blockSize: 256, blockBytes: 176 },
  q6_k: { id: 14, blockSize: 256, blockBytes: 210 },
  bf16: { id: 30, blockSize: 1, blockBytes: 2 },
} as const;

/** Names a tensor type. */
export type GgufTensorType = keyof typeof ggufTensorTypes;

/** Describes a tensor to be written. */
export interface GgufTensorPlan {
  readonly name: string;
  readonly type: GgufTensorType;
  /** Outermost first, as everywhere here; the file has it the other way round. */
  readonly shape: readonly number[];
  /** What the file says instead of the truth, for tests of bad input. */
  readonly claims?: {
    readonly typeId?: number;
    readonly offset?: bigint;
    readonly extents?: readonly bigint[];
  };
}

/** Is a tensor with its bytes. */
export interface GgufTensor extends GgufTensorPlan {
  readonly data: Uint8Array;
}

/** Says what is unusual about a file. */
export interface GgufFileOptions {
  /** Default 32, which needs no field in the metadata; others get one. */
  readonly alignment?: number;
  /** Default 3. */
  readonly version?: number;
  /** What the header claims instead of the truth. */
  readonly claims?: { readonly tensorCount?: bigint; readonly fieldCount?: bigint };
}

/** Returns the bytes of a tensor. */
function ggufTensorBytes({ type, shape }: Pick<GgufTensorPlan, "type" | "shape">): number {
  const { blockSize, blockBytes } = ggufTensorTypes[type];
  return (shape.reduce((product, extent) => product * extent, 1) / blockSize) * blockBytes;
}

/** Collects bytes, growing as needed. */
class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  #reserve(count: number): number {
    const start = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(2 * this.#length);
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return start;
  }

  bytes(bytes: Uint8Array): void {
    // Reserving may replace the array: it comes first.
    const start = this.#reserve(bytes.length);
    this.#bytes.set(bytes, start);
  }

  uint32(value: number): void {
    this.#at(4, (view, start) => view.setUint32(start, value, true));
  }

  uint64(value: number | bigint): void {
    this.#at(8, (view, start) => view.setBigUint64(start, BigInt(value), true));
  }

  string(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.uint64(bytes.length);
    this.bytes(bytes);
  }

  scalar(type: GgufScalarType, value: number | bigint | boolean | string): void {
    const number = Number(value);
    const write: Record<GgufScalarType, () => void> = {
      string: () => this.string(String(value)),
      uint64: () => this.uint64(BigInt(value as bigint)),
      int64: () => this.uint64(BigInt.asUintN(64, BigInt(value as bigint))),
      uint8: () => this.#at(1, (view, start) => view.setUint8(start, number)),
      int8: () => this.#at(1, (view, start) => view.setInt8(start, number)),
      uint16: () => this.#at(2, (view, start) => view.setUint16(start, number, true)),
      int16: () => this.#at(2, (view, start) => view.setInt16(start, number, true)),
      uint32: () => this.#at(4, (view, start) => view.setUint32(start, number, true)),
      int32: () => this.#at(4, (view, start) => view.setInt32(start, number, true)),
      float32: () => this.#at(4, (view, start) => view.setFloat32(start, number, true)),
      float64: () => this.#at(8, (view, start) => view.setFloat64(start, number, true)),
      bool: () => this.#at(1, (view, start) => view.setUint8(start, number)),
    };
    write[type]();
  }

  #at(count: number, write: (view: DataView, start: number) => void): void {
    const start = this.#reserve(count);
    write(this.#view, start);
  }

  pad(alignment: number): void {
    this.#reserve((alignment - (this.#length % alignment)) % alignment);
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }
}

function writeField(out: ByteWriter, field: GgufField, withType: boolean): void {
  if (withType) out.uint32(ggufValueTypes[field.type]);
  if (field.type !== "array") {
    out.scalar(field.type, field.value);
    return;
  }
  out.uint32(ggufValueTypes[field.of]);
  out.uint64(field.value.length);
  if (field.of === "array") for (const inner of field.value) writeField(out, inner, false);
  else for (const value of field.value) out.scalar(field.of, value);
}

const roundUp = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment;

/** Is where everything goes in a file that is yet to be written. */
export interface GgufPlan {
  /** The file's first bytes, padded up to the first tensor. */
  readonly head: Uint8Array<ArrayBuffer>;
  /** Bytes of zeros after each tensor. */
  readonly paddings: readonly number[];
}

/** Plans a file for tensors whose bytes come later, in the order given. */
function planGguf(
  fields: GgufFields,
  tensors: readonly GgufTensorPlan[],
  { alignment = 32, version = 3, claims = {} }: GgufFileOptions = {},
): GgufPlan {
  const all: GgufFields =
    alignment === 32 ? fields : { ...fields, "general.alignment": { type: "uint32", value: alignment } };
  const out = new ByteWriter();
  out.bytes(new TextEncoder().encode("GGUF"));
  out.uint32(version);
  out.uint64(claims.tensorCount ?? tensors.length);
  out.uint64(claims.fieldCount ?? Object.keys(all).length);
  for (const [key, field] of Object.entries(all)) {
    out.string(key);
    writeField(out, field, true);
  }
  let offset = 0;
  const paddings: number[] = [];
  for (const tensor of tensors) {
    out.string(tensor.name);
    const extents = tensor.claims?.extents ?? tensor.shape.toReversed();
    out.uint32(extents.length);
    for (const extent of extents) out.uint64(extent);
    out.uint32(tensor.claims?.typeId ?? ggufTensorTypes[tensor.type].id);
    out.uint64(tensor.claims?.offset ?? offset);
    const lengthBytes = ggufTensorBytes(tensor);
    const end = roundUp(lengthBytes, alignment);
    paddings.push(end - lengthBytes);
    offset += end;
  }
  out.pad(alignment);
  return { head: out.finish(), paddings };
}

/** Writes a file as a stream: the tensors' bytes are asked for one by one, in their order. */
export async function* streamGguf<Plan extends GgufTensorPlan>(
  fields: GgufFields,
  tensors: readonly Plan[],
  read: (tensor: Plan) => Promise<Uint8Array>,
  options: GgufFileOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  const { head, paddings } = planGguf(fields, tensors, options);
  yield head;
  for (const [index, tensor] of tensors.entries()) {
    yield await read(tensor);
    yield new Uint8Array(paddings[index] ?? 0);
  }
}

/** Joins pieces of bytes. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Writes a file into memory. */
export function writeGguf(
  fields: GgufFields,
  tensors: readonly GgufTensor[],
  options: GgufFileOptions = {},
): Uint8Array<ArrayBuffer> {
  const { head, paddings } = planGguf(fields, tensors, options);
  const parts = tensors.flatMap(({ data }, index) => [data, new Uint8Array(paddings[index] ?? 0)]);
  return joinBytes([head, ...parts]);
}

/** Writes the tensors as several files, as llama.cpp's gguf-split names and numbers them. */
export function writeSplitGguf(
  prefix: string,
  fields: GgufFields,
  groups: readonly (readonly GgufTensor[])[],
): Record<string, Uint8Array<ArrayBuffer>> {
  const number = (value: number) => String(value).padStart(5, "0");
  const total = groups.reduce((sum, group) => sum + group.length, 0);
  const files = groups.map((group, index) => {
    const split: GgufFields = {
      "split.no": { type: "uint16", value: index },
      "split.count": { type: "uint16", value: groups.length },
      "split.tensors.count": { type: "int32", value: total },
    };
    const name = `${prefix}-${number(index + 1)}-of-${number(groups.length)}.gguf`;
    return [name, writeGguf(index === 0 ? { ...fields, ...split } : split, group)] as const;
  });
  return Object.fromEntries(files);
}
