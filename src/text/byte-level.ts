/**
 * The alphabet of byte-level vocabularies (GPT-2's): a printable character for each byte, so that tokens can be
 * written as text. Printable bytes stand for themselves, the others are written from U+0100 up.
 */

function isPrintable(byte: number): boolean {
  return (byte > 32 && byte < 127) || (byte > 160 && byte < 173) || (byte > 173 && byte < 256);
}

/** Lists the characters by their bytes, 256 of them. */
export function byteAlphabet(): string[] {
  let hidden = 0;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrintable(byte) ? byte : 256 + hidden++),
  );
}
