/**
 * Scores the right answers of real records.
 *
 * Needs the shared data folder (EDGEINFINITE_SHARED, else ../shared beside the repository).
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { longBenchDataSets, parseLongBenchName, scoreLongBench } from "./longbench-data-sets.ts";
import { parseLongBenchRecords } from "./longbench-records.ts";

const folder = resolve(process.env.EDGEINFINITE_SHARED ?? resolve("..", "shared"), "data/minilongbench");
const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];

describe("the metrics of LongBench", () => {
  const note = files.length > 0 ? "" : ` (skipped: ${folder} is not there; set EDGEINFINITE_SHARED)`;

  it.skipIf(files.length === 0)(
    `give right answers the greatest score, and nothing 0${note}`,
    () => {
      for (const file of files) {
        const name = parseLongBenchName(file.replace(/^MiniLongBench_|\.json$/g, ""));
        const dataSet = longBenchDataSets[name];
        for (const { references, classes } of parseLongBenchRecords(
          file,
          name,
          readFileSync(join(folder, file), "utf8"),
        )) {
          for (const reference of references)
            expect(scoreLongBench(dataSet, reference, references, classes), file).toBeGreaterThan(1 - 1e-8);
          expect(scoreLongBench(dataSet, "", references, classes), file).toBe(0);
        }
      }
    },
    60_000,
  );
});
