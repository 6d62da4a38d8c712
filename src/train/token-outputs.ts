/**
 * Makes inference graphs give what the attention of each layer was computed from, so that training can compute a
 * token's numbers again long after it was read. Inference has no use for it.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import { type AttentionGeometry, memoryLayers } from "../memory/geometry.ts";
import { tokensSymbol } from "../memory/local-attention.ts";
import type { AttentionInputs, MemoryPolicy } from "../memory/policy.ts";

/** Names an output of what the new tokens were read as. */
export type TokenOutput = "token_hidden" | "token_keys_values";

interface TokenOutputKind {
  /** Numbers a token and layer. */
  rowSize(geometry: AttentionGeometry): number;
  /** Writes them, `[T, rowSize]`. */
  write(b: GraphBuilder, inputs: AttentionInputs, geometry: AttentionGeometry): Value;
}

const kinds: { readonly [Name in TokenOutput]: TokenOutputKind } = {
  /** h, `[E]`. */
  token_hidden: { rowSize: ({ hiddenSize }) => hiddenSize, write: (_, { hidden }) => hidden },
  /** Key and value, not rotated, `[2, K, D]`. */
  token_keys_values: {
    rowSize: ({ keyValueHeadCount: K, headSize: D }) => 2 * K * D,
    write(b, { key, value }, { keyValueHeadCount: K, headSize: D }) {
      return b.concat(
        [key, value].map((x) => b.reshape(x, [tokensSymbol, K * D])),
        1,
      );
    },
  },
};

/** Says how many numbers an output has a token and layer. */
export const rowSizeOf = (output: TokenOutput, geometry: AttentionGeometry): number =>
  kinds[output].rowSize(geometry);

/** Gives a policy whose graphs have such outputs too, float32 `[N, T, rowSize]` each. */
export function withTokenOutputs(
  policy: MemoryPolicy,
  geometry: AttentionGeometry,
  outputs: readonly TokenOutput[],
): MemoryPolicy {
  const remembering = new Set(memoryLayers(geometry));
  return {
    ...policy,
    beginAttention(b) {
      const writer = policy.beginAttention(b);
      const rows = new Map(outputs.map((output): [TokenOutput, Value[]] => [output, []]));
      return {
        positions: writer.positions,
        attend(layer, inputs) {
          for (const [output, written] of remembering.has(layer) ? rows : []) {
            const { write, rowSize } = kinds[output];
            const shape = [1, tokensSymbol, rowSize(geometry)];
            written.push(b.reshape(write(b, inputs, geometry), shape));
          }
          return writer.attend(layer, inputs);
        },
        finish: () => [
          ...writer.finish(),
          ...[...rows].map(([output, written]) => b.named(output, b.concat(written, 0))),
        ],
      };
    },
  };
}
