/**
 * What of a segmented state carries a gradient from segment to segment, and the graphs that carry it: truncated
 * back-propagation through time (Williams & Peng, 1990) over the keys and values of the local cache and over M and z.
 *
 *   segment   keys' = [keys | new keys],               M' = M                     the graph `learn`
 *   commit    keys' = keys without those that leave,   M' = M + phi(K)^T V        the graph `retreat`
 *
 * Values and z alike. Each graph is fed the gradients of what is primed and gives those of what is not.
 *
 * What is trained reaches the state of a layer through the layers below it: a gate changes what higher layers make keys
 * and values of. They are seen by later segments, in the window as themselves and behind it through M and z. All of
 * these ways are differentiated. The first layer with a gate, and those below it, have a state that nothing trained
 * reaches; it carries no gradient. Sinks come from the base path: what they are handed ends with them.
 */

import { differentiate, gradientName, upstreamName } from "../autodiff/differentiate.ts";
import { InternalError, InvalidRequestError } from "../errors.ts";
import { usedValues } from "../graph/branches.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { specializeGraph } from "../graph/specialize.ts";
import {
  type AttentionGeometry,
  type ContextSettings,
  localCapacityTokens,
  memoryLayers,
} from "../memory/geometry.ts";
import { matrixName, newMatrixName, newNormalizerName, normalizerName } from "../memory/linear-memory.ts";
import {
  newKeysName,
  newValuesName,
  pastKeysName,
  pastValuesName,
  placesSymbol,
} from "../memory/local-attention.ts";
import type { NamedTensors } from "../runtime/runtime.ts";
import { type HostTensor, zeros } from "../tensor/host-tensor.ts";

/** Is one tensor of a state, by its names in the graphs of a segment and of a commit. */
interface CarriedTensor {
  /** What both graphs are fed. */
  readonly input: string;
  /** Rows that a segment puts behind those that were fed; undefined for what it leaves as it is. */
  readonly newRows: string | undefined;
  /** What a segment leaves. */
  readonly read: string;
  /** What a commit leaves. */
  readonly committed: string;
}

/** Carries gradients between the graphs of segments and those of commits. */
export interface CarriedState {
  /** Gives the gradient of what a segment leaves that no later one sees. */
  noGradient(): NamedTensors;
  /** Gives what the graph of a commit is fed of the gradients that the segment behind it gave. */
  behindCommit(learned: Readonly<Record<string, HostTensor>>): NamedTensors;
  /** Gives what the graph of a segment is fed of the gradients that the commit behind it gave. */
  behindSegment(retreated: Readonly<Record<string, HostTensor>>): NamedTensors;
}

/** Is what goes back through segments. */
export interface CarriedGraphs {
  /** The graph of a segment: its loss, and the gradients of what is trained and of the state that it was fed. */
  readonly learn: Graph;
  /** The graph of a commit: the gradients of the state that it was fed. */
  readonly retreat: Graph;
  readonly state: CarriedState;
}

/** Lists the layers whose new keys and values depend on what is trained. */
function reachedLayers(
  graph: Graph,
  trained: readonly string[],
  { layerCount }: AttentionGeometry,
): number[] {
  const reached = new Set(trained);
  for (const node of graph.nodes)
    if (usedValues(node).some(({ name }) => reached.has(name)))
      for (const { name } of node.outputs) reached.add(name);
  return Array.from({ length: layerCount }, (_, layer) => layer).filter((layer) =>
    reached.has(newKeysName(layer)),
  );
}

function carriedTensors(layers: readonly number[], geometry: AttentionGeometry): readonly CarriedTensor[] {
  const remembering = new Set(memoryLayers(geometry));
  return layers.flatMap((layer): CarriedTensor[] => {
    const rows = (kind: string, input: string, newRows: string): CarriedTensor => ({
      input,
      newRows,
      read: `joined_${kind}.${layer}`,
      committed: `kept_${kind}.${layer}`,
    });
    const memory = (input: string, committed: string): CarriedTensor => ({
      input,
      newRows: undefined,
      read: input,
      committed,
    });
    const local = [
      rows("keys", pastKeysName(layer), newKeysName(layer)),
      rows("values", pastValuesName(layer), newValuesName(layer)),
    ];
    if (!remembering.has(layer)) return local;
    return [
      ...local,
      memory(matrixName(layer), newMatrixName(layer)),
      memory(normalizerName(layer), newNormalizerName(layer)),
    ];
  });
}

function findValue(values: readonly Value[], name: string): Value {
  const value = values.find((candidate) => candidate.name === name);
  if (value !== undefined) return value;
  throw new InternalError({ where: "carried state", what: "the graph has no such value", got: name });
}

/** Joins to the rows that a segment was fed those that it gives, `[K, 1, P, D]` and `[K, T, D]`: `[K, 1, C, D]`. */
function joinNewRows(graph: Graph, tensors: readonly CarriedTensor[]): Graph {
  const b = GraphBuilder.extend(graph);
  const joined = tensors.flatMap(({ input, newRows, read }) => {
    if (newRows === undefined) return [];
    const past = findValue(graph.inputs, input);
    const rows = findValue(graph.outputs, newRows);
    const [K = 1, T = 1, D = 1] = rows.shape;
    return [b.named(read, b.concat([past, b.reshape(rows, [K, 1, T, D])], 2))];
  });
  return b.finish([...graph.outputs, ...joined]);
}

/** Writes into a commit graph what is left of the rows of the full cache: `[K, 1, C, D]` to `[K, 1, S + W, D]`. */
function keepRows(
  graph: Graph,
  tensors: readonly CarriedTensor[],
  { keyValueHeadCount: K, headSize: D }: AttentionGeometry,
  context: ContextSettings,
): Graph {
  const b = GraphBuilder.extend(graph);
  const { sinkTokens: S, segmentTokens: T } = context;
  const C = localCapacityTokens(context);
  const kept = tensors.flatMap(({ input, newRows, committed }) => {
    if (newRows === undefined) return [];
    // A layer that attends within a window is in no commit graph: it has no memory.
    const all = graph.inputs.find(({ name }) => name === input) ?? b.input(input, "float32", [K, 1, C, D]);
    const sinks = S === 0 ? [] : [b.slice(all, 2, 0, S)];
    return [b.named(committed, b.concat([...sinks, b.slice(all, 2, S + T, C)], 2))];
  });
  return b.finish([...graph.outputs, ...kept]);
}

/** Says what is differentiated. */
export interface CarriedOptions {
  readonly geometry: AttentionGeometry;
  readonly context: ContextSettings;
  /** The graph of a segment with its loss, sizes fixed. */
  readonly segment: Graph;
  readonly loss: string;
  readonly commit: Graph;
  /** Names of the values of which the gradient of the loss is wanted. */
  readonly wanted: readonly string[];
}

/**
 * Writes the graphs that go back through segments.
 * @throws {@link InvalidRequestError} when nothing that is trained reaches a state.
 */
export function buildCarriedGraphs(options: CarriedOptions): CarriedGraphs {
  const { geometry, context, segment, loss, commit, wanted } = options;
  const tensors = carriedTensors(reachedLayers(segment, wanted, geometry), geometry);
  if (tensors.length === 0) {
    throw new InvalidRequestError({
      where: "bpttDepth",
      what: "nothing that is trained reaches the state of a later segment: no layer lies above the first gate",
      expected: "0",
    });
  }
  const inputs = tensors.map(({ input }) => input);
  const learn = differentiate(joinNewRows(segment, tensors), {
    loss,
    upstream: tensors.map(({ read }) => read),
    parameters: [...wanted, ...inputs],
    outputs: segment.outputs.map(({ name }) => name),
  });
  const full = specializeGraph(commit, { dims: { [placesSymbol]: localCapacityTokens(context) } });
  const retreat = differentiate(keepRows(full, tensors, geometry, context), {
    upstream: tensors.map(({ committed }) => committed),
    parameters: inputs,
    outputs: [],
  });
  const handOn =
    (to: "read" | "committed") =>
    (gradients: Readonly<Record<string, HostTensor>>): NamedTensors =>
      Object.fromEntries(
        tensors.flatMap((tensor) => {
          const gradient = gradients[gradientName(tensor.input)];
          return gradient === undefined ? [] : [[upstreamName(tensor[to]), gradient]];
        }),
      );
  const none = Object.fromEntries(
    tensors.map(({ read }) => {
      const name = upstreamName(read);
      return [name, zeros("float32", findValue(learn.inputs, name).shape.map(Number))];
    }),
  );
  return {
    learn,
    retreat,
    state: { noGradient: () => none, behindCommit: handOn("committed"), behindSegment: handOn("read") },
  };
}
