/**
 * The words of the manifest about how a program runs the graphs: a stream's state and its three steps.
 */

const state = [
  "State of a stream: for each layer keys and values, float32 [K, P, D] each, all zeros; length, used and commits, all " +
    "0. P is context.capacityTokens, K sizes.keyValueHeadCount, D sizes.headSize. `length` counts the tokens of the " +
    "stream, `used` those in the cache: places 0 to used - 1, sinks first, then the newest in order.",
];

const memoryState = [
  "State of the memory: for each of attention.memoryLayers a matrix [K, D, D] and a normalizer [K, D, 1], all zeros.",
];

const run = [
  "Read n tokens, 1 <= n <= min(T of the graph, P - used); when used = P, commit first. Take the prefill graph, or the " +
    "decode graph for n = 1, of the path `base` while commits = 0, else of the last path that there is. Feed its inputs as " +
    "`roles` says; t counts the new tokens from 0.",
  "After the run: copy rows 0 to n - 1 of the new keys and values of every layer to places used to used + n - 1; add n " +
    "to used and to length. The logits are those after token n - 1. Keys are rotated already, and are not touched until " +
    "they leave, except the sinks'.",
];

const commit = [
  "Commit, S = context.sinkTokens, T = context.segmentTokens:",
  "1. At the first commit, set aside the keys of places 0 to S - 1 of every layer and head: the sinks' originals.",
];

const memoryCommit = ["2. Run the commit graph; what it gives is the new state of the memory."];
const noMemoryCommit = ["2. There is no memory: what leaves is forgotten, and no graph is run."];

const afterCommit = [
  "3. Remove places S to S + T - 1 of every layer's keys and values; what lies behind them moves up by T. Take T from " +
    "used; add 1 to commits.",
  "4. Replace the keys of places 0 to S - 1 by their originals, rotated by T * commits positions: for each of the n " +
    "inverseFrequencies f of the layer's kind, with angle a = T * commits * f[i] in float64, (x[i], x[i + n]) becomes " +
    "(x[i] cos a - x[i + n] sin a, x[i + n] cos a + x[i] sin a); elements from 2n on stay. Values stay.",
];

/** Lists the steps, with a memory or without. */
export function describeProtocol(hasMemory: boolean): readonly string[] {
  return [
    ...state,
    ...(hasMemory ? memoryState : []),
    ...run,
    ...commit,
    ...(hasMemory ? memoryCommit : noMemoryCommit),
    ...afterCommit,
  ];
}
