/**
 * Checks on JSON text that `JSON.parse` does not make: how deep it nests, and that no name occurs twice.
 *
 * Expects text that `JSON.parse` accepts; it walks over it once and builds nothing.
 */

/** Says what is wrong with a JSON text, or that nothing is. */
export type JsonOutlineFault =
  | { readonly kind: "too-deep"; readonly depth: number }
  | { readonly kind: "duplicate-name"; readonly name: string };

const quote = 0x22;
const backslash = 0x5c;
const openers: ReadonlySet<number> = new Set([0x7b, 0x5b]);
const closers: ReadonlySet<number> = new Set([0x7d, 0x5d]);

function stringEnd(text: string, start: number): number {
  let index = start + 1;
  while (index < text.length && text.charCodeAt(index) !== quote) {
    index += text.charCodeAt(index) === backslash ? 2 : 1;
  }
  return index + 1;
}

function isName(text: string, end: number): boolean {
  let index = end;
  while (/\s/.test(text.charAt(index))) index++;
  return text.charAt(index) === ":";
}

/** Finds the first object that names a member twice, or the first place nested deeper than `depthLimit`. */
export function findJsonFault(text: string, depthLimit: number): JsonOutlineFault | undefined {
  const names: Set<string>[] = [];
  let index = 0;
  while (index < text.length) {
    const code = text.charCodeAt(index);
    if (code === quote) {
      const end = stringEnd(text, index);
      if (isName(text, end)) {
        const name: unknown = JSON.parse(text.slice(index, end));
        const seen = names.at(-1);
        if (seen?.has(String(name))) return { kind: "duplicate-name", name: String(name) };
        seen?.add(String(name));
      }
      index = end;
      continue;
    }
    if (openers.has(code)) names.push(new Set());
    if (closers.has(code)) names.pop();
    if (names.length > depthLimit) return { kind: "too-deep", depth: names.length };
    index++;
  }
  return undefined;
}
