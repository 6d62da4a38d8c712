/**
 * Reader of safetensors: parses the header of a checkpoint file and says where each tensor's bytes lie.
 *
 * Every field is validated before it is used, as the reference implementation does: the ranges must cover
 * the file without gap or overlap. It reads no tensor bytes unless asked, and refuses to know what the tensors mean.
 * Format: 8 bytes header length (little-endian), JSON header, tensor bytes (huggingface/safetensors).
 */

import { InvalidModelError } from "../errors.ts";
import { type DType, type DTypeArray, dtypeArrays, dtypeSizeBytes } from "../tensor/dtype.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import type { ByteSource } from "./byte-source.ts";
import { refuseForeignFormat } from "./foreign-formats.ts";
import { findJsonFault } from "./json-outline.ts";

/** Bounds what a header may hold; a file beyond them is refused before memory is spent on it. */
export const safetensorsLimits: {
  readonly headerBytes: number;
  readonly nestingDepth: number;
  readonly rank: number;
} = {
  /** The reference implementation's limit, in bytes. */
  headerBytes: 100_000_000,
  /** A shape lies in a tensor, which lies in the header: three levels. */
  nestingDepth: 3,
  /** The most dimensions of a tensor. */
  rank: 32,
};

/** Maps the format's element types to ours. */
export const safetensorsDTypes: Readonly<Record<string, DType>> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  I64: "int64",
  I32: "int32",
  I8: "int8",
  U8: "uint8",
  BOOL: "bool",
};

/** Says where one tensor of a checkpoint lies, and what it is. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** The file that holds it. */
  readonly source: ByteSource;
  /** The first byte, counted from the start of the file. */
  readonly offset: number;
  readonly lengthBytes: number;
}

/** Is a parsed header. */
export interface SafetensorsHeader {
  /** The `__metadata__` member: free text by name. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The tensors by name, in the order of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

const fetchAgain = "The file is damaged or not safetensors: fetch it again, or convert it.";

async function readHeaderLength(source: ByteSource, signal: AbortSignal | undefined): Promise<number> {
  if (source.sizeBytes < 8) {
    throw new InvalidModelError({
      where: source.name,
      what: "the file is too short for a safetensors header",
      got: `${source.sizeBytes} bytes`,
      expected: "at least 8 bytes",
      remedy: fetchAgain,
    });
  }
  const prefix = await source.read(0, 8, signal);
  refuseForeignFormat(source.name, prefix, "a safetensors file");
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  const roomBytes = Math.min(safetensorsLimits.headerBytes, source.sizeBytes - 8);
  if (length > BigInt(roomBytes) || length < 2n) {
    const reason = roomBytes < safetensorsLimits.headerBytes ? "the file's own length" : "the limit";
    throw new InvalidModelError({
      where: source.name,
      what: "the header length is impossible",
      got: `${length} bytes`,
      expected: `2 to ${roomBytes} bytes (${reason})`,
      remedy: fetchAgain,
    });
  }
  return Number(length);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseHeaderJson(where: string, bytes: Uint8Array): Record<string, unknown> {
  const fail = (what: string, got: unknown, expected: string, cause?: unknown): InvalidModelError =>
    new InvalidModelError({ where, what, got, expected, remedy: fetchAgain, cause });
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw fail("the header is not UTF-8", "invalid bytes", "UTF-8 text", error);
  }
  if (!text.startsWith("{")) throw fail("the header is not a JSON object", text.slice(0, 16), "{…}");
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw fail("the header is not JSON", text.slice(0, 40), "a JSON object", error);
  }
  const fault = findJsonFault(text, safetensorsLimits.nestingDepth);
  if (fault?.kind === "too-deep") {
    throw fail("the header nests too deep", fault.depth, `at most ${safetensorsLimits.nestingDepth} levels`);
  }
  if (fault?.kind === "duplicate-name") {
    throw fail("the header names something twice", fault.name, "each name once");
  }
  if (!isRecord(parsed)) throw fail("the header is not a JSON object", typeof parsed, "{…}");
  return parsed;
}

function parseMetadata(where: string, value: unknown): Record<string, string> {
  if (value === undefined) return {};
  const entries: [string, string][] = [];
  for (const [name, text] of isRecord(value) ? Object.entries(value) : [["", value] as const]) {
    if (!isRecord(value) || typeof text !== "string") {
      throw new InvalidModelError({
        where: `${where}: __metadata__`,
        what: name === "" ? "the metadata is malformed" : `the value of ${JSON.stringify(name)} is malformed`,
        got: text === null ? "null" : typeof text,
        expected: "an object of strings",
        remedy: fetchAgain,
      });
    }
    entries.push([name, text]);
  }
  return Object.fromEntries(entries);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0);
}

/** Multiplies extents; undefined when the product is beyond what a number holds exactly. */
function checkedProduct(extents: readonly number[]): number | undefined {
  let product = 1;
  for (const extent of extents) {
    product *= extent;
    if (!Number.isSafeInteger(product)) return undefined;
  }
  return product;
}

interface TensorPlace {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function parseTensor(where: string, value: unknown, dataBytes: number): TensorPlace {
  const fail = (what: string, got: unknown, expected: string): InvalidModelError =>
    new InvalidModelError({ where, what, got, expected, remedy: fetchAgain });
  if (!isRecord(value)) throw fail("the entry is malformed", value, "{dtype, shape, data_offsets}");
  const { dtype: dtypeName, shape, data_offsets: offsets } = value;
  const dtype =
    typeof dtypeName === "string" && Object.hasOwn(safetensorsDTypes, dtypeName)
      ? safetensorsDTypes[dtypeName]
      : undefined;
  if (dtype === undefined) {
    throw new InvalidModelError({
      where,
      what: "the element type is not supported",
      got: dtypeName,
      expected: `one of ${Object.keys(safetensorsDTypes).join(", ")}`,
      remedy: "Use a checkpoint saved in one of these.",
    });
  }
  if (!Array.isArray(shape) || !shape.every(isCount) || shape.length > safetensorsLimits.rank) {
    throw fail("the shape is malformed", shape, `at most ${safetensorsLimits.rank} whole numbers from 0`);
  }
  const [begin, end]: unknown[] = Array.isArray(offsets) ? offsets : [];
  if (!Array.isArray(offsets) || offsets.length !== 2 || !isCount(begin) || !isCount(end) || begin > end) {
    throw fail("data_offsets is malformed", offsets, "[begin, end], whole numbers from 0, in order");
  }
  if (end > dataBytes) throw fail("the bytes lie outside the file", offsets, `within [0, ${dataBytes}]`);
  const lengthBytes = checkedProduct([...shape, dtypeSizeBytes(dtype)]);
  if (lengthBytes === undefined) {
    throw fail("the shape overflows", shape, `at most ${Number.MAX_SAFE_INTEGER} bytes`);
  }
  if (lengthBytes !== end - begin) {
    throw fail(
      `the bytes do not fill shape [${shape.join(", ")}] of ${dtypeName}`,
      `${end - begin} bytes`,
      `${lengthBytes} bytes`,
    );
  }
  return { dtype, shape, begin, end };
}

/** Checks that tensors, in the order of their bytes, lie end to end from 0 to `dataBytes`. */
function assertContiguous(
  where: string,
  places: readonly (readonly [string, TensorPlace])[],
  dataBytes: number,
): void {
  let end = 0;
  for (const [name, place] of places) {
    if (place.begin !== end) {
      throw new InvalidModelError({
        where: `${where}: tensor ${JSON.stringify(name)}`,
        what: place.begin < end ? "its bytes overlap another tensor's" : "there is a gap before its bytes",
        got: `a start at ${place.begin}`,
        expected: `${end}`,
        remedy: fetchAgain,
      });
    }
    end = place.end;
  }
  if (end !== dataBytes) {
    throw new InvalidModelError({
      where,
      what: "bytes at the end belong to no tensor",
      got: `${dataBytes} bytes of data`,
      expected: `${end}, as the header says`,
      remedy: fetchAgain,
    });
  }
}

/**
 * Parses the header of a safetensors file; reads nothing else of it.
 * @param source - the file; every entry refers to it, so keep it open while entries are read.
 * @throws {@link InvalidModelError} when the header is damaged, with the file's and the tensor's name.
 */
export async function parseSafetensorsHeader(
  source: ByteSource,
  signal?: AbortSignal,
): Promise<SafetensorsHeader> {
  const headerBytes = await readHeaderLength(source, signal);
  const header = parseHeaderJson(source.name, await source.read(8, headerBytes, signal));
  const dataOffset = 8 + headerBytes;
  const dataBytes = source.sizeBytes - dataOffset;
  const { __metadata__: metadata, ...members } = header;
  const places = Object.entries(members).map(
    ([name, value]) =>
      [name, parseTensor(`${source.name}: tensor ${JSON.stringify(name)}`, value, dataBytes)] as const,
  );
  places.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  assertContiguous(source.name, places, dataBytes);
  const tensors = new Map<string, TensorEntry>();
  for (const [name, { dtype, shape, begin, end }] of places) {
    const offset = dataOffset + begin;
    tensors.set(name, { name, dtype, shape, source, offset, lengthBytes: end - begin });
  }
  return { metadata: parseMetadata(source.name, metadata), tensors };
}

/**
 * Reads one tensor into host memory.
 * @returns a tensor of the entry's dtype and shape; its data may share the source's memory: do not write to it.
 * @throws {@link FileError} when the file cannot be read.
 */
export async function readTensor(entry: TensorEntry, signal?: AbortSignal): Promise<HostTensor> {
  const bytes = await entry.source.read(entry.offset, entry.lengthBytes, signal);
  const widthBytes = dtypeSizeBytes(entry.dtype);
  // Typed arrays want their own alignment, which a file in memory need not have.
  const aligned = bytes.byteOffset % widthBytes === 0 ? bytes : bytes.slice();
  return viewTensor(entry.dtype, entry.shape, aligned);
}

function viewTensor<D extends DType>(dtype: D, shape: readonly number[], bytes: Uint8Array): HostTensor<D> {
  const length = bytes.byteLength / dtypeSizeBytes(dtype);
  const data: DTypeArray[D] = new dtypeArrays[dtype](bytes.buffer, bytes.byteOffset, length);
  return hostTensor(dtype, shape, data);
}
