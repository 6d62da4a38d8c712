/**
 * One run of training: folds over its events, writes checkpoints, log and plot, shows how far it is.
 *
 * Whatever ends it, what was saved stays, and the same command with `--resume` goes on from there to the same end.
 */

import { join } from "node:path";
import { isEdgeInfiniteError, OutOfMemoryError } from "../errors.ts";
import { writeFileAtomic } from "../files/node-atomic-write.ts";
import { drawLossPlot } from "../train/loss-plot.ts";
import { loadTrainingCheckpoint, saveTrainingCheckpoint } from "../train/node-training-checkpoints.ts";
import { type LogEntry, openTrainingLog, readTrainingLog } from "../train/node-training-log.ts";
import { type StepEvent, type TrainingPlan, type TrainingPoint, train } from "../train/train-loop.ts";
import type { Json, TrainingState } from "../train/training-state.ts";
import type { CommandContext } from "./command.ts";
import { formatCount, formatRate, formatSeconds } from "./format.ts";
import type { OutputMode } from "./open-model.ts";
import { fitParts, formatBar, StatusLine } from "./progress.ts";

/** Is a run that is ready to begin. */
export interface TrainingRun {
  readonly context: CommandContext;
  readonly mode: OutputMode;
  readonly plan: Omit<TrainingPlan, "from">;
  /** The run's own folder, for checkpoints, log and plot. */
  readonly folder: string;
  /** Everything that the outcome depends on: a run is resumed only with the same. */
  readonly identity: Json;
  /** Is run before the first step of a run that does not go on from a checkpoint. */
  readonly checkStart?: () => Promise<void>;
}

/** Is how a run ended. */
export interface TrainingOutcome {
  readonly point: TrainingPoint;
  /** The last step's, NaN when no step was left to do. */
  readonly loss: number;
  readonly seconds: number;
}

/**
 * Turns a failed allocation into an error that says what helps; others stay as they are.
 * @param remedy - the settings that make a training smaller, as a full sentence.
 */
export function explainMemory(error: unknown, remedy: string): unknown {
  const isAllocation =
    error instanceof RangeError && /allocation failed|invalid (typed )?array.* length/i.test(error.message);
  const isKnown = isEdgeInfiniteError(error) && error.code === "out-of-memory";
  if (!isAllocation && !isKnown) return error;
  return new OutOfMemoryError({
    where: "training",
    what: "there is not enough memory",
    got: error instanceof Error ? error.message : undefined,
    remedy,
    cause: error,
  });
}

/** Writes the progress of a run as a line; what does not fit in `columns` is left out from the end. */
export function formatTrainingProgress(event: StepEvent, totalSteps: number, columns: number): string {
  const { step, loss, tokensPerSecond, secondsLeft } = event;
  return fitParts(
    [
      formatBar(step / totalSteps),
      `step ${formatCount(step)} of ${formatCount(totalSteps)}`,
      `loss ${loss.toFixed(4)}`,
      `${formatRate(tokensPerSecond)} tokens/s`,
      `${formatSeconds(secondsLeft)} left`,
    ],
    columns,
  );
}

function toLogEntry({ type: _, secondsLeft: __, ...facts }: StepEvent): LogEntry {
  return facts;
}

/** Is a run under way. */
class Run {
  readonly #run: TrainingRun;
  readonly #status: StatusLine;
  readonly #startMs = performance.now();
  #loss = Number.NaN;
  #savedStep = 0;
  /** Whether it is known what was saved before. */
  #isLoaded = false;

  constructor(run: TrainingRun) {
    this.#run = run;
    this.#status = new StatusLine(run.context.terminal.stderr, !run.mode.quiet);
  }

  async #load(): Promise<TrainingPoint | undefined> {
    const { plan, folder, identity, context } = this.#run;
    const { parameters } = plan.objective;
    const expected = { parameters, config: identity };
    const state = await loadTrainingCheckpoint(folder, expected, context.signal);
    if (state === undefined) return undefined;
    this.#savedStep = state.step;
    return { ...state, tokenCount: state.counters.tokenCount ?? 0 };
  }

  async #save(point: TrainingPoint): Promise<void> {
    const { folder, identity } = this.#run;
    const { step, position, skipped, parameters, optimizer, tokenCount } = point;
    const state: TrainingState = {
      ...{ step, position, skipped, parameters, optimizer },
      counters: { tokenCount },
      config: identity,
    };
    await saveTrainingCheckpoint(folder, state);
    this.#savedStep = step;
    const losses = (await readTrainingLog(join(folder, "log.jsonl"))).flatMap(({ step: at, loss }) =>
      typeof loss === "number" ? [{ step: at, loss }] : [],
    );
    const svg = drawLossPlot("Loss of training", losses);
    await writeFileAtomic(join(folder, "loss.svg"), new TextEncoder().encode(svg));
  }

  async #tellStep(event: StepEvent): Promise<void> {
    const { context, mode, plan } = this.#run;
    const { stdout, stderr } = context.terminal;
    this.#status.show((columns) => formatTrainingProgress(event, plan.totalSteps, columns));
    if (mode.json) await stdout.json(event);
    if (event.action === "take" || mode.quiet || mode.json) return;
    await this.#status.clear();
    await stderr.line(`notice: step ${event.step} was skipped: its loss or gradients were no numbers`);
  }

  async #tellSaved(point: TrainingPoint): Promise<void> {
    const { context, mode, folder } = this.#run;
    if (mode.json) return context.terminal.stdout.json({ type: "saved", step: point.step, folder });
    if (mode.quiet || context.terminal.stderr.isInteractive) return;
    await context.terminal.stderr.line(`step ${point.step}, loss ${this.#loss.toFixed(4)}: saved`);
  }

  /** Says where a run that ended early can be taken up; nothing of one that could not be read. */
  async tellEnd(): Promise<void> {
    const { context, mode, plan } = this.#run;
    await this.#status.clear();
    if (!this.#isLoaded) return;
    const step = this.#savedStep;
    if (mode.json) await context.terminal.stdout.json({ type: "stopped", savedStep: step });
    const text =
      step === 0
        ? "no step is saved: the same command with --resume begins anew"
        : `step ${step} of ${plan.totalSteps} is saved: the same command with --resume goes on from there`;
    await context.terminal.stderr.line(`stopped; ${text}`);
  }

  async work(): Promise<TrainingOutcome> {
    const { plan, folder, checkStart, context } = this.#run;
    const from = await this.#load();
    this.#isLoaded = true;
    if (from === undefined) await checkStart?.();
    const log = await openTrainingLog(join(folder, "log.jsonl"), from?.step ?? 0);
    let last: TrainingPoint | undefined;
    for await (const event of train({ ...plan, ...(from && { from }) }, context.signal)) {
      if (event.type === "step") {
        this.#loss = event.loss;
        await log.write(toLogEntry(event));
        await this.#tellStep(event);
        continue;
      }
      last = event.point;
      await this.#save(last);
      if (event.type === "checkpoint") await this.#tellSaved(last);
    }
    await this.#status.clear();
    context.signal.throwIfAborted();
    const seconds = (performance.now() - this.#startMs) / 1000;
    if (last !== undefined) return { point: last, loss: this.#loss, seconds };
    throw new Error("training ended without its end");
  }
}

/**
 * Trains to the end.
 * @param memoryRemedy - the settings that make this training smaller, as a full sentence.
 * @throws as {@link train} does; {@link FileError} when the disk is full; {@link InvalidRequestError} when a
 * checkpoint is of another run. What can be taken up is told before.
 */
export async function runTraining(run: TrainingRun, memoryRemedy: string): Promise<TrainingOutcome> {
  const work = new Run(run);
  try {
    return await work.work();
  } catch (error) {
    await work.tellEnd();
    throw explainMemory(error, memoryRemedy);
  }
}
