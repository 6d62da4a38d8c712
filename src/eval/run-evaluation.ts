/**
 * The runner: subjects x tasks x lengths x examples, one after another, each kept as soon as it is done.
 *
 * The order is fixed, and what has a record is passed over: so a killed run goes on, and shards are slices of the
 * same list. It refuses to know files and terminals; where records go is the caller's.
 */

import type { Model } from "../engine/model.ts";
import { InvalidRequestError, isEdgeInfiniteError } from "../errors.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { type AskOptions, askExample, type Outcome } from "./ask.ts";
import { digestRecordKey, type EvaluationRecord, type Shard } from "./evaluation-record.ts";
import { type ScoredOutcome, scoreText } from "./score-text.ts";
import type { Subject } from "./subject.ts";
import type { AnyTask, RecordFacts } from "./task.ts";

/** Is a length with the number of examples of it. */
export interface LengthPlan {
  readonly lengthTokens: number;
  readonly exampleCount: number;
}

/** Is what a run does and with what. */
export interface EvaluationPlan {
  readonly subjects: readonly Subject[];
  readonly lengths: readonly LengthPlan[];
  readonly shard: Shard;
  /** Most examples of a subject in this run; the rest is left to another. */
  readonly limit: number;
  /** Loads a subject's model. @throws {@link InvalidRequestError} when there is no such subject. */
  readonly load: (subject: Subject, signal: AbortSignal) => Promise<Model>;
  /** Makes the tasks; a model's lengths are in its own tokens. */
  readonly makeTasks: (tokenizer: Tokenizer) => readonly AnyTask[];
  /** Tells whether an example has a record. */
  readonly isDone: (id: string) => boolean;
  /** Is called once, before the first example: a subject is loaded, its tasks are made, nothing has been refused. */
  readonly prepare: () => Promise<void>;
  readonly save: (records: readonly EvaluationRecord[]) => Promise<void>;
  readonly residentBytes: () => number;
}

/** Tells how far a run is. */
export interface EvaluationProgress {
  readonly policy: string;
  readonly task: string;
  readonly lengthTokens: number;
  readonly index: number;
  /** Of all tokens that this run will read, in [0, 1]. */
  readonly share: number;
  readonly secondsLeft: number | undefined;
  readonly doneExamples: number;
  readonly totalExamples: number;
}

/** Is an event of a run. */
export type EvaluationEvent =
  | { readonly type: "records-save"; readonly records: readonly EvaluationRecord[] }
  | { readonly type: "subject-skip"; readonly subject: Subject; readonly reason: string };

/** Is one example that may have to be run. */
interface Job {
  readonly task: AnyTask;
  readonly lengthTokens: number;
  readonly index: number;
}

type Cell = Omit<Extract<EvaluationRecord, { type: "not-applicable" }>, "type" | "reason" | "id">;

async function countExamples(
  task: AnyTask,
  { lengthTokens, exampleCount }: LengthPlan,
  signal: AbortSignal,
): Promise<number> {
  if (task.metric !== "nll") return Math.min(exampleCount, task.exampleCount ?? exampleCount);
  // Where there is none, the first one says so.
  return Math.max(1, await task.countExamples(lengthTokens, exampleCount, signal));
}

/** Lists jobs: short ones first, since they tell most an hour. */
async function listJobs(
  tasks: readonly AnyTask[],
  { lengths, shard }: EvaluationPlan,
  signal: AbortSignal,
): Promise<Job[]> {
  const jobs: Job[] = [];
  for (const plan of [...lengths].sort((a, b) => a.lengthTokens - b.lengthTokens))
    for (const task of tasks) {
      const count = await countExamples(task, plan, signal);
      for (let index = 0; index < count; index++) jobs.push({ task, lengthTokens: plan.lengthTokens, index });
    }
  return jobs.filter((_, position) => position % shard.count === shard.index - 1);
}

function describeMemory(model: Model, { ablation }: Subject): RecordFacts {
  const { identity, context, policy } = model;
  const { sinkTokens, slotTokens, windowTokens, segmentTokens } = context;
  const sizes = policy === "full" ? {} : { sinkTokens, slotTokens, windowTokens, segmentTokens };
  return { policy, ...sizes, adapter: identity.adapter.slice(0, 16), ablation: ablation ?? null };
}

/** Returns why a policy cannot take a length; undefined when it can. */
function findLimit(model: Model, lengthTokens: number): string | undefined {
  const { maxPositions } = model.config.geometry;
  if (model.policy !== "full" || lengthTokens <= maxPositions) return undefined;
  return `a full cache ends at the ${maxPositions} positions that the model was trained on`;
}

/** Is what came of a question, with what was asked. */
type Result = (Outcome | ScoredOutcome) & {
  readonly references: readonly string[];
  readonly about: RecordFacts;
};

/** Gives an example, or why there is none. */
async function orRefusal<Made>(making: Promise<Made>): Promise<Made | string> {
  try {
    return await making;
  } catch (error) {
    // Too short for what the task puts into it: the length's fault, not the run's.
    if (isEdgeInfiniteError(error) && /(lengthTokens|distanceTokens): out of range/.test(error.message))
      return error.message;
    throw error;
  }
}

/** Measures how long what is left will take; subjects to come are taken to need as long as this one. */
class Clock {
  readonly #totalTokens: number;
  readonly #subjects: { readonly done: number; readonly count: number };
  readonly #start: number = performance.now();
  #doneTokens = 0;

  constructor(jobs: readonly Job[], subjects: { readonly done: number; readonly count: number }) {
    this.#totalTokens = jobs.reduce((sum, { lengthTokens }) => sum + lengthTokens, 0);
    this.#subjects = subjects;
  }

  finish({ lengthTokens }: Job): void {
    this.#doneTokens += lengthTokens;
  }

  at(job: Job, readTokens: number): Pick<EvaluationProgress, "share" | "secondsLeft"> {
    const { done, count } = this.#subjects;
    const own = (this.#doneTokens + Math.min(readTokens, job.lengthTokens)) / this.#totalTokens;
    const seconds = (performance.now() - this.#start) / 1000;
    const secondsLeft = own === 0 ? undefined : (seconds * (count - done - own)) / own;
    return { share: (done + own) / count, secondsLeft };
  }
}

/** Runs the jobs of one subject. */
class SubjectRun {
  readonly #model: Model;
  readonly #subject: Subject;
  readonly #plan: EvaluationPlan;
  readonly #memory: RecordFacts;

  constructor(model: Model, subject: Subject, plan: EvaluationPlan) {
    this.#model = model;
    this.#subject = subject;
    this.#plan = plan;
    this.#memory = describeMemory(model, subject);
  }

  /** Lists what is left to do. @throws {@link InvalidRequestError} when the model has no tokenizer. */
  async listJobs(signal: AbortSignal): Promise<readonly Job[]> {
    const { tokenizer, name } = this.#model;
    if (tokenizer === undefined) {
      throw new InvalidRequestError({
        where: name,
        what: "the model has no tokenizer, so no task can be put to it",
        remedy: "Add tokenizer.json to the checkpoint's folder.",
      });
    }
    const jobs = await listJobs(this.#plan.makeTasks(tokenizer), this.#plan, signal);
    return jobs.filter((job) => !this.#isDone(job));
  }

  #isDone(job: Job): boolean {
    return this.#plan.isDone(this.#idOf(job, 0)) || this.#plan.isDone(this.#cellIdOf(job));
  }

  #keyOf({ task, lengthTokens }: Job): readonly unknown[] {
    const { identity } = this.#model;
    return [identity, this.#memory, task.name, task.settings, lengthTokens];
  }

  #idOf(job: Job, question: number): string {
    return digestRecordKey([...this.#keyOf(job), job.index, question]);
  }

  #cellIdOf(job: Job): string {
    return digestRecordKey([...this.#keyOf(job), "not applicable"]);
  }

  #cellOf({ task, lengthTokens }: Job): Cell {
    return {
      model: `${this.#model.name} ${this.#model.identity.model.slice(0, 12)}`,
      task: task.name,
      settings: { ...task.settings },
      policy: this.#subject.label,
      memory: { ...this.#memory },
      lengthTokens,
    };
  }

  /** Makes an example and puts it to the model; gives why there is no such example. */
  async #tryExample({ task, lengthTokens, index }: Job, options: AskOptions): Promise<Result[] | string> {
    const limit = findLimit(this.#model, lengthTokens);
    if (limit !== undefined) return limit;
    const { signal } = options;
    if (task.metric === "nll") {
      const text = await orRefusal(task.makeExample(lengthTokens, index, signal));
      if (typeof text === "string") return text;
      return [{ ...(await scoreText(this.#model, text, options)), references: [], about: text.about }];
    }
    const example = await orRefusal(task.makeExample(lengthTokens, index, signal));
    if (typeof example === "string") return example;
    const totalLimit = findLimit(this.#model, example.totalTokens ?? lengthTokens);
    if (totalLimit !== undefined) return totalLimit;
    const outcomes = await askExample(this.#model, example, options);
    return outcomes.map((outcome, question) => ({
      ...outcome,
      references: [...(example.questions[question]?.references ?? [])],
      about: { ...example.about, ...example.questions[question]?.about, ...outcome.about },
    }));
  }

  /** Runs a job; gives its records, or none when another job has said that there is no such cell. */
  async run(
    job: Job,
    signal: AbortSignal,
    onProgress: (readTokens: number) => void,
  ): Promise<EvaluationRecord[]> {
    if (this.#isDone(job)) return [];
    const cell = this.#cellOf(job);
    const { residentBytes } = this.#plan;
    const results = await this.#tryExample(job, { signal, residentBytes, onProgress });
    if (typeof results === "string")
      return [{ type: "not-applicable", id: this.#cellIdOf(job), ...cell, reason: results }];
    return results.map((result, question) => ({
      type: "example",
      id: this.#idOf(job, question),
      ...cell,
      metric: job.task.metric,
      index: job.index,
      question,
      runtime: this.#model.runtimeName,
      ...result,
    }));
  }
}

/** Loads a subject; gives why there is no such one. @throws it where no subject is left. */
async function tryLoad(
  plan: EvaluationPlan,
  subject: Subject,
  isLast: boolean,
  signal: AbortSignal,
): Promise<Model | string> {
  try {
    return await plan.load(subject, signal);
  } catch (error) {
    // Of several subjects one may not fit this model or adapter; where none does, it is what was asked for.
    const isRefused = isEdgeInfiniteError(error) && ["invalid-request", "unsupported"].includes(error.code);
    if (isRefused && !isLast) return error.message;
    throw error;
  }
}

/**
 * Runs an evaluation.
 * @param onProgress - is told often; what it throws ends the run.
 * @throws the signal's reason on abort, with all examples kept that were done; what loading and saving throw.
 */
export async function* runEvaluation(
  plan: EvaluationPlan,
  signal: AbortSignal,
  onProgress: (progress: EvaluationProgress) => void = () => {},
): AsyncGenerator<EvaluationEvent, void, void> {
  let isPrepared = false;
  for (const [subjectIndex, subject] of plan.subjects.entries()) {
    signal.throwIfAborted();
    const isLast = !isPrepared && subjectIndex === plan.subjects.length - 1;
    const loaded = await tryLoad(plan, subject, isLast, signal);
    if (typeof loaded === "string") {
      yield { type: "subject-skip", subject, reason: loaded };
      continue;
    }
    await using model = loaded;
    const run = new SubjectRun(model, subject, plan);
    const jobs = (await run.listJobs(signal)).slice(0, plan.limit);
    if (!isPrepared) await plan.prepare();
    isPrepared = true;
    const clock = new Clock(jobs, { done: subjectIndex, count: plan.subjects.length });
    for (const [doneExamples, job] of jobs.entries()) {
      const { lengthTokens, index } = job;
      const facts = { policy: subject.label, task: job.task.name, lengthTokens, index };
      const tell = (readTokens: number): void =>
        onProgress({ ...facts, ...clock.at(job, readTokens), doneExamples, totalExamples: jobs.length });
      tell(0);
      const records = await run.run(job, signal, tell);
      if (records.length > 0) {
        await plan.save(records);
        yield { type: "records-save", records };
      }
      clock.finish(job);
    }
  }
}
