/**
 * The graphs of a model with every shape fixed and no control flow, for toolchains that compile ahead of time.
 *
 * One graph a number of tokens and path: a stream begins on the base path and changes to the gated one, for good,
 * at its first commit. So none has a branch, and before the first commit nothing of the memory is there at all.
 */

import type { Graph } from "../../graph/graph.ts";
import { toPortableGraph } from "../../graph/portable.ts";
import { specializeGraph } from "../../graph/specialize.ts";
import { gateOpeningName } from "../../memory/gate-openings.ts";
import { type ContextSettings, localCapacityTokens } from "../../memory/geometry.ts";
import { placesSymbol, tokensSymbol } from "../../memory/local-attention.ts";
import type { MemoryPolicy, MemoryState } from "../../memory/policy.ts";
import { inferenceNames } from "../../models/decoder.ts";
import { hostTensor } from "../../tensor/host-tensor.ts";

/** Is a graph with fixed shapes. */
export interface StaticGraph {
  /** Is the file's name too, without its ending. */
  readonly name: string;
  readonly purpose: "prefill" | "decode" | "commit";
  /** The path of a stream that it is for. */
  readonly path: MemoryState["path"];
  /** Tokens that one run reads, or that one commit moves. */
  readonly tokenCount: number;
  readonly graph: Graph;
}

function fixInference(
  inference: Graph,
  policy: MemoryPolicy,
  context: ContextSettings,
  tokenCount: number,
  path: MemoryState["path"],
): StaticGraph {
  // Of a single token the row is known.
  const row = { [inferenceNames.logitRows]: hostTensor("int64", [1], BigInt64Array.of(0n)) };
  const graph = specializeGraph(inference, {
    dims: { [tokensSymbol]: tokenCount, [placesSymbol]: localCapacityTokens(context), N: 1 },
    inputs: { ...policy.switches(tokenCount, path), ...(tokenCount === 1 && row) },
    outputs: inference.outputs.map(({ name }) => name).filter((name) => name !== gateOpeningName),
  });
  const purpose = tokenCount === 1 ? "decode" : "prefill";
  return { name: `${purpose}-${path}`, purpose, path, tokenCount, graph: toPortableGraph(graph) };
}

/** Lists the graphs of a model: prefill and decode for each path, and the commit of a memory. */
export function listStaticGraphs(
  inference: Graph,
  policy: MemoryPolicy,
  context: ContextSettings,
): readonly StaticGraph[] {
  const commit = policy.buildCommitGraph();
  const paths = commit === undefined ? (["base"] as const) : (["base", "gated"] as const);
  const runs = [...new Set([context.segmentTokens, 1])].flatMap((tokenCount) =>
    paths.map((path) => fixInference(inference, policy, context, tokenCount, path)),
  );
  if (commit === undefined) return runs;
  const graph = specializeGraph(commit, { dims: { [placesSymbol]: localCapacityTokens(context) } });
  const name = "commit";
  return [
    ...runs,
    { name, purpose: name, path: "gated", tokenCount: context.segmentTokens, graph: toPortableGraph(graph) },
  ];
}
