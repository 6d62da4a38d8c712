/**
 * The graph of a teacher: the base itself, with full attention over a document inside its trained length.
 */

import { InvalidRequestError } from "../errors.ts";
import type { Graph } from "../graph/graph.ts";
import { pastKeysName } from "../memory/local-attention.ts";
import { createPolicy } from "../memory/policies.ts";
import type { MemoryPolicy } from "../memory/policy.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import type { ModelFamily } from "../models/family.ts";
import type { NamedTensors } from "../runtime/runtime.ts";
import { specializeForTraining } from "./training-graph.ts";
import { describeWeights, type WeightTensors } from "./weight-tensors.ts";

/** Chooses a teacher. */
export interface TeacherGraphOptions {
  readonly family: ModelFamily;
  readonly config: DecoderConfig;
  readonly base: WeightTensors;
  /** Of documents, tokens; at most the positions of the model. */
  readonly lengthTokens: number;
  /** The first token that the teacher has something to say of, in any document. */
  readonly firstRow: number;
}

/** Is a teacher's graph, whose inputs are token ids, `lengthTokens - firstRow` logit rows, the base, and: */
export interface TeacherGraph {
  readonly graph: Graph;
  /** What it is fed of a cache that is empty. */
  readonly stateFeeds: NamedTensors;
}

function checkLength({ config, lengthTokens, firstRow }: TeacherGraphOptions): void {
  const { maxPositions } = config.geometry;
  if (lengthTokens <= maxPositions && lengthTokens > firstRow) return;
  throw new InvalidRequestError({
    where: "lengthTokens",
    what: "nothing lies behind the window of such documents, or they are longer than the teacher was trained for",
    got: lengthTokens,
    expected: `${firstRow + 1} to ${maxPositions}`,
    remedy: "Train with a smaller window, or longer documents.",
  });
}

/**
 * Builds the graph.
 * @param watch - makes of the policy of full attention one whose graphs give more.
 * @throws {@link InvalidRequestError} when documents are too long for it, or there is nothing to say of them.
 */
export function buildTeacherGraph(
  options: TeacherGraphOptions,
  watch: (full: MemoryPolicy) => MemoryPolicy = (full) => full,
): TeacherGraph {
  checkLength(options);
  const { family, config, base, lengthTokens, firstRow } = options;
  const context = { sinkTokens: 0, slotTokens: 0, windowTokens: 1, segmentTokens: lengthTokens };
  const policy = watch(createPolicy("full", { geometry: config.geometry, context, adapter: undefined }));
  const inference = family.buildInferenceGraph("teacher", config, describeWeights(base), policy);
  const stateFeeds = policy.createState().feeds(lengthTokens);
  const places = stateFeeds[pastKeysName(0)]?.shape[2] ?? 0;
  const logitRows = lengthTokens - firstRow;
  const shape = { tokens: lengthTokens, places, path: "base", logitRows } as const;
  return { graph: specializeForTraining(inference, policy, shape, [...base.keys()]), stateFeeds };
}
