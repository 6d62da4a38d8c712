import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTinyModelFolder } from "../src/testing/index.ts";
import { formatReport } from "./report-table.ts";
import { type Results, readResults, writeResults } from "./results.ts";
import { type RunPlan, runRounds } from "./run-rounds.ts";
import { openSubject } from "./subject.ts";
import { summarize } from "./summarize.ts";

const context = { sinkTokens: 2, slotTokens: 0, windowTokens: 16, segmentTokens: 8 };
const setup: Results["setup"] = {
  subject: "tiny",
  processor: "a processor",
  node: process.versions.node,
  threads: 1,
  segmentTokens: 8,
  decodedTokens: 4,
};
const nothing: Results = { setup, points: [], ceilings: [] };

let folder = "";
let plan: RunPlan;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "edgeinfinite-bench-"));
  const model = createTinyModelFolder();
  for (const file of ["config.json", "model.safetensors"]) {
    const source = await model.open(file);
    await writeFile(join(folder, file), await source.read(0, source.sizeBytes));
    await source.close();
  }
  plan = {
    subject: await openSubject(folder, "q8", undefined),
    engines: ["edgeinfinite"],
    lengths: [8],
    ownLengths: [40],
    rounds: 1,
    threads: 1,
    context,
    decodedTokens: 4,
    built: false,
    readBytes: 4096,
  };
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function run(before: Results): Promise<Results[]> {
  const steps: Results[] = [];
  for await (const results of runRounds(plan, before)) steps.push(results);
  return steps;
}

describe("runRounds", () => {
  it("measures the machine and every length, keeps what was measured, and makes a table of it", async () => {
    const steps = await run(nothing);
    expect(steps.map(({ points, ceilings }) => [ceilings.length, points.length])).toEqual([
      [1, 0],
      [1, 1],
      [1, 2],
    ]);
    const results = steps.at(-1) ?? nothing;
    expect(results.points.map(({ lengthTokens }) => lengthTokens)).toEqual([8, 40]);
    const path = join(folder, "results.json");
    await writeResults(path, results);
    const kept = await readResults(path, setup);
    expect(kept).toEqual(results);
    // Nothing is measured twice.
    expect(await run(kept ?? nothing)).toEqual([]);
    const { subject } = plan;
    const summary = summarize(results, { ...subject, context });
    const [first, second] = summary.rows;
    // The state is constant, and every figure is there.
    expect(second?.stateBytes).toBe(first?.stateBytes);
    for (const value of Object.values(second ?? {}))
      if (typeof value === "number") expect(value).toBeGreaterThanOrEqual(0);
    expect(second?.productShare).toBeGreaterThan(0);
    const lines = formatReport(results, summary).split("\n");
    const rows = lines.filter((line) => line.includes("| edgeinfinite |"));
    expect(rows.map((row) => row.split("|").length)).toEqual([14, 14]);
  });

  it("tells why a measurement failed, and refuses to go on with another run", async () => {
    const { subject } = plan;
    const broken = { ...plan, subject: { ...subject, models: { edgeinfinite: join(folder, "missing") } } };
    const steps = runRounds(broken, {
      ...nothing,
      ceilings: [{ round: 0, productFlops: 1, productShape: "", readBytesPerSecond: 1, elsewhere: 0 }],
    });
    await expect(steps.next()).rejects.toThrow(/edgeinfinite at 8 tokens failed: .*missing/s);
    const path = join(folder, "other.json");
    await writeResults(path, nothing);
    await expect(readResults(path, { ...setup, threads: 2 })).rejects.toThrow(/is of another run/);
    expect(await readResults(join(folder, "none.json"), setup)).toBeUndefined();
  });
});
