/**
 * Takes the leading-space insertion out of a tokenizer's normalizer and pre-tokenizer.
 *
 * SentencePiece-style tokenizers put a space before a text, so that its first word looks like any other.
 * Text that continues earlier text must not get one. Works on the components of `tokenizer.json`;
 * refuses to know the tokenizer itself.
 */

import type { TokenizerComponent } from "./tokenizer-json.ts";

/** Gives, per component type, the component that inserts nothing; null stands for no component at all. */
const withoutInsertion: Readonly<
  Record<string, (component: TokenizerComponent) => TokenizerComponent | null>
> = {
  Prepend: () => null,
  Metaspace: (component) => ({ ...component, prepend_scheme: "never" }),
  ByteLevel: (component) =>
    component.add_prefix_space === true ? { ...component, add_prefix_space: false } : component,
  Sequence: (component) => {
    const field = Array.isArray(component.normalizers) ? "normalizers" : "pretokenizers";
    const parts = component[field];
    if (!Array.isArray(parts)) return component;
    return { ...component, [field]: parts.map(withoutLeadingSpace).filter((part) => part !== null) };
  },
};

/** Returns the component without any insertion of a leading space; null when nothing is left of it. */
export function withoutLeadingSpace(component: TokenizerComponent | null): TokenizerComponent | null {
  if (component === null || !Object.hasOwn(withoutInsertion, component.type)) return component;
  return withoutInsertion[component.type]?.(component) ?? null;
}

/** Tells whether a component inserts a leading space. */
export function insertsLeadingSpace(component: TokenizerComponent | null): boolean {
  if (component === null) return false;
  const parts = component.normalizers ?? component.pretokenizers;
  if (component.type === "Sequence" && Array.isArray(parts)) return parts.some(insertsLeadingSpace);
  if (component.type === "Metaspace") return component.prepend_scheme !== "never";
  return (
    component.type === "Prepend" || (component.type === "ByteLevel" && component.add_prefix_space === true)
  );
}
