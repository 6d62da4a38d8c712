/**
 * Reader of GGUF: parses the header of a file and says where each tensor's bytes lie.
 *
 * Every count, length and range is checked against named limits and the file's length before it is used. It reads
 * no tensor bytes, and refuses to know what the metadata means.
 * Format: magic, version, counts, fields, tensor descriptions, padding, tensor bytes (ggml's docs/gguf.md).
 */

import { InvalidModelError, UnsupportedError } from "../errors.ts";
import {
  describeGgufType,
  findGgufType,
  type GgufType,
  ggufTypeNames,
  ggufTypes,
} from "../tensor/gguf-types.ts";
import type { ByteSource } from "./byte-source.ts";
import { refuseForeignFormat } from "./foreign-formats.ts";
import { EndOfBytes, GgufCursor, type GgufValue, ggufLimits } from "./gguf-cursor.ts";

/** Says where one tensor of a GGUF file lies, and what it is. */
export interface GgufTensor {
  readonly name: string;
  readonly type: GgufType;
  /** Outermost first, as everywhere here; GGUF has it the other way round. */
  readonly shape: readonly number[];
  /** The file that holds it. */
  readonly source: ByteSource;
  /** The first byte, counted from the start of the file. */
  readonly offset: number;
  readonly lengthBytes: number;
}

/** Is a parsed header. */
export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** The tensors by name, in the order of the header. */
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

const magic = "GGUF";
const prefixBytes = 24;
/** Read first, and doubled until the header is complete. */
const firstChunkBytes = 2 * 1024 * 1024;
const defaultAlignmentBytes = 32;
/** A field's name and type, and a value of one byte. */
const leastFieldBytes = 13;
/** A tensor's name, rank, type and offset. */
const leastTensorBytes = 24;

const fetchAgain = "The file is damaged or truncated: fetch it again.";

/** Checks magic and version. */
async function readPrefix(source: ByteSource, signal: AbortSignal | undefined): Promise<void> {
  const bytes = await source.read(0, Math.min(prefixBytes, source.sizeBytes), signal);
  const start = String.fromCharCode(...bytes.subarray(0, 4));
  if (start !== magic) {
    refuseForeignFormat(source.name, bytes.subarray(0, 8), "a GGUF file");
    const expected = `a file that starts with ${magic}`;
    throw new InvalidModelError({
      where: source.name,
      what: "this is no GGUF file",
      got: start,
      expected,
      remedy: fetchAgain,
    });
  }
  if (bytes.length < prefixBytes) {
    throw new InvalidModelError({
      where: source.name,
      what: "the header ends too early",
      got: `${bytes.length} bytes`,
      expected: `at least ${prefixBytes} bytes`,
      remedy: fetchAgain,
    });
  }
  const version = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  if (version === 2 || version === 3) return;
  const isBigEndian = version !== 0 && version % 65_536 === 0;
  throw new UnsupportedError({
    where: source.name,
    what: isBigEndian ? "big-endian GGUF files are not read" : "this version of GGUF is not read",
    got: isBigEndian ? "big-endian" : version,
    expected: "little-endian, version 2 or 3",
    remedy: "Convert the model again with a newer llama.cpp.",
  });
}

/** Is a tensor's description as the header has it. */
interface Description {
  readonly name: string;
  readonly shape: readonly number[];
  readonly typeId: number;
  readonly offset: bigint;
}

function readField(cursor: GgufCursor, metadata: Map<string, GgufValue>): void {
  const key = cursor.string("the length of a field's name", ggufLimits.nameBytes);
  if (metadata.has(key)) cursor.refuse("the header names a field twice", key, "each name once");
  metadata.set(key, cursor.value(cursor.uint32(), key));
}

function readDescription(cursor: GgufCursor, descriptions: Map<string, Description>): void {
  const name = cursor.string("the length of a tensor's name", ggufLimits.nameBytes);
  if (descriptions.has(name)) cursor.refuse("the header names a tensor twice", name, "each name once");
  const rank = cursor.uint32();
  if (rank > ggufLimits.rank) {
    cursor.refuse(`tensor ${name} has too many dimensions`, rank, `at most ${ggufLimits.rank}`);
  }
  const extents: number[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const extent = cursor.uint64();
    if (extent > BigInt(Number.MAX_SAFE_INTEGER)) {
      cursor.refuse(`an extent of tensor ${name} is impossible`, extent, "a whole number below 2^53");
    }
    extents.push(Number(extent));
  }
  const typeId = cursor.uint32();
  descriptions.set(name, { name, shape: extents.reverse(), typeId, offset: cursor.uint64() });
}

interface RawHeader {
  readonly metadata: Map<string, GgufValue>;
  readonly descriptions: Map<string, Description>;
  /** Where the header ends, before padding. */
  readonly endBytes: number;
}

/** Parses the header; reads more of the file as it goes, and what broke off there is read again. */
async function readRawHeader(source: ByteSource, signal: AbortSignal | undefined): Promise<RawHeader> {
  const { name, sizeBytes } = source;
  const roomBytes = Math.min(sizeBytes, ggufLimits.headerBytes);
  const metadata = new Map<string, GgufValue>();
  const descriptions = new Map<string, Description>();
  let chunkBytes = Math.min(firstChunkBytes, roomBytes);
  let offset = 8;
  for (;;) {
    signal?.throwIfAborted();
    const bytes = await source.read(0, chunkBytes, signal);
    const counts = new GgufCursor(name, sizeBytes, bytes, 8);
    const tensorCount = counts.count("the number of tensors", ggufLimits.tensors, leastTensorBytes);
    const fieldCount = counts.count("the number of fields", ggufLimits.fields, leastFieldBytes);
    offset = Math.max(offset, counts.offset);
    try {
      while (metadata.size < fieldCount || descriptions.size < tensorCount) {
        const cursor = new GgufCursor(name, sizeBytes, bytes, offset);
        if (metadata.size < fieldCount) readField(cursor, metadata);
        else readDescription(cursor, descriptions);
        offset = cursor.offset;
      }
      return { metadata, descriptions, endBytes: offset };
    } catch (error) {
      if (!(error instanceof EndOfBytes)) throw error;
      if (chunkBytes === roomBytes)
        counts.refuse("the header is too long", `over ${chunkBytes} bytes`, "less");
      chunkBytes = Math.min(2 * chunkBytes, roomBytes);
    }
  }
}

function readAlignment(where: string, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get("general.alignment") ?? defaultAlignmentBytes;
  const isPower = typeof alignment === "number" && alignment >= 1 && Number.isInteger(Math.log2(alignment));
  if (isPower && alignment <= ggufLimits.alignmentBytes) return alignment;
  throw new InvalidModelError({
    where: `${where}: general.alignment`,
    what: "the alignment is impossible",
    got: alignment,
    expected: `a power of 2 up to ${ggufLimits.alignmentBytes}`,
    remedy: fetchAgain,
  });
}

function placeTensor(
  source: ByteSource,
  { name, shape, typeId, offset }: Description,
  dataOffset: number,
  alignment: number,
): GgufTensor {
  const where = `${source.name}: tensor ${JSON.stringify(name)}`;
  const type = findGgufType(typeId);
  if (type === undefined) {
    throw new UnsupportedError({
      where,
      what: "this quantisation is not read",
      got: describeGgufType(typeId),
      expected: ggufTypeNames.join(", "),
      remedy: "Choose a file of the model in another quantisation.",
    });
  }
  const refuse = (what: string, got: unknown, expected: string): never => {
    throw new InvalidModelError({ where, what, got, expected, remedy: fetchAgain });
  };
  const { blockSize, blockBytes } = ggufTypes[type];
  const columns = shape.at(-1) ?? 1;
  if (columns % blockSize !== 0) refuse("rows are no whole blocks", columns, `a multiple of ${blockSize}`);
  // In floating point an absurd product is large, and nothing else.
  const lengthBytes = (shape.reduce((product, extent) => product * extent, 1) / blockSize) * blockBytes;
  const start = dataOffset + Number(offset);
  if (offset % BigInt(alignment) !== 0n)
    refuse("the offset is not aligned", offset, `a multiple of ${alignment}`);
  if (start + lengthBytes > source.sizeBytes) {
    const got = `${lengthBytes} bytes at ${start}`;
    refuse("the bytes lie outside the file", got, `a range within ${source.sizeBytes} bytes`);
  }
  return { name, type, shape, source, offset: start, lengthBytes };
}

function assertApart(where: string, tensors: readonly GgufTensor[]): void {
  let end = 0;
  let before = "";
  for (const { name, offset, lengthBytes } of tensors.toSorted((a, b) => a.offset - b.offset)) {
    if (offset < end) {
      throw new InvalidModelError({
        where: `${where}: tensor ${JSON.stringify(name)}`,
        what: "its bytes overlap another tensor's",
        got: `a start at ${offset}`,
        expected: `${end} or later, after ${before}`,
        remedy: fetchAgain,
      });
    }
    end = offset + lengthBytes;
    before = name;
  }
}

/**
 * Parses the header of a GGUF file; reads nothing else of it.
 * @param source - the file; every tensor refers to it, so keep it open while tensors are read.
 * @throws {@link InvalidModelError} when the header is damaged; {@link UnsupportedError} naming a version or a
 * quantisation that is not read; {@link FileError} when the file cannot be read.
 */
export async function parseGgufHeader(source: ByteSource, signal?: AbortSignal): Promise<GgufHeader> {
  await readPrefix(source, signal);
  const { metadata, descriptions, endBytes } = await readRawHeader(source, signal);
  const alignment = readAlignment(source.name, metadata);
  const dataOffset = Math.ceil(endBytes / alignment) * alignment;
  const tensors = [...descriptions.values()].map((description) =>
    placeTensor(source, description, dataOffset, alignment),
  );
  assertApart(source.name, tensors);
  return { metadata, tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])) };
}
