/**
 * The loss of tokens past the window, for what joins the memory to a frozen base.
 */

import { InvalidRequestError } from "../errors.ts";
import { type AttentionGeometry, type ContextSettings, localCapacityTokens } from "../memory/geometry.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { addGradients } from "./add-gradients.ts";
import type { TrainingDocument } from "./data/document-source.ts";
import type { DocumentLoss, Objective } from "./objective.ts";
import { type RunOutputs, readSegments } from "./read-segments.ts";
import { createSegmentStage, type SegmentedModel, SegmentStages } from "./segment-stage.ts";
import { addNextTokenLoss, lossFeeds } from "./training-graph.ts";
import type { WeightTensors } from "./weight-tensors.ts";

/** Says what is trained. */
export interface SegmentOptions {
  /** Makes the model for settings, from the names and shapes of the trained tensors; called once for each. */
  readonly makeModel: (context: ContextSettings) => SegmentedModel;
  /** Settings that steps take in turn: a gate that has seen only one does not serve another. */
  readonly contexts: readonly ContextSettings[];
  readonly base: WeightTensors;
  readonly trained: WeightTensors;
  readonly runtime: Runtime;
  /** Segments of a document that are learned from, behind those that fill the cache. */
  readonly segmentCount: number;
  readonly geometry: AttentionGeometry;
  /**
   * Segments before its own that the gradient of a loss goes back through at most: 0, the default, detaches the state
   * between segments. Below the number of segments.
   */
  readonly bpttDepth?: number;
}

/** Is an objective with what tells whether it begins where it should. */
export interface SegmentObjective extends Objective {
  /** Computes the loss of a document as if there were no memory: what closed gates must give. */
  measureFrozen(document: TrainingDocument, step: number, signal?: AbortSignal): Promise<DocumentLoss>;
}

function checkCounts(segmentCount: number, bpttDepth: number): void {
  if (!(Number.isSafeInteger(segmentCount) && segmentCount > 0)) {
    throw new InvalidRequestError({
      where: "segmentCount",
      what: "there is nothing to learn from: no segments",
      got: segmentCount,
      expected: "one or more",
    });
  }
  if (Number.isSafeInteger(bpttDepth) && bpttDepth >= 0 && bpttDepth < segmentCount) return;
  throw new InvalidRequestError({
    where: "bpttDepth",
    what: "a document has not so many segments to go back through",
    got: bpttDepth,
    expected: `a whole number from 0 to ${segmentCount - 1}`,
    remedy: "Go back through fewer (--bptt-depth), or learn from more (--segments).",
  });
}

/**
 * Creates the objective.
 * @throws {@link InvalidRequestError} when there are no settings, no segments to learn from, or fewer than are to be
 * gone back through.
 */
export function createSegmentObjective(options: SegmentOptions): SegmentObjective {
  const { contexts, trained, base, segmentCount, geometry, bpttDepth = 0, runtime, makeModel } = options;
  checkCounts(segmentCount, bpttDepth);
  const names = [...trained.keys()];
  const stages = new SegmentStages(contexts, (context) =>
    createSegmentStage({
      model: makeModel(context),
      fed: [...base.keys(), ...names],
      wanted: names,
      addLoss: addNextTokenLoss,
      runtime,
      ...(bpttDepth > 0 && { bptt: { depth: bpttDepth, geometry } }),
    }),
  );
  const fixed = { ...Object.fromEntries(base), ...Object.fromEntries(trained) };
  const read = async (
    which: "learn" | "frozen",
    { tokens, lossWeights }: TrainingDocument,
    step: number,
    onLearned: (outputs: RunOutputs) => void,
    signal: AbortSignal | undefined,
  ): Promise<DocumentLoss> => {
    const stage = await stages.stageAt(step);
    const feedsAt = (from: number, count: number) => lossFeeds(tokens, lossWeights, from, count);
    return readSegments({ stage, which, fixed, tokens, hooks: { feedsAt, onLearned }, signal });
  };
  return {
    parameters: new Map([...trained].map(([name, { data }]) => [name, data])),
    lengthTokens(step) {
      const context = stages.contextAt(step);
      return localCapacityTokens(context) + segmentCount * context.segmentTokens;
    },
    accumulate(document, sums, step, signal) {
      return read("learn", document, step, (outputs) => addGradients(sums, outputs), signal);
    },
    measureFrozen: (document, step, signal) => read("frozen", document, step, () => {}, signal),
    [Symbol.asyncDispose]: () => stages[Symbol.asyncDispose](),
  };
}
