/**
 * Runs the rounds: for each length the engines in turn, so that what slows the machine down meets all of them.
 */

import type { ContextSettings } from "../src/memory/geometry.ts";
import type { EngineName } from "./engine.ts";
import { parseCeiling, parsePoint, type Results } from "./results.ts";
import { runMeasurement } from "./run-measurement.ts";
import type { Subject } from "./subject.ts";

/** Says what to run. */
export interface RunPlan {
  readonly subject: Subject;
  readonly engines: readonly EngineName[];
  readonly lengths: readonly number[];
  /** Lengths that EdgeInfinite alone is measured at. */
  readonly ownLengths: readonly number[];
  readonly rounds: number;
  readonly threads: number;
  readonly context: ContextSettings;
  readonly decodedTokens: number;
  readonly built: boolean;
  /** Bytes that each thread reads to find the memory's rate. */
  readonly readBytes: number;
}

/** Steps of a round: what to measure, in order. */
type Step = { readonly engine: EngineName; readonly lengthTokens: number } | "ceiling";

const fixedRepeats = 9;

function listSteps({ engines, lengths, ownLengths }: RunPlan): Step[] {
  const shared = lengths.flatMap((lengthTokens) => engines.map((engine) => ({ engine, lengthTokens })));
  const own = ownLengths.map((lengthTokens) => ({ engine: "edgeinfinite" as const, lengthTokens }));
  return ["ceiling", ...shared, ...own];
}

function isDone(step: Step, round: number, { points, ceilings }: Results): boolean {
  if (step === "ceiling") return ceilings.some((ceiling) => ceiling.round === round);
  return points.some(
    (point) =>
      point.round === round && point.engine === step.engine && point.lengthTokens === step.lengthTokens,
  );
}

async function measureStep(step: Step, round: number, plan: RunPlan, results: Results): Promise<Results> {
  const { subject, threads, context, decodedTokens, built, readBytes } = plan;
  const { shape, format } = subject;
  if (step === "ceiling") {
    const rows = context.segmentTokens;
    const ceilingPlan = { shape, format, threads, rows, readBytes, repeats: fixedRepeats };
    const measured = await runMeasurement({ kind: "ceiling", plan: ceilingPlan });
    const ceiling = parseCeiling({ ...measured, round });
    return { ...results, ceilings: [...results.ceilings, ceiling] };
  }
  const { engine, lengthTokens } = step;
  const model = subject.models[engine];
  if (model === undefined) throw new Error(`bench: ${engine} cannot read ${subject.name}`);
  const options = {
    model,
    dtype: subject.dtype,
    ...(subject.adapter !== undefined && { adapter: subject.adapter }),
    context,
    threads,
    contextTokens: lengthTokens + decodedTokens + 1,
    built,
  };
  const sizes = {
    lengthTokens,
    segmentTokens: context.segmentTokens,
    decodedTokens,
    vocabularySize: shape.vocabularySize,
  };
  const measured = await runMeasurement({ kind: "point", engine, options, sizes });
  const point = parsePoint({ ...measured, engine, lengthTokens, round });
  return { ...results, points: [...results.points, point] };
}

/** Runs what a plan has that the results have not; yields the results after every step. */
export async function* runRounds(plan: RunPlan, before: Results): AsyncGenerator<Results, void, void> {
  let results = before;
  for (let round = 0; round < plan.rounds; round++) {
    for (const step of listSteps(plan)) {
      if (isDone(step, round, results)) continue;
      results = await measureStep(step, round, plan, results);
      yield results;
    }
  }
}
