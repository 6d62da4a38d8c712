/**
 * Attention transfer: each layer with a memory learns by itself to give what full attention gives, from the inputs
 * that the layer has in the teacher (the first stage of LoLCATs, arXiv 2410.10254).
 *
 *   loss = mean over layers of sum over tokens n past the window of
 *          w[n] mean((student[n] - teacher[n])^2) / mean(teacher^2),      attention before the output projection
 *
 * So 0 is full attention, and 1 as far from it as giving nothing. The teacher is the base, which reads the document
 * once; a student then reads the teacher's queries, keys and values in segments. No gradient goes through the base,
 * nor from one layer to another.
 */

import { InternalError } from "../errors.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { pruneGraph } from "../graph/rewrite.ts";
import {
  type AttentionGeometry,
  type ContextSettings,
  localCapacityTokens,
  memoryLayers,
} from "../memory/geometry.ts";
import type { NamedTensors } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { addGradients } from "./add-gradients.ts";
import {
  attentionPowerName,
  buildAttentionGraph,
  studentAttentionName,
  teacherAttentionName,
  withAttentionOutputs,
} from "./attention-outputs.ts";
import type { TrainingDocument } from "./data/document-source.ts";
import type { DocumentLoss } from "./objective.ts";
import type { NamedArrays } from "./parameters.ts";
import { type RunOutputs, readSegments, type SegmentHooks } from "./read-segments.ts";
import type { SegmentObjective } from "./segment-objective.ts";
import { createSegmentStage, type SegmentStage, SegmentStages } from "./segment-stage.ts";
import { checkStudentLength, type StudentOptions, wholeSegments } from "./student.ts";
import { buildTeacherGraph } from "./teacher-graph.ts";
import { lossFeeds, lossNames, tokenFeeds } from "./training-graph.ts";
import { pickFeeds } from "./weight-tensors.ts";

/** Puts the loss on a graph that gives the student's attention in all layers. */
function addTransferLoss(graph: Graph, geometry: AttentionGeometry): Graph {
  const b = GraphBuilder.extend(graph);
  const layers = memoryLayers(geometry);
  const tokens = graph.outputs[0]?.shape[0] ?? 1;
  const shape = [tokens, geometry.queryHeadCount * geometry.headSize];
  const weights = b.input(lossNames.weights, "float32", [tokens, 1]);
  const powers = b.input(attentionPowerName, "float32", [layers.length]);
  const errors = layers.map((layer): Value => {
    const student = graph.outputs.find(({ name }) => name === studentAttentionName(layer));
    if (student === undefined) throw new InternalError({ where: `layer ${layer}`, what: "no attention" });
    const error = b.sub(student, b.input(teacherAttentionName(layer), "float32", shape));
    const ofToken = b.reduceMean(b.mul(error, error), [1], true);
    return b.reshape(b.reduceSum(b.mul(ofToken, weights), [0, 1], false), [1]);
  });
  const loss = b.reduceMean(b.div(b.concat(errors, 0), powers), [0], false);
  const attention = new Set(geometry.layerKinds.map((_, layer) => studentAttentionName(layer)));
  const others = graph.outputs.filter(({ name }) => !attention.has(name));
  return pruneGraph(b.finish([b.named(lossNames.loss, loss), ...others]));
}

/** Is what a teacher's attention was computed from and gave over a document. */
interface AttentionRecord {
  /** Gives the rows of `count` tokens from `from` on, by the names of what they are fed as. */
  rows(from: number, count: number): Record<string, HostTensor>;
  /** Gives what is fed whole. */
  readonly power: NamedTensors;
}

interface AttentionTeacher extends AsyncDisposable {
  attend(tokens: Int32Array): Promise<AttentionRecord>;
}

/** @param wanted names what of its attention is asked for, among other names. */
async function createAttentionTeacher(
  options: StudentOptions,
  wanted: readonly string[],
): Promise<AttentionTeacher> {
  const { config, base, contexts, runtime, lengthTokens } = options;
  const firstRow = Math.max(...contexts.map(localCapacityTokens));
  const { graph, stateFeeds } = buildTeacherGraph({ ...options, firstRow }, (full) =>
    withAttentionOutputs(full, config.geometry),
  );
  const session = await runtime.createSession(pruneGraph(graph, [...wanted, attentionPowerName]));
  const fixed = Object.fromEntries(base);
  return {
    async attend(tokens) {
      const ids = tokenFeeds(tokens, 0, lengthTokens);
      const { [attentionPowerName]: power, ...outputs } = await session.run(
        pickFeeds(session, fixed, stateFeeds, ids),
      );
      const rowsOf = (name: string, from: number, count: number) => {
        const { [name]: whole } = outputs;
        const [, ...row] = whole?.shape ?? [];
        const width = row.reduce((product, extent) => product * extent, 1);
        const rows = hostFloats(whole, name).subarray(from * width, (from + count) * width);
        return hostTensor("float32", [count, ...row], rows);
      };
      return {
        rows: (from, count) =>
          Object.fromEntries(Object.keys(outputs).map((name) => [name, rowsOf(name, from, count)])),
        power: power === undefined ? {} : { [attentionPowerName]: power },
      };
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

/** Computes losses and gradients of documents. */
class AttentionTransfer implements SegmentObjective {
  readonly parameters: NamedArrays;
  readonly #options: StudentOptions;
  readonly #stages: SegmentStages;
  readonly #teacher: AttentionTeacher;
  readonly #fixed: NamedTensors;

  constructor(options: StudentOptions, teacher: AttentionTeacher) {
    const { frozen, trained, contexts } = options;
    this.#options = options;
    this.#teacher = teacher;
    this.#fixed = Object.fromEntries([...frozen, ...trained]);
    this.parameters = new Map([...trained].map(([name, { data }]) => [name, data]));
    this.#stages = new SegmentStages(contexts, (context) => this.#createStage(context));
  }

  #createStage(context: ContextSettings): Promise<SegmentStage> {
    const { config, trained, makePolicy, runtime } = this.#options;
    const policy = makePolicy(context);
    return createSegmentStage({
      model: { context, policy, inference: buildAttentionGraph(policy, config.geometry) },
      fed: Object.keys(this.#fixed),
      wanted: [...trained.keys()],
      addLoss: (graph) => addTransferLoss(graph, config.geometry),
      runtime,
    });
  }

  lengthTokens(): number {
    return this.#options.lengthTokens;
  }

  async #read(
    which: "learn" | "frozen",
    { tokens, lossWeights }: TrainingDocument,
    step: number,
    onLearned: (outputs: RunOutputs) => void,
    signal: AbortSignal | undefined,
  ): Promise<DocumentLoss> {
    signal?.throwIfAborted();
    const stage = await this.#stages.stageAt(step);
    const record = await this.#teacher.attend(tokens);
    const fixed = { ...this.#fixed, ...record.power };
    const read = tokens.subarray(0, wholeSegments(stage.context, tokens.length));
    const hooks: SegmentHooks = {
      feedsAt(from, count) {
        const { feeds, weight } = lossFeeds(tokens, lossWeights, from, count);
        return { feeds: { ...feeds, ...record.rows(from, count) }, weight };
      },
      plainFeedsAt: record.rows,
      onLearned,
    };
    return readSegments({ stage, which, fixed, tokens: read, hooks, signal });
  }

  accumulate(
    document: TrainingDocument,
    sums: NamedArrays,
    step: number,
    signal?: AbortSignal,
  ): Promise<DocumentLoss> {
    return this.#read("learn", document, step, (outputs) => addGradients(sums, outputs), signal);
  }

  measureFrozen(document: TrainingDocument, step: number, signal?: AbortSignal): Promise<DocumentLoss> {
    return this.#read("frozen", document, step, () => {}, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stages[Symbol.asyncDispose]();
    await this.#teacher[Symbol.asyncDispose]();
  }
}

/**
 * Creates the objective. Weights of a document say how much the attention of the token before counts.
 * @throws {@link InvalidRequestError} when documents are too long for the teacher, or too short for the window.
 */
export async function createTransferObjective(options: StudentOptions): Promise<SegmentObjective> {
  const { contexts, config, makePolicy, lengthTokens } = options;
  checkStudentLength(contexts, lengthTokens);
  const { geometry } = config;
  const taken = contexts.slice(0, 1).map((context) => buildAttentionGraph(makePolicy(context), geometry));
  const inputs = taken.flatMap((graph) => graph.inputs.map(({ name }) => name));
  const targets = memoryLayers(geometry).map(teacherAttentionName);
  return new AttentionTransfer(options, await createAttentionTeacher(options, [...inputs, ...targets]));
}
