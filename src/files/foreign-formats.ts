/**
 * What people mistake for a weight file, by how it starts.
 */

import { InvalidModelError } from "../errors.ts";

const lookalikes: readonly { readonly start: string; readonly what: string; readonly remedy: string }[] = [
  {
    start: "version ",
    what: "this is a Git LFS pointer, not the file itself",
    remedy: "Run `git lfs pull`, or download the file.",
  },
  {
    start: "PK\u0003\u0004",
    what: "this is a PyTorch (zip) file",
    remedy: "Convert it to safetensors.",
  },
  {
    start: "GGUF",
    what: "this is a GGUF file",
    remedy: "Name it .gguf and give the file itself as the model.",
  },
  { start: "<!DOC", what: "this is a web page", remedy: "Download the file itself." },
  { start: "<html", what: "this is a web page", remedy: "Download the file itself." },
];

/**
 * Refuses a file that is of a known other format.
 * @param prefix the file's first 8 bytes, or what it has of them.
 * @param expected says what should have been there.
 * @throws {@link InvalidModelError} saying what it is.
 */
export function refuseForeignFormat(where: string, prefix: Uint8Array, expected: string): void {
  const text = String.fromCharCode(...prefix);
  const lookalike = lookalikes.find(({ start }) => text.startsWith(start));
  if (lookalike === undefined) return;
  throw new InvalidModelError({ where, what: lookalike.what, expected, remedy: lookalike.remedy });
}
