/**
 * What a recipe of `edgeinfinite train gate` is: it prepares what is trained, and how; the command does the rest.
 */

import type { AdapterDesign } from "../memory/adapter.ts";
import type { ContextSettings } from "../memory/geometry.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { StartLoss } from "../train/closed-gates.ts";
import type { DocumentSource } from "../train/data/document-source.ts";
import type { Objective } from "../train/objective.ts";
import type { RecallWeights } from "../train/recall/recall-documents.ts";
import type { Json } from "../train/training-state.ts";
import type { WeightTensors } from "../train/weight-tensors.ts";
import type { GateBase } from "./gate-base.ts";
import type { GateValues, ownOptions } from "./gate-options.ts";
import type { TrainingDefaults } from "./training-options.ts";

/** Is what a recipe gets. */
export interface GateRequest {
  readonly base: GateBase;
  readonly values: GateValues;
  readonly seed: number;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
}

/** Says what documents must be like. */
export interface DocumentNeeds {
  /** The longest that are read, tokens. */
  readonly longestTokens: number;
  /** The shortest that anything is learned from, tokens. */
  readonly minTokens: number;
  /** Whether all tokens are learned, or only completions and answers. */
  readonly weighsAll: boolean;
  /** Weights of recall documents, where their file does not say. */
  readonly recallWeights: RecallWeights;
  /** The largest weight of recall documents that the recipe takes; default any. */
  readonly mostRecallWeight?: number;
}

/** Is a training that is ready to begin. */
export interface GateTraining {
  readonly design: AdapterDesign;
  /** The sizes that the adapter names. */
  readonly context: ContextSettings;
  /** All tensors of the adapter. */
  readonly tensors: WeightTensors;
  readonly objective: Objective;
  readonly documents: DocumentNeeds;
  /** What the outcome depends on beyond base, data and course. */
  readonly identity: Readonly<Record<string, Json>>;
  /** Checks that training begins at the frozen model; undefined where nothing that is trained takes part in it. */
  readonly checkStart?: (source: DocumentSource, signal: AbortSignal) => Promise<StartLoss>;
}

type OwnOption = (typeof ownOptions)[number];

/** Trains in one way. */
export interface GateRecipe {
  readonly variants: readonly [AdapterDesign["variant"], ...AdapterDesign["variant"][]];
  readonly defaults: TrainingDefaults;
  /** Which options it takes of those that not all recipes take. */
  readonly takes: readonly OwnOption[];
  /** Says of options that it does not take why they would change nothing, as a clause. */
  readonly whyNot?: Readonly<Partial<Record<OwnOption, string>>>;
  /** Says what to change where memory does not suffice, as a sentence. */
  readonly memoryRemedy: string;
  prepare(request: GateRequest): Promise<GateTraining>;
}
