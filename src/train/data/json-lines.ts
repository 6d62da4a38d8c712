/**
 * Finds the lines of a JSONL file, as bytes, in one pass of constant memory. Blank lines are none.
 */

import { InvalidRequestError } from "../../errors.ts";
import type { ByteSource } from "../../files/byte-source.ts";
import { contentStart, type FoundRecord } from "./record-place.ts";

/** Bounds a line, in bytes: a longer one is no record, or a file without line breaks. */
const longestLineBytes = 64 * 1024 * 1024;
const readBytes = 1024 * 1024;
const lineFeed = 0x0a;

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}

function join(rest: Uint8Array, next: Uint8Array): Uint8Array {
  const joined = new Uint8Array(rest.length + next.length);
  joined.set(rest);
  joined.set(next, rest.length);
  return joined;
}

/**
 * Finds the lines that are not blank.
 * @throws {@link InvalidRequestError} for a line of over 64 MiB; {@link FileError} when the file cannot be read.
 */
export async function* findLines(
  source: ByteSource,
  signal?: AbortSignal,
): AsyncGenerator<FoundRecord, void, void> {
  const start = contentStart(await source.read(0, Math.min(3, source.sizeBytes), signal));
  let rest: Uint8Array = new Uint8Array(0);
  let restOffset = start;
  let number = 1;
  const found = (bytes: Uint8Array, offset: number): FoundRecord => ({
    place: { offset, lengthBytes: bytes.length, number, isLast: offset + bytes.length >= source.sizeBytes },
    bytes,
  });
  for (let offset = start; offset < source.sizeBytes; offset += readBytes) {
    signal?.throwIfAborted();
    const chunk = await source.read(offset, Math.min(readBytes, source.sizeBytes - offset), signal);
    let from = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, from)) {
      const line = join(rest, chunk.subarray(from, end));
      if (!isBlank(line)) yield found(line, restOffset);
      from = end + 1;
      restOffset = offset + from;
      rest = rest.subarray(0, 0);
      number++;
    }
    rest = join(rest, chunk.subarray(from));
    if (rest.length <= longestLineBytes) continue;
    throw new InvalidRequestError({
      where: `${source.name}, line ${number}`,
      what: "the line is too long",
      got: `over ${longestLineBytes} bytes`,
      expected: "one record a line",
      remedy: "Is this a JSONL file? Plain text has the ending .txt.",
    });
  }
  if (!isBlank(rest)) yield found(rest, restOffset);
}
