/**
 * The networks that give tokens their numbers (memory/token-networks.ts), over tokens that differ from head to head:
 *
 *   up_k . silu(down x + b) + b'_k,   x = the h of a token of key/value head k
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import type { AttentionGeometry } from "../memory/geometry.ts";

/** Writes the numbers of tokens, `[K, n, 1]`, from their h `[K, n, E]`. @param take gives the network's tensors. */
export function writeHeadNetwork(
  b: GraphBuilder,
  { keyValueHeadCount: K, hiddenSize: E }: AttentionGeometry,
  hidden: Value,
  tokenCount: number,
  take: (part: string) => Value,
): Value {
  const up = take("up.weight");
  const rank = Number(up.shape[1]);
  const rows = b.reshape(hidden, [K * tokenCount, E]);
  const inner = b.silu(b.linear(rows, take("down.weight"), take("down.bias")));
  const product = b.matMul(b.reshape(inner, [K, tokenCount, rank]), b.reshape(up, [K, rank, 1]));
  return b.add(product, b.reshape(take("up.bias"), [K, 1, 1]));
}
