/**
 * Distilling full attention into what is remembered: the divergence from the teacher for documents inside its trained
 * length, and the loss of the next token for documents of several times that, in turn (two to one).
 *
 *   loss = sum over tokens past the window of w * (KL(teacher || student)  or  -log p(next token))
 *
 * The teacher is the base itself. The state is detached between segments; a slot's bias still gets its gradient, since
 * it is computed again from what its token was read as.
 */

import { gradientName } from "../autodiff/differentiate.ts";
import { InternalError } from "../errors.ts";
import { type ContextSettings, localCapacityTokens, memoryLayers } from "../memory/geometry.ts";
import { slotBiasName } from "../memory/slot-attention.ts";
import { SlotState } from "../memory/slot-state.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { addGradients } from "./add-gradients.ts";
import type { TrainingDocument } from "./data/document-source.ts";
import { hiddenName, withHiddenOutputs } from "./hidden-outputs.ts";
import type { DocumentLoss } from "./objective.ts";
import type { NamedArrays } from "./parameters.ts";
import { readSegments, type SegmentHooks } from "./read-segments.ts";
import type { SegmentObjective } from "./segment-objective.ts";
import { createSegmentStage, type SegmentStage, SegmentStages } from "./segment-stage.ts";
import { createSlotBiasGradient, isSlotBiasTensor, type SlotBiasGradient } from "./slot-bias-gradient.ts";
import { SlotHiddens } from "./slot-hiddens.ts";
import { checkStudentLength, type StudentOptions, wholeSegments } from "./student.ts";
import { createTeacher, type Predictions, type Teacher } from "./teacher-predictions.ts";
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
  readonly #slotBias: SlotBiasGradient | undefined;
  /** Trained tensors whose gradients come from the segments' graphs. */
  readonly #direct: readonly string[];
  readonly #fixed: Readonly<Record<string, HostTensor>>;

  constructor(
    options: DistillOptions,
    teacher: Teacher,
    firstRow: number,
    slotBias: SlotBiasGradient | undefined,
  ) {
    const { base, frozen, trained, contexts } = options;
    this.#options = options;
    this.#teacher = teacher;
    this.#firstRow = firstRow;
    this.#slotBias = slotBias;
    this.#direct = [...trained.keys()].filter((name) => !isSlotBiasTensor(name));
    this.#fixed = Object.fromEntries([...base, ...frozen, ...trained]);
    this.parameters = new Map([...trained].map(([name, { data }]) => [name, data]));
    this.#stages = new SegmentStages(contexts, (context) => this.#createStage(context));
  }

  #createStage(context: ContextSettings): Promise<SegmentStage> {
    const { family, config, base, makePolicy, runtime } = this.#options;
    const bare = makePolicy(context);
    const policy = this.#slotBias === undefined ? bare : withHiddenOutputs(bare, config.geometry);
    const inference = family.buildInferenceGraph("distillation", config, describeWeights(base), policy);
    return createSegmentStage({
      model: { context, policy, inference },
      fed: Object.keys(this.#fixed),
      wanted: [...this.#direct, ...(this.#slotBias === undefined ? [] : [slotBiasName])],
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

  /** Keeps what the tokens in slots were read as, and hands the gradient of their biases on to the network. */
  #followSlots(
    slotBias: SlotBiasGradient,
    context: ContextSettings,
    sums: NamedArrays,
  ): Required<Pick<SegmentHooks, "onRun" | "onCommit" | "onLearned">> {
    const { hiddenSize, keyValueHeadCount: headCount } = this.#options.config.geometry;
    const layerCount = memoryLayers(this.#options.config.geometry).length;
    const hiddens = new SlotHiddens({ layerCount, headCount, hiddenSize, context });
    return {
      onRun: (outputs, count) => hiddens.absorb(hostFloats(outputs[hiddenName], hiddenName), count),
      onCommit(state) {
        const chosen = state instanceof SlotState ? state.lastChosen : undefined;
        if (chosen !== undefined) return hiddens.commit(chosen);
        throw new InternalError({ where: "distillation", what: "a state without slots has a bias of slots" });
      },
      async onLearned(outputs) {
        const gradient = hostFloats(outputs[gradientName(slotBiasName)], slotBiasName);
        if (hiddens.slots !== undefined)
          await slotBias.add(sums, hiddens.slots, gradient, context.sinkTokens);
      },
    };
  }

  async accumulate(
    document: TrainingDocument,
    sums: NamedArrays,
    step: number,
    signal?: AbortSignal,
  ): Promise<DocumentLoss> {
    const context = this.#stages.contextAt(step);
    const slots = this.#slotBias && this.#followSlots(this.#slotBias, context, sums);
    const direct = new Map(this.#direct.map((name) => [name, sums.get(name) ?? new Float32Array()]));
    const hooks: Omit<SegmentHooks, "feedsAt"> = {
      ...slots,
      onLearned: async (outputs) => {
        addGradients(direct, outputs);
        await slots?.onLearned(outputs);
      },
    };
    return this.#read("learn", document, step, hooks, signal);
  }

  measureFrozen(document: TrainingDocument, step: number, signal?: AbortSignal): Promise<DocumentLoss> {
    return this.#read("frozen", document, step, { onLearned: () => {} }, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stages[Symbol.asyncDispose]();
    await this.#teacher[Symbol.asyncDispose]();
    await this.#slotBias?.[Symbol.asyncDispose]();
  }
}

/**
 * Creates the objective.
 * @throws {@link InvalidRequestError} when documents are too long for the teacher, or too short for the window.
 */
export async function createDistillObjective(options: DistillOptions): Promise<SegmentObjective> {
  checkStudentLength(options.contexts, Math.min(options.lengthTokens, options.longTokens));
  const { config, base, trained, contexts, runtime, family, lengthTokens } = options;
  const network = new Map([...trained].filter(([name]) => isSlotBiasTensor(name)));
  const slotTokens = contexts[0]?.slotTokens ?? 0;
  const firstRow = Math.min(...contexts.map(localCapacityTokens));
  const teacher = await createTeacher({ family, config, base, runtime, lengthTokens, firstRow });
  const slotBias =
    network.size === 0
      ? undefined
      : await createSlotBiasGradient(config.geometry, slotTokens, network, runtime);
  return new Distillation(options, teacher, firstRow, slotBias);
}
