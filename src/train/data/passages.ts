/**
 * Cuts a plain text into passages of bounded length: at the end of a paragraph if one is near, else of a line, else
 * at a space. Passages put together are the text; no character is cut.
 */

import type { ByteSource } from "../../files/byte-source.ts";
import { contentStart, type FoundRecord } from "./record-place.ts";

const lineFeed = 0x0a;
const space = 0x20;

/** Returns the length of the first passage of `bytes`, at most `limit`, where at least one byte follows. */
function passageLength(bytes: Uint8Array, limit: number): number {
  const least = limit >> 1;
  let lineEnd = 0;
  for (let end = limit; end > least; end--) {
    if (bytes[end - 1] !== lineFeed) continue;
    if (bytes[end - 2] === lineFeed) return end;
    if (lineEnd === 0) lineEnd = end;
  }
  if (lineEnd > 0) return lineEnd;
  const spaceEnd = bytes.lastIndexOf(space, limit - 1) + 1;
  if (spaceEnd > least) return spaceEnd;
  let end = limit;
  // Bytes of the form 10xxxxxx continue a character; four in a row are no UTF-8, which is told elsewhere.
  while (end > limit - 4 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return end;
}

/**
 * Finds the passages of a text; those of white space alone are left out.
 * @param passageBytes - the most bytes of one.
 * @throws {@link FileError} when the file cannot be read.
 */
export async function* findPassages(
  source: ByteSource,
  passageBytes: number,
  signal?: AbortSignal,
): AsyncGenerator<FoundRecord, void, void> {
  let offset = contentStart(await source.read(0, Math.min(3, source.sizeBytes), signal));
  /** Is given when it is known whether anything follows. */
  let held: FoundRecord | undefined;
  for (let number = 1; offset < source.sizeBytes; ) {
    signal?.throwIfAborted();
    // One byte more than a passage holds tells whether a character goes on behind it.
    const read = await source.read(offset, Math.min(passageBytes + 1, source.sizeBytes - offset), signal);
    const isLast = read.length <= passageBytes;
    const bytes = isLast ? read : read.subarray(0, passageLength(read, passageBytes));
    const isBlank = bytes.every((byte) => byte === space || (byte >= 0x09 && byte <= 0x0d));
    if (!isBlank) {
      if (held !== undefined) yield held;
      held = { place: { offset, lengthBytes: bytes.length, number: number++, isLast }, bytes };
    }
    offset += bytes.length;
  }
  if (held !== undefined) yield { ...held, place: { ...held.place, isLast: true } };
}
