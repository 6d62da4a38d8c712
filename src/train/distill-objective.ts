/**
 * Distilling full attention into what is remembered: the divergence from the teacher for documents inside its trained
 * length, and the loss of the next token for documents of several times that, in turn (two to one).
 *
 *   loss = sum over tokens past the window of w * (KL(teacher || student)  or  -log p(next token))
 *
 * The teacher is the base itself. The state is detached between segments; a slot's bias and what is written into the
 * linear memory still get their gradients, since they are computed again from what their tokens were read as.
 */

import { InternalError } from "../errors.ts";
import { type ContextSettings, localCapacityTokens } from "../memory/geometry.ts";
import { SlotState } from "../memory/slot-state.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { addGradients } from "./add-gradients.ts";
import type { TrainingDocument } from "./data/document-source.ts";
import { createMemoryWriteGradient, isMemoryWriteTensor } from "./memory-write-gradient.ts";
import type { DocumentLoss } from "./objective.ts";
import { type NamedArrays, pickArrays } from "./parameters.ts";
import { readSegments, type SegmentHooks } from "./read-segments.ts";
import type { RecomputedPart } from "./recomputed-part.ts";
import type { SegmentObjective } from "./segment-objective.ts";
import { createSegmentStage, type SegmentStage, SegmentStages } from "./segment-stage.ts";
import { createSlotBiasGradient, isSlotBiasTensor } from "./slot-bias-gradient.ts";
import { checkStudentLength, type StudentOptions, wholeSegments } from "./student.ts";
import { createTeacher, type Predictions, type Teacher } from "./teacher-predictions.ts";
import { withTokenOutputs } from "./token-outputs.ts";
import { addCrossEntropy, lossFeeds, lossNames } from "./training-graph.ts";
import { describeWeights } from "./weight-tensors.ts";

/** Says what is trained, and how long the documents are that the teacher does not read. */
export interface DistillOptions extends StudentOptions {
  /** Of these documents, tokens. */
  readonly longTokens: number;
}

/** Every third document is a long one. */
const isLongStep = (step: number): boolean => step % 3 === 2;

/** Is what the teacher or the document says of the tokens to come. */
interface Targets {
  /** Writes the distributions of `count` tokens behind those from `from` on, `[count, V]`. */
  fill(from: number, count: number): Float32Array;
  /** Entropy of the token behind the one at `position`, nats. */
  entropyAt(position: number): number;
}

function targetsOfTeacher({ probabilities, entropies }: Predictions, firstRow: number, V: number): Targets {
  return {
    fill: (from, count) => probabilities.subarray((from - firstRow) * V, (from - firstRow + count) * V),
    entropyAt: (position) => entropies[position - firstRow] ?? 0,
  };
}

function targetsOfDocument(tokens: Int32Array, V: number): Targets {
  return {
    fill(from, count) {
      const targets = new Float32Array(count * V);
      for (let row = 0; row < count; row++) {
        const next = tokens[from + row + 1];
        if (next !== undefined) targets[row * V + next] = 1;
      }
      return targets;
    },
    entropyAt: () => 0,
  };
}

/** Computes losses and gradients of documents. */
class Distillation implements SegmentObjective {
  readonly parameters: NamedArrays;
  readonly #options: DistillOptions;
  readonly #stages: SegmentStages;
  readonly #teacher: Teacher;
  readonly #firstRow: number;
  readonly #parts: readonly RecomputedPart[];
  /** Trained tensors whose gradients come from the segments' graphs. */
  readonly #direct: readonly string[];
  readonly #fixed: Readonly<Record<string, HostTensor>>;

  constructor(options: DistillOptions, teacher: Teacher, firstRow: number, parts: readonly RecomputedPart[]) {
    const { base, frozen, trained, contexts } = options;
    this.#options = options;
    this.#teacher = teacher;
    this.#firstRow = firstRow;
    this.#parts = parts;
    this.#direct = [...trained.keys()].filter((name) => !parts.some((part) => part.owns(name)));
    this.#fixed = Object.fromEntries([...base, ...frozen, ...trained]);
    this.parameters = new Map([...trained].map(([name, { data }]) => [name, data]));
    this.#stages = new SegmentStages(contexts, (context) => this.#createStage(context));
  }

  #createStage(context: ContextSettings): Promise<SegmentStage> {
    const { family, config, base, makePolicy, runtime } = this.#options;
    const tokenOutputs = new Set(this.#parts.flatMap((part) => part.tokenOutputs));
    const policy = withTokenOutputs(makePolicy(context), config.geometry, [...tokenOutputs]);
    const inference = family.buildInferenceGraph("distillation", config, describeWeights(base), policy);
    return createSegmentStage({
      model: { context, policy, inference },
      fed: Object.keys(this.#fixed),
      wanted: [...this.#direct, ...this.#parts.flatMap(({ wanted }) => wanted)],
      addLoss: addCrossEntropy,
      runtime,
    });
  }

  lengthTokens(step: number): number {
    return isLongStep(step) ? this.#options.longTokens : this.#options.lengthTokens;
  }

  async #read(
    which: "learn" | "frozen",
    { tokens, lossWeights }: TrainingDocument,
    step: number,
    hooks: Omit<SegmentHooks, "feedsAt">,
    signal: AbortSignal | undefined,
  ): Promise<DocumentLoss> {
    signal?.throwIfAborted();
    const V = this.#options.config.vocabularySize;
    const stage = await this.#stages.stageAt(step);
    const targets = isLongStep(step)
      ? targetsOfDocument(tokens, V)
      : targetsOfTeacher(await this.#teacher.predict(tokens), this.#firstRow, V);
    let entropy = 0;
    const feedsAt: SegmentHooks["feedsAt"] = (from, count) => {
      const { feeds, weight } = lossFeeds(tokens, lossWeights, from, count);
      if (weight === 0) return { feeds, weight };
      for (let position = from; position < from + count; position++)
        entropy += (lossWeights[position + 1] ?? 0) * targets.entropyAt(position);
      const target = hostTensor("float32", [count, V], targets.fill(from, count));
      return { feeds: { ...feeds, [lossNames.targets]: target }, weight };
    };
    const read = tokens.subarray(0, wholeSegments(stage.context, tokens.length));
    const reading = { stage, which, fixed: this.#fixed, tokens: read, signal };
    const sum = await readSegments({ ...reading, hooks: { ...hooks, feedsAt } });
    return { ...sum, loss: sum.loss - entropy };
  }

  async accumulate(
    document: TrainingDocument,
    sums: NamedArrays,
    step: number,
    signal?: AbortSignal,
  ): Promise<DocumentLoss> {
    const context = this.#stages.contextAt(step);
    const direct = pickArrays(sums, this.#direct);
    const followers = this.#parts.map((part) => part.follow(context, sums));
    const hooks: Omit<SegmentHooks, "feedsAt"> = {
      onRun(outputs, count) {
        for (const follower of followers) follower.onRun(outputs, count);
      },
      onCommit(state) {
        if (followers.length === 0) return;
        const chosen = state instanceof SlotState ? state.lastChosen : undefined;
        if (chosen === undefined) {
          const what = "a state without slots has parts that follow them";
          throw new InternalError({ where: "distillation", what });
        }
        for (const follower of followers) follower.onCommit(chosen);
      },
      async onLearned(outputs) {
        addGradients(direct, outputs);
        for (const follower of followers) await follower.onLearned(outputs);
      },
    };
    const sum = await this.#read("learn", document, step, hooks, signal);
    for (const follower of followers) await follower.finish();
    return sum;
  }

  measureFrozen(document: TrainingDocument, step: number, signal?: AbortSignal): Promise<DocumentLoss> {
    return this.#read("frozen", document, step, { onLearned: () => {} }, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stages[Symbol.asyncDispose]();
    await this.#teacher[Symbol.asyncDispose]();
    for (const part of this.#parts) await part[Symbol.asyncDispose]();
  }
}

/**
 * Creates the objective.
 * @throws {@link InvalidRequestError} when documents are too long for the teacher, or too short for the window.
 */
export async function createDistillObjective(options: DistillOptions): Promise<SegmentObjective> {
  checkStudentLength(options.contexts, Math.min(options.lengthTokens, options.longTokens));
  const { config, base, trained, contexts, runtime, family, lengthTokens } = options;
  const pick = (isOwn: (name: string) => boolean) => new Map([...trained].filter(([name]) => isOwn(name)));
  const [network, writes] = [pick(isSlotBiasTensor), pick(isMemoryWriteTensor)];
  const slotTokens = contexts[0]?.slotTokens ?? 0;
  const firstRow = Math.min(...contexts.map(localCapacityTokens));
  const teacher = await createTeacher({ family, config, base, runtime, lengthTokens, firstRow });
  const { geometry } = config;
  const parts: RecomputedPart[] = [];
  if (network.size > 0) parts.push(await createSlotBiasGradient(geometry, slotTokens, network, runtime));
  if (writes.size > 0) parts.push(createMemoryWriteGradient(geometry, writes, runtime));
  return new Distillation(options, teacher, firstRow, parts);
}
