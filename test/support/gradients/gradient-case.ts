/**
 * Cases that gradients are checked on: small graphs with drawn shapes.
 */

import fc from "fast-check";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { GraphBuilder } from "../../../src/graph/builder.ts";
import type { Shape } from "../../../src/graph/dim.ts";
import type { Graph, OpName, Value } from "../../../src/graph/graph.ts";
import type { HostTensor } from "../../../src/tensor/host-tensor.ts";
import { elementCount, type StaticShape } from "../../../src/tensor/shape.ts";
import { f32 } from "../runtime-conformance/example.ts";

/** Is a graph to differentiate: float inputs of these shapes, and what is written of them. */
export interface GradientExample {
  readonly inputs: readonly StaticShape[];
  /** Their shapes with symbols; by default every extent other than 1 is one. */
  readonly symbolic?: readonly Shape[];
  /** The range that inputs are drawn from; default -2 to 2. */
  readonly range?: readonly [low: number, high: number];
  readonly write: (b: GraphBuilder, ...inputs: Value[]) => readonly Value[];
  /** Positions of the inputs that have a gradient; default all. */
  readonly differentiable?: readonly number[];
}

/** Draws examples of one operator. */
export interface GradientCase {
  readonly title: string;
  readonly examples: fc.Arbitrary<GradientExample>;
}

/** Lists the cases of every operator of a family; one that has no gradient gives the reason that errors name. */
export type GradientCases<Family> = { readonly [Op in keyof Family]: readonly GradientCase[] | RegExp };

/** Draws shapes of a rank, of extents 0 to 3 (rarely 0). */
export function shapes(minRank: number, maxRank: number): fc.Arbitrary<number[]> {
  const extent = fc.oneof({ arbitrary: fc.integer({ min: 1, max: 3 }), weight: 9 }, fc.constant(0));
  return fc.array(extent, { minLength: minRank, maxLength: maxRank });
}

/** Draws a shape that broadcasts to another: leading axes may lack, others may be 1. */
export function broadcastableTo(shape: StaticShape): fc.Arbitrary<number[]> {
  return fc
    .tuple(fc.nat(shape.length), fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length }))
    .map(([dropped, ones]) => shape.map((extent, axis) => (ones[axis] ? 1 : extent)).slice(dropped));
}

/** Draws a shape of rank 1 and more with one of its axes, counted from either end. */
export function shapesWithAxis(maxRank = 3): fc.Arbitrary<{ shape: number[]; axis: number; given: number }> {
  return shapes(1, maxRank).chain((shape) =>
    fc
      .tuple(fc.nat(shape.length - 1), fc.boolean())
      .map(([axis, fromEnd]) => ({ shape, axis, given: fromEnd ? axis - shape.length : axis })),
  );
}

/** Draws integers below a bound. */
export function indicesBelow(bound: number, count: number): fc.Arbitrary<number[]> {
  return fc.array(fc.nat(bound - 1), { minLength: count, maxLength: count });
}

/** Is an example ready to run. */
export interface DrawnExample {
  readonly graph: Graph;
  readonly feeds: Readonly<Record<string, HostTensor<"float32">>>;
  /** Names of the inputs that have a gradient. */
  readonly parameters: readonly string[];
}

/** Replaces extents other than 1 by symbols, one for each size. */
const withSymbols = (shape: StaticShape): Shape => shape.map((extent) => (extent === 1 ? 1 : `N${extent}`));

/** Writes an example's graph and draws its feeds. */
export function writeGradientExample(
  op: OpName,
  { inputs, symbolic = inputs.map(withSymbols), range = [-2, 2], write, differentiable }: GradientExample,
  isSymbolic: boolean,
): DrawnExample {
  const b = new GraphBuilder(op);
  const shapes = isSymbolic ? symbolic : inputs;
  const values = shapes.map((shape, index) => b.input(`x${index}`, "float32", shape));
  const outputs = write(b, ...values).map((value, index) => b.named(`y${index}`, value));
  const generator = xoroshiro128plus(5);
  const [low, high] = range;
  const draw = (): number => low + (high - low) * uniformFloat64(generator);
  const feeds = inputs.map(
    (shape, index) => [`x${index}`, f32(shape, Array.from({ length: elementCount(shape) }, draw))] as const,
  );
  const names = differentiable?.map((index) => `x${index}`) ?? feeds.map(([name]) => name);
  return { graph: b.finish(outputs), feeds: Object.fromEntries(feeds), parameters: names };
}
