/**
 * Reads the values of a GGUF header from the bytes at hand; throws {@link EndOfBytes} where they end.
 *
 * Every length is checked against the file before anything is made of it.
 */

import { InvalidModelError } from "../errors.ts";

/** Bounds what a header may hold; a file beyond them is refused before memory is spent on it. */
export const ggufLimits: {
  readonly headerBytes: number;
  readonly fields: number;
  readonly tensors: number;
  readonly nameBytes: number;
  readonly stringBytes: number;
  readonly arrayDepth: number;
  readonly rank: number;
  readonly alignmentBytes: number;
} = {
  /** The largest vocabularies of today take 15 MB. */
  headerBytes: 128 * 1024 * 1024,
  fields: 16_384,
  tensors: 262_144,
  /** Of a tensor or a field; ggml's own limits are 64 and 65535. */
  nameBytes: 1024,
  stringBytes: 16 * 1024 * 1024,
  arrayDepth: 2,
  /** GGML_MAX_DIMS. */
  rank: 4,
  alignmentBytes: 65_536,
};

/** Is a value of the metadata. */
export type GgufValue = number | bigint | boolean | string | readonly GgufValue[];

/** Says that a header goes on beyond the bytes at hand. */
export class EndOfBytes extends Error {}

const arrayType = 9;
const stringType = 8;

/** Gives the least bytes of a value of each type, by its number. */
const leastBytes: readonly number[] = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8];

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** Up to this length plain characters are put together here: a call of the decoder takes longer. */
const shortBytes = 32;

function decodeText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= shortBytes) {
    let text = "";
    let index = start;
    for (; index < end; index++) {
      const byte = bytes[index] ?? 0;
      if (byte >= 128) break;
      text += String.fromCharCode(byte);
    }
    if (index === end) return text;
  }
  return decoder.decode(bytes.subarray(start, end));
}

/** Is a place in the header's bytes. */
export class GgufCursor {
  readonly #where: string;
  readonly #fileBytes: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** The next byte. */
  offset: number;

  /** @param fileBytes is the file's length, of which `bytes` are the first. */
  constructor(where: string, fileBytes: number, bytes: Uint8Array, offset: number) {
    this.#where = where;
    this.#fileBytes = fileBytes;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.offset = offset;
  }

  /** Refuses the file. */
  refuse(what: string, got: unknown, expected: string): never {
    const remedy = "The file is damaged or truncated: fetch it again.";
    throw new InvalidModelError({ where: this.#where, what, got, expected, remedy });
  }

  #advance(lengthBytes: number): number {
    const start = this.offset;
    if (start + lengthBytes > this.#fileBytes) {
      this.refuse("the header ends too early", `${this.#fileBytes} bytes`, `${lengthBytes} more at ${start}`);
    }
    if (start + lengthBytes > this.#bytes.length) throw new EndOfBytes();
    this.offset += lengthBytes;
    return start;
  }

  /** Reads a uint32. */
  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /** Reads a uint64. */
  uint64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  /**
   * Reads a count of things that take at least `eachBytes` bytes each, of which the rest of the file must be able
   * to hold as many.
   */
  count(what: string, limit: number, eachBytes: number): number {
    const start = this.#advance(8);
    // Beyond 2^53 this is rounded, and refused all the same.
    const count = this.#view.getUint32(start, true) + this.#view.getUint32(start + 4, true) * 2 ** 32;
    const room = Math.min(limit, Math.floor((this.#fileBytes - this.offset) / eachBytes));
    if (count > room) this.refuse(`${what} is impossible`, count, `at most ${room} in this file`);
    return count;
  }

  /** Reads a string. @param what names it in messages. */
  string(what: string, limitBytes: number): string {
    const length = this.count(what, limitBytes, 1);
    const start = this.#advance(length);
    return decodeText(this.#bytes, start, start + length);
  }

  #integer(value: bigint): number | bigint {
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  #scalar(type: number, key: string): Exclude<GgufValue, readonly GgufValue[]> {
    const view = this.#view;
    switch (type) {
      case 0:
        return view.getUint8(this.#advance(1));
      case 1:
        return view.getInt8(this.#advance(1));
      case 2:
        return view.getUint16(this.#advance(2), true);
      case 3:
        return view.getInt16(this.#advance(2), true);
      case 4:
        return this.uint32();
      case 5:
        return view.getInt32(this.#advance(4), true);
      case 6:
        return view.getFloat32(this.#advance(4), true);
      case 7:
        return view.getUint8(this.#advance(1)) !== 0;
      case stringType:
        return this.string(key, ggufLimits.stringBytes);
      case 10:
        return this.#integer(this.uint64());
      case 11:
        return this.#integer(view.getBigInt64(this.#advance(8), true));
      case 12:
        return view.getFloat64(this.#advance(8), true);
      default:
        return this.refuse(`the type of ${key} is unknown`, type, "0 to 12");
    }
  }

  /** Reads a value of the type with that number. @param key names it in messages. */
  value(type: number, key: string, depth = 0): GgufValue {
    if (type !== arrayType) return this.#scalar(type, key);
    if (depth >= ggufLimits.arrayDepth) {
      this.refuse(`the arrays of ${key} nest too deep`, depth + 1, `at most ${ggufLimits.arrayDepth} levels`);
    }
    const elementType = this.uint32();
    const eachBytes = leastBytes[elementType];
    if (eachBytes === undefined) this.refuse(`the element type of ${key} is unknown`, elementType, "0 to 12");
    const count = this.count(`the length of the array ${key}`, ggufLimits.headerBytes, eachBytes);
    const values: GgufValue[] = [];
    for (let index = 0; index < count; index++) values.push(this.value(elementType, key, depth + 1));
    return values;
  }
}
