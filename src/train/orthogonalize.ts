/**
 * The nearest matrix with orthonormal rows or columns, nearly: Newton-Schulz iteration as a graph.
 *
 * From X = G / |G|, five times X = a X + (b A + c A A) X with A = X X^T, where (a, b, c) = (3.4445, -4.7750, 2.0315):
 * the singular values of G that are not near 0 come to lie between about 0.7 and 1.2, which serves as well as 1
 * (K. Jordan and others, Muon: an optimizer for hidden layers in neural networks, 2024).
 */

import { GraphBuilder } from "../graph/builder.ts";
import type { Graph, Value } from "../graph/graph.ts";

const iterations = 5;
const [linear, cubic, quintic] = [3.4445, -4.775, 2.0315] as const;
/** Keeps a matrix of zeros from being divided by zero. */
const smallestNorm = 1e-7;

/** Is some matrices of one shape. */
export interface MatrixStack {
  readonly count: number;
  readonly rows: number;
  readonly columns: number;
}

/** Names the input and the output of a stack, by its place. */
export const stackNames = {
  given: (place: number): string => `given_${place}`,
  orthogonal: (place: number): string => `orthogonal_${place}`,
} as const;

function addStack(builder: GraphBuilder, { count, rows, columns }: MatrixStack, place: number): Value {
  const given = builder.input(stackNames.given(place), "float32", [count, rows, columns]);
  const flip = (x: Value): Value => builder.transpose(x, [0, 2, 1]);
  const isTall = rows > columns;
  // A = X X^T is the smaller, the fewer rows there are.
  const wide = isTall ? flip(given) : given;
  const norm = builder.sqrt(builder.reduceSum(builder.mul(wide, wide), [1, 2], true));
  let x = builder.div(wide, builder.max(norm, builder.scalar(smallestNorm)));
  for (let iteration = 0; iteration < iterations; iteration++) {
    const products = builder.matMul(x, flip(x));
    const squares = builder.mul(builder.matMul(products, products), builder.scalar(quintic));
    const polynomial = builder.add(builder.mul(products, builder.scalar(cubic)), squares);
    x = builder.add(builder.mul(x, builder.scalar(linear)), builder.matMul(polynomial, x));
  }
  return builder.named(stackNames.orthogonal(place), isTall ? flip(x) : x);
}

/**
 * Builds the graph for stacks of matrices.
 * @returns a graph from each `given` float32 [count, rows, columns] to its `orthogonal` of the same shape.
 */
export function buildOrthogonalization(stacks: readonly MatrixStack[]): Graph {
  const builder = new GraphBuilder("orthogonalization");
  return builder.finish(stacks.map((stack, place) => addStack(builder, stack, place)));
}
