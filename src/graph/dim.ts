/**
 * Symbolic extents: integers, symbols such as `T`, and their sums and products with integers.
 *
 * A symbolic extent is the canonical string of a linear form (`3*T+P+4`: symbols in order, constant last),
 * so that two equal extents are equal strings. It refuses to know what a symbol stands for.
 */

import { ShapeError } from "../errors.ts";

/** Is an extent: a non-negative integer, or the canonical string of a linear form over symbols. */
export type Dim = number | string;

/** Lists the extents of a value, outermost first. */
export type Shape = readonly Dim[];

interface LinearForm {
  readonly terms: ReadonlyMap<string, number>;
  readonly constant: number;
}

const termPattern = /^(?:(\d+)\*)?([A-Za-z_]\w*)$/;

function parseDim(dim: Dim): LinearForm {
  if (typeof dim === "number") {
    if (Number.isSafeInteger(dim) && dim >= 0) return { terms: new Map(), constant: dim };
    throw new ShapeError({
      where: "graph",
      what: "an extent",
      got: dim,
      expected: "a non-negative integer",
    });
  }
  const terms = new Map<string, number>();
  let constant = 0;
  for (const part of dim.split("+")) {
    const match = termPattern.exec(part);
    if (match?.[2] !== undefined) terms.set(match[2], (terms.get(match[2]) ?? 0) + Number(match[1] ?? 1));
    else if (/^\d+$/.test(part)) constant += Number(part);
    else
      throw new ShapeError({
        where: "graph",
        what: "an extent is not a linear form",
        got: dim,
        expected: "such as 3*T+P",
      });
  }
  return { terms, constant };
}

function formatDim({ terms, constant }: LinearForm): Dim {
  const parts = [...terms].filter(([, factor]) => factor !== 0).sort(([a], [b]) => (a < b ? -1 : 1));
  if (parts.length === 0) return constant;
  const texts = parts.map(([symbol, factor]) => (factor === 1 ? symbol : `${factor}*${symbol}`));
  return (constant === 0 ? texts : [...texts, String(constant)]).join("+");
}

/** Adds extents; of one, it gives the canonical form. @throws {@link ShapeError} on a malformed extent. */
export function addDims(...dims: readonly Dim[]): Dim {
  const terms = new Map<string, number>();
  let constant = 0;
  for (const dim of dims) {
    const form = parseDim(dim);
    constant += form.constant;
    for (const [symbol, factor] of form.terms) terms.set(symbol, (terms.get(symbol) ?? 0) + factor);
  }
  return formatDim({ terms, constant });
}

/**
 * Multiplies extents, at most one of which is symbolic.
 * @throws {@link ShapeError} on a product of symbols.
 */
export function multiplyDims(...dims: readonly Dim[]): Dim {
  const symbolic = dims.filter((dim) => typeof dim === "string");
  const factor = dims.reduce<number>(
    (product, dim) => (typeof dim === "number" ? product * dim : product),
    1,
  );
  if (symbolic.length === 0) return factor;
  if (symbolic.length > 1) {
    throw new ShapeError({
      where: "graph",
      what: "a product of symbolic extents",
      got: symbolic,
      expected: "at most one",
    });
  }
  const form = parseDim(symbolic[0] ?? 0);
  return formatDim({
    terms: new Map([...form.terms].map(([symbol, count]) => [symbol, count * factor])),
    constant: form.constant * factor,
  });
}

/**
 * Tells the number of elements of a shape, as the factors that do not depend on order: the product of the
 * static extents and the symbolic ones, sorted. Two shapes reshape into one another when these are equal.
 */
function elementForm(shape: Shape): string {
  const symbols: string[] = [];
  let factor = 1;
  for (const dim of shape) {
    if (typeof dim === "number") {
      factor *= dim;
      continue;
    }
    const form = parseDim(dim);
    const divisor = [...form.terms.values(), form.constant].reduce(greatestCommonDivisor, 0);
    factor *= divisor;
    symbols.push(
      String(
        formatDim({
          terms: new Map([...form.terms].map(([symbol, count]) => [symbol, count / divisor])),
          constant: form.constant / divisor,
        }),
      ),
    );
  }
  return factor === 0 ? "0" : [String(factor), ...symbols.sort()].join(" x ");
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** Tells whether two shapes hold the same number of elements whatever their symbols stand for. */
export function sameElementCount(a: Shape, b: Shape): boolean {
  return elementForm(a) === elementForm(b);
}

/** Evaluates an extent for given values of the symbols. @throws {@link ShapeError} on an unbound symbol. */
export function evaluateDim(dim: Dim, bindings: ReadonlyMap<string, number>): number {
  const form = parseDim(dim);
  let total = form.constant;
  for (const [symbol, factor] of form.terms) {
    const value = bindings.get(symbol);
    if (value === undefined) {
      throw new ShapeError({
        where: "graph",
        what: "a symbol of an extent is not bound",
        got: dim,
        expected: symbol,
      });
    }
    total += factor * value;
  }
  return total;
}

/**
 * Matches an extent to its actual size, and binds its symbol when just one is unbound.
 * @returns whether the size is possible; true while two or more symbols are unbound.
 */
export function bindDim(dim: Dim, size: number, bindings: Map<string, number>): boolean {
  const { terms, constant } = parseDim(dim);
  const unbound = [...terms].filter(([symbol]) => !bindings.has(symbol));
  if (unbound.length > 1) return true;
  let rest = size - constant;
  for (const [symbol, factor] of terms) rest -= factor * (bindings.get(symbol) ?? 0);
  const [free] = unbound;
  if (free === undefined) return rest === 0;
  const [symbol, factor] = free;
  if (rest < 0 || rest % factor !== 0) return false;
  bindings.set(symbol, rest / factor);
  return true;
}

/**
 * Broadcasts shapes by the rules of numpy: aligned at the right, an extent of 1 stretches.
 * @throws {@link ShapeError} when two extents differ and none is 1.
 */
export function broadcastShapes(where: string, ...shapes: readonly Shape[]): Shape {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let extent: Dim = 1;
    for (const shape of shapes) {
      const own = shape[axis - rank + shape.length] ?? 1;
      if (own === 1 || own === extent) continue;
      if (extent !== 1) {
        throw new ShapeError({
          where,
          what: "shapes do not broadcast",
          got: shapes.map((s) => `[${s.join(", ")}]`),
        });
      }
      extent = own;
    }
    return extent;
  });
}
