/**
 * Gradients of the operators of attention.
 *
 * The weights of attention are computed again, which costs one product and spares keeping them for every layer.
 * The query heads of a group are rows of one matrix `[g T, D]`, so that each product gives the sum over the group.
 */

import type { GraphBuilder } from "../../graph/builder.ts";
import { multiplyDims } from "../../graph/dim.ts";
import type { Value } from "../../graph/graph.ts";
import type { AttentionAttributes } from "../../graph/ops/attention.ts";
import type { GradientContext, GradientRules, InputGradient } from "../gradient-rule.ts";
import { extentsAlong, transposeMatrices } from "../shape-changes.ts";

/** Sums `[B, K, g T, P]` over batches, heads and groups: the mask was one for all. */
function sumForMask(b: GraphBuilder, scores: Value, mask: Value, group: number): Value {
  const rows = b.reduceSum(scores, [0, 1], false);
  if (group === 1) return rows;
  const parts = new Array<Value>(group).fill(mask);
  const sizes = parts.map(({ shape }) => shape[0] ?? 0);
  const heads = b.split(rows, 0, sizes, extentsAlong(b, parts, 0));
  return heads.reduce((sum, head) => b.add(sum, head));
}

/**
 * Computes `(columns of w)^T rows` for keys or values: of all places, or of those parts alone that have a gradient.
 * w is `[B, K, g T, P]`, rows are `[B, K, g T, D]`.
 */
function placesBack(
  { b, stretches }: GradientContext<"Attention">,
  index: number,
  w: Value,
  rows: Value,
): InputGradient {
  const product = (columns: Value): Value => b.matMul(transposeMatrices(b, columns), rows);
  const parts = stretches(index, 2);
  if (parts === undefined) return () => product(w);
  return () =>
    parts.map(({ part, start, end }) => {
      const columns = end - start === w.shape[3] ? w : b.slice(w, 3, start, end);
      return { to: part, gradient: b.reshape(product(columns), part.shape) };
    });
}

/**
 * s = scale q k^T + mask, p = softmax(s), y = p v:
 *
 *   dv = p^T g,  dp = g v^T,  ds = p (dp - sum(g y)),  dq = scale ds k,  dk = scale ds^T q,  dmask = ds
 *
 * The sum over places of p dp is that of g y over the width of a head (arXiv 2205.14135, appendix B.2).
 */
function attentionBack(context: GradientContext<"Attention">): InputGradient[] {
  const { b, attributes, gradient, input, output, scalar } = context;
  const [query, key, value, mask] = [input(0), input(1), input(2), input(3)];
  const [batch = 1, heads = 1, tokens = 1] = query.shape;
  const [, keyHeads = 1] = key.shape;
  const group = Number(heads) / Number(keyHeads);
  const scaled = (x: Value): Value => (attributes.scale === 1 ? x : b.mul(x, scalar(attributes.scale)));
  const asRows = (x: Value): Value =>
    b.reshape(x, [batch, keyHeads, multiplyDims(group, tokens), x.shape[3] ?? 1]);
  const g = asRows(gradient());
  const q = scaled(asRows(query));
  const masks = group === 1 ? mask : b.concat(new Array<Value>(group).fill(mask), 0);
  const p = b.softmax(b.add(b.matMul(q, transposeMatrices(b, key)), masks), 3);
  const total = b.reduceSum(b.mul(g, asRows(output())), [3], true);
  const ds = b.mul(p, b.sub(b.matMul(g, transposeMatrices(b, value)), total));
  return [
    () => b.reshape(scaled(b.matMul(ds, key)), query.shape),
    placesBack(context, 1, ds, q),
    placesBack(context, 2, p, g),
    () => sumForMask(b, ds, mask, group),
  ];
}

const tables = { reason: "tables of angles are not trained" };

/** Gives the gradient rule of each attention operator. */
export const attentionGradients: GradientRules<AttentionAttributes> = {
  // A rotation is undone by that of the opposite angle, which has the same cosine and minus the sine.
  RotaryEmbedding: ({ b, gradient, input }) => [
    () => b.rotaryEmbedding(gradient(), input(1), b.neg(input(2))),
    tables,
    tables,
  ],
  Attention: attentionBack,
};
