/**
 * The training loop: documents, gradients, a step of the optimizer, again; as a generator of plain events.
 *
 * It knows neither models nor files. Where it is can be read from a checkpoint event, and a run that is given such
 * a point goes on from it to the bit: documents depend on a position, rates on the step alone.
 */

import { InvalidRequestError } from "../errors.ts";
import { clipGradients } from "./clip-gradient.ts";
import type { DataPosition, DocumentSource, TrainingDocument } from "./data/document-source.ts";
import { guardStep, noSkippedSteps, type SkippedSteps } from "./loss-guard.ts";
import type { DocumentLoss, Objective } from "./objective.ts";
import type { Optimizer, OptimizerState } from "./optimizer.ts";
import { assertAlike, type NamedArrays } from "./parameters.ts";
import type { Schedule } from "./schedule.ts";

/** Says where a training is: with the parameters, all that a continuation needs. */
export interface TrainingPoint {
  /** Steps behind it, skipped ones included. */
  readonly step: number;
  readonly position: DataPosition;
  readonly skipped: SkippedSteps;
  /** Tokens read so far. */
  readonly tokenCount: number;
  /** Live: copied by whoever keeps it. */
  readonly parameters: NamedArrays;
  /** Live, as the parameters. */
  readonly optimizer: OptimizerState;
}

/** Says how to train. */
export interface TrainingPlan {
  readonly objective: Objective;
  readonly source: DocumentSource;
  readonly optimizer: Optimizer;
  readonly schedule: Schedule;
  readonly totalSteps: number;
  /** Tokens whose gradients make one step, from 1: whole documents, until there are so many. */
  readonly tokensPerStep: number;
  /** Gradients of a larger norm are scaled down to it; default 1, Infinity for never. */
  readonly maxGradientNorm?: number;
  /** Steps in a row without a finite loss that end the training; default 10. */
  readonly skipLimit?: number;
  /** Steps from one checkpoint to the next; default 100. There is one at the end, and on abort. */
  readonly checkpointSteps?: number;
  /** Where to go on; from the start without it. */
  readonly from?: TrainingPoint;
}

/** Is a step that was taken, or skipped since its loss was no number. */
export interface StepEvent {
  readonly type: "step";
  /** Steps behind it, this one included. */
  readonly step: number;
  /** Mean over the weights of its documents; nats for likelihoods. */
  readonly loss: number;
  /** Before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly action: "take" | "skip";
  readonly skippedCount: number;
  /** Tokens read so far. */
  readonly tokenCount: number;
  /** Tokens a second, over the last steps. */
  readonly tokensPerSecond: number;
  readonly secondsLeft: number;
}

/** Is what a training tells. */
export type TrainingEvent =
  | StepEvent
  | { readonly type: "checkpoint"; readonly point: TrainingPoint }
  | { readonly type: "finish"; readonly point: TrainingPoint };

/** Averages speed over the last steps, so that the time left follows what the machine does now. */
class SpeedMeter {
  readonly #smoothing = 0.9;
  #tokensPerSecond: number | undefined;
  #secondsPerStep: number | undefined;
  #last = performance.now();

  #blend(old: number | undefined, now: number): number {
    return old === undefined ? now : this.#smoothing * old + (1 - this.#smoothing) * now;
  }

  countStep(tokens: number, stepsLeft: number): Pick<StepEvent, "tokensPerSecond" | "secondsLeft"> {
    const now = performance.now();
    const seconds = Math.max(1e-6, (now - this.#last) / 1000);
    this.#last = now;
    this.#tokensPerSecond = this.#blend(this.#tokensPerSecond, tokens / seconds);
    this.#secondsPerStep = this.#blend(this.#secondsPerStep, seconds);
    return { tokensPerSecond: this.#tokensPerSecond, secondsLeft: stepsLeft * this.#secondsPerStep };
  }
}

function checkPlan({ totalSteps, tokensPerStep, checkpointSteps = 100, skipLimit = 10 }: TrainingPlan): void {
  const counts = { totalSteps, tokensPerStep, checkpointSteps, skipLimit };
  for (const [where, got] of Object.entries(counts)) {
    if (Number.isSafeInteger(got) && got > 0) continue;
    throw new InvalidRequestError({ where, what: "out of range", got, expected: "a whole number from 1" });
  }
}

function startPoint({ objective, source, optimizer, from }: TrainingPlan): TrainingPoint {
  const { parameters } = objective;
  if (from === undefined) {
    const state = optimizer.init(parameters);
    const counts = { step: 0, tokenCount: 0, skipped: noSkippedSteps };
    return { ...counts, position: source.start, parameters, optimizer: state };
  }
  assertAlike("training point", parameters, from.parameters);
  for (const [name, array] of parameters) array.set(from.parameters.get(name) ?? []);
  return { ...from, parameters };
}

/** Is what the documents of one step gave together. */
interface StepSums {
  readonly loss: number;
  readonly weight: number;
  readonly tokenCount: number;
  readonly position: DataPosition;
}

/** Is the documents of one step. */
interface StepDocuments {
  readonly documents: readonly TrainingDocument[];
  /** Behind them. */
  readonly position: DataPosition;
}

async function readDocuments(
  { objective, source, tokensPerStep }: TrainingPlan,
  step: number,
  from: DataPosition,
  signal: AbortSignal | undefined,
): Promise<StepDocuments> {
  const documents: TrainingDocument[] = [];
  const lengthTokens = objective.lengthTokens(step);
  let position = from;
  for (let tokenCount = 0; tokenCount < tokensPerStep; tokenCount += lengthTokens) {
    const read = await source.read(position, lengthTokens, signal);
    documents.push(read.document);
    position = read.position;
  }
  return { documents, position };
}

/** Reads documents, those of the next step while this one is computed. */
class DocumentReader {
  readonly #plan: TrainingPlan;
  readonly #signal: AbortSignal | undefined;
  #ahead: { readonly step: number; readonly documents: Promise<StepDocuments> } | undefined;

  constructor(plan: TrainingPlan, signal: AbortSignal | undefined) {
    this.#plan = plan;
    this.#signal = signal;
  }

  async read(step: number, from: DataPosition): Promise<StepDocuments> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead?.step === step) return ahead.documents;
    return readDocuments(this.#plan, step, from, this.#signal);
  }

  /** Begins to read; what goes wrong is told by the {@link read} of that step. */
  readAhead(step: number, from: DataPosition): void {
    const documents = readDocuments(this.#plan, step, from, this.#signal);
    documents.catch(() => {});
    this.#ahead = { step, documents };
  }
}

async function computeLosses(
  objective: Objective,
  documents: readonly TrainingDocument[],
  sums: NamedArrays,
  step: number,
  signal: AbortSignal | undefined,
): Promise<readonly DocumentLoss[]> {
  const losses: DocumentLoss[] = [];
  for (const document of documents) {
    losses.push(await objective.accumulate(document, sums, step, signal));
    // A runtime that computes on this thread would keep an interrupt waiting for the whole step.
    if (signal !== undefined) await new Promise((resolve) => setTimeout(resolve, 0));
    signal?.throwIfAborted();
  }
  return losses;
}

/** Adds up the gradients of a step's documents. */
async function sumDocuments(
  { objective, totalSteps }: TrainingPlan,
  { step, position: from }: TrainingPoint,
  reader: DocumentReader,
  sums: NamedArrays,
  signal: AbortSignal | undefined,
): Promise<StepSums> {
  for (const sum of sums.values()) sum.fill(0);
  const { documents, position } = await reader.read(step, from);
  let losses: readonly DocumentLoss[];
  if (objective.accumulateAll === undefined) {
    losses = await computeLosses(objective, documents, sums, step, signal);
  } else {
    const computing = objective.accumulateAll(documents, sums, step, signal);
    if (step + 1 < totalSteps) reader.readAhead(step + 1, position);
    losses = await computing;
  }
  const add = (value: (one: DocumentLoss) => number): number =>
    losses.reduce((sum, one) => sum + value(one), 0);
  return {
    loss: add(({ loss }) => loss),
    weight: add(({ weight }) => weight),
    tokenCount: add(({ tokenCount }) => tokenCount),
    position,
  };
}

function scale(arrays: NamedArrays, factor: number): void {
  for (const array of arrays.values())
    for (let index = 0; index < array.length; index++) array[index] = (array[index] ?? 0) * factor;
}

/**
 * Trains. Whoever iterates writes what a checkpoint event points at before asking for the next event.
 * @throws {@link InvalidRequestError} when the plan is out of range, or losses are no numbers for too long;
 * the signal's reason on abort, after a checkpoint of the last step that was whole.
 */
export async function* train(
  plan: TrainingPlan,
  signal?: AbortSignal,
): AsyncGenerator<TrainingEvent, void, void> {
  checkPlan(plan);
  const { objective, optimizer, schedule, totalSteps } = plan;
  const { maxGradientNorm = 1, skipLimit = 10, checkpointSteps = 100 } = plan;
  const { parameters } = objective;
  const sums = new Map([...parameters].map(([name, { length }]) => [name, new Float32Array(length)]));
  const meter = new SpeedMeter();
  const reader = new DocumentReader(plan, signal);
  let point = startPoint(plan);
  let savedStep = point.step;
  while (point.step < totalSteps) {
    let step: StepSums;
    try {
      signal?.throwIfAborted();
      step = await sumDocuments(plan, point, reader, sums, signal);
    } catch (error) {
      if (signal?.aborted === true && savedStep < point.step) yield { type: "checkpoint", point };
      throw error;
    }
    const { weight, position } = step;
    const loss = weight > 0 ? step.loss / weight : 0;
    if (weight > 0) scale(sums, 1 / weight);
    const gradientNorm = clipGradients(sums, maxGradientNorm);
    const { action, skipped } = guardStep(loss, gradientNorm, point.skipped, skipLimit);
    const learningRate = schedule(point.step);
    const state =
      action === "take"
        ? await optimizer.update(parameters, sums, point.optimizer, learningRate)
        : point.optimizer;
    const tokenCount = point.tokenCount + step.tokenCount;
    point = { step: point.step + 1, position, skipped, tokenCount, parameters, optimizer: state };
    const speed = meter.countStep(step.tokenCount, totalSteps - point.step);
    const facts = { step: point.step, loss, gradientNorm, learningRate, action, tokenCount };
    yield { type: "step", ...facts, skippedCount: skipped.total, ...speed };
    if (point.step % checkpointSteps === 0 && point.step < totalSteps) {
      yield { type: "checkpoint", point };
      savedStep = point.step;
    }
  }
  yield { type: "finish", point };
}
