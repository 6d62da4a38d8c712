/**
 * Causal attention in blocks of queries, each over no more keys than it sees: of a document read whole nearly half of
 * all products of queries and keys are masked, and need not be computed.
 */

import { InternalError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Graph, OpAttributes, Value } from "../graph/graph.ts";
import { rewriteGraph } from "../graph/rewrite.ts";

/** Says what a run reads. */
export interface CausalRun {
  /** T: tokens of the run, at the last places. */
  readonly tokens: number;
  /** P: places before them, which hold nothing. */
  readonly places: number;
}

/** Longer blocks compute more that is masked, shorter ones have more operators. */
const blockTokens = 128;

interface Block {
  readonly start: number;
  readonly end: number;
}

function listBlocks(tokens: number): readonly Block[] {
  return Array.from({ length: Math.ceil(tokens / blockTokens) }, (_, index) => ({
    start: index * blockTokens,
    end: Math.min(tokens, (index + 1) * blockTokens),
  }));
}

/**
 * Splits all attention of a graph of fixed sizes. Masks must be causal, and hide the places before the run.
 * What comes out is the same but for the order in which sums are taken.
 */
export function splitCausalAttention(graph: Graph, { tokens, places }: CausalRun): Graph {
  const blocks = listBlocks(tokens);
  if (blocks.length < 2) return graph;
  const masks = new Map<Value, readonly Value[]>();
  const maskParts = (b: GraphBuilder, mask: Value): readonly Value[] => {
    const parts =
      masks.get(mask) ??
      blocks.map(({ start, end }) => b.slice(b.slice(mask, 0, start, end), 1, places, places + end));
    masks.set(mask, parts);
    return parts;
  };
  return rewriteGraph(graph, {
    node({ builder: b }, { op, attributes }, [query, key, value, mask]) {
      if (op !== "Attention") return undefined;
      if (query === undefined || key === undefined || value === undefined || mask === undefined)
        throw new InternalError({ where: `graph ${graph.name}`, what: "attention lacks an input" });
      const { scale } = attributes as OpAttributes["Attention"];
      const seen = (x: Value, end: number): Value => b.slice(x, 2, places, places + end);
      const ofMask = maskParts(b, mask);
      const parts = blocks.map(({ start, end }, index) =>
        b.attention(
          b.slice(query, 2, start, end),
          seen(key, end),
          seen(value, end),
          ofMask[index] ?? mask,
          scale,
        ),
      );
      return [b.concat(parts, 2)];
    },
  });
}
