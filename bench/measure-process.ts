/**
 * A process of its own for one measurement, so that nothing that was measured before shares its memory.
 *
 * The parent sends a task and gets the result, or why there is none.
 */

import { type EngineName, type EngineOptions, importEngine } from "./engine.ts";
import { type CeilingPlan, measureCeiling } from "./measure-ceiling.ts";
import { measurePoint, type PointSizes, watchElsewhere } from "./measure-point.ts";

/** Says what a process measures. */
export type MeasureTask =
  | {
      readonly kind: "point";
      readonly engine: EngineName;
      readonly options: EngineOptions;
      readonly sizes: PointSizes;
    }
  | { readonly kind: "ceiling"; readonly plan: CeilingPlan };

/** Is what a process answers. */
export type MeasureAnswer = { readonly result: object } | { readonly error: string };

async function runPoint({ engine: name, options, sizes }: MeasureTask & { kind: "point" }): Promise<object> {
  const emptyResidentBytes = process.memoryUsage.rss();
  const start = performance.now();
  const load = await importEngine(name);
  await using engine = await load(options);
  const loadMs = performance.now() - start;
  const elsewhere = watchElsewhere();
  const speeds = await measurePoint(engine, sizes);
  const peakResidentBytes = process.resourceUsage().maxRSS * 1024;
  const { description } = engine;
  return { ...speeds, loadMs, emptyResidentBytes, peakResidentBytes, elsewhere: elsewhere(), description };
}

async function runCeiling({ plan }: MeasureTask & { kind: "ceiling" }): Promise<object> {
  const elsewhere = watchElsewhere();
  return { ...(await measureCeiling(plan)), elsewhere: elsewhere() };
}

async function answer(task: MeasureTask): Promise<MeasureAnswer> {
  try {
    return { result: task.kind === "point" ? await runPoint(task) : await runCeiling(task) };
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

process.once("message", async (task: MeasureTask) => {
  process.send?.(await answer(task), () => process.exit());
});
