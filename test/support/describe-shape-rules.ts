/**
 * Tests of shape rules as tables: the types an operator gives, and what it refuses.
 */

import { describe, expect, it } from "vitest";
import { ShapeError } from "../../src/errors.ts";
import type { Dim } from "../../src/graph/dim.ts";
import type { ShapeRule, ValueType } from "../../src/graph/shape-rule.ts";
import { type DType, dtypeArrays } from "../../src/tensor/dtype.ts";
import { formatShape } from "../../src/tensor/shape.ts";

/** Lists cases of one operator. Types are written `float32 [T, 3]; int64 []`. */
export interface ShapeCases<Attributes> {
  readonly gives: readonly (readonly [inputs: string, attributes: Attributes, outputs: string])[];
  readonly refuses: readonly (readonly [inputs: string, attributes: Attributes, message: RegExp])[];
}

function isDType(name: string | undefined): name is DType {
  return name !== undefined && name in dtypeArrays;
}

function parseDim(text: string): Dim {
  return /^\d+$/.test(text) ? Number(text) : text;
}

/** Parses types. */
export function parseTypes(text: string): ValueType[] {
  return text
    .split(";")
    .filter((part) => part.trim() !== "")
    .map((part) => {
      const [, dtype, dims = ""] = /^\s*(\w+) \[(.*)\]\s*$/.exec(part) ?? [];
      if (!isDType(dtype)) throw new Error(`no type: ${part}`);
      return { dtype, shape: dims === "" ? [] : dims.split(",").map((dim) => parseDim(dim.trim())) };
    });
}

/** Prints types as {@link parseTypes} reads them. */
function formatTypes(types: readonly ValueType[]): string {
  return types.map(({ dtype, shape }) => `${dtype} ${formatShape(shape)}`).join("; ");
}

/** Describes the rules of a family; every operator must have cases. */
export function describeShapeRules<Family>(
  rules: { readonly [Op in keyof Family]: ShapeRule<Family[Op]> },
  cases: { readonly [Op in keyof Family]: ShapeCases<Family[Op]> },
): void {
  for (const op in rules) {
    const { gives, refuses } = cases[op];
    describe(op, () => {
      it.each(gives)("of %s with %j gives %s", (inputs, attributes, outputs) => {
        expect(formatTypes(rules[op](parseTypes(inputs), attributes))).toBe(outputs);
      });
      it.each(refuses)("refuses %s with %j", (inputs, attributes, message) => {
        const derive = () => rules[op](parseTypes(inputs), attributes);
        expect(derive).toThrow(ShapeError);
        expect(derive).toThrow(message);
      });
    });
  }
}
