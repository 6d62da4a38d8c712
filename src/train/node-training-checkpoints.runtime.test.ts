import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadTrainingCheckpoint } from "./node-training-checkpoints.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "killed-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const stepCount = 150;

/** Trains from the latest checkpoint to the end, and saves after each step. */
const program = `
import { makeAdamW } from ${JSON.stringify(new URL("./adamw.ts", import.meta.url).href)};
import { loadTrainingCheckpoint, saveTrainingCheckpoint } from
  ${JSON.stringify(new URL("./node-training-checkpoints.ts", import.meta.url).href)};
const optimizer = makeAdamW();
const parameters = new Map([["w", new Float32Array(20000).fill(1)]]);
let state = await loadTrainingCheckpoint(process.argv[1], { parameters, config: {} }) ?? {
  step: 0, parameters, optimizer: optimizer.init(parameters), position: { document: 0 },
  skipped: { inARow: 0, total: 0 }, counters: {}, config: {},
};
console.log("ready");
while (state.step < ${stepCount}) {
  const slopes = new Map([["w", state.parameters.get("w").map((value, index) => value - Math.sin(state.step * index))]]);
  state = { ...state, optimizer: await optimizer.update(state.parameters, slopes, state.optimizer, 0.01),
    step: state.step + 1, position: { document: state.step + 1 } };
  await saveTrainingCheckpoint(process.argv[1], state);
}
`;

function train(path: string): ChildProcess {
  const argv = ["--import", "tsx", "--input-type=module", "--eval", program, path];
  return spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
}

const expected = { parameters: new Map([["w", new Float32Array(20000)]]), config: {} };

async function finish(child: ChildProcess): Promise<void> {
  const [code] = await once(child, "exit");
  expect(code).toBe(0);
}

describe("checkpoints of a killed process", () => {
  it("are always whole, and lead to what an uninterrupted run gives", async () => {
    const [whole, killed] = [join(folder, "whole"), join(folder, "killed")];
    await finish(train(whole));
    for (let kill = 0; kill < 6; kill++) {
      const child = train(killed);
      if (child.stdout === null) throw new Error("there is no output");
      await once(child.stdout, "data");
      // Anywhere within some tens of saves, whatever this machine's speed.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 200));
      child.kill("SIGKILL");
      await once(child, "exit");
      const state = await loadTrainingCheckpoint(killed, expected);
      expect(state?.position.document ?? 0).toBe(state?.step ?? 0);
    }
    await finish(train(killed));
    const [one, other] = [
      await loadTrainingCheckpoint(whole, expected),
      await loadTrainingCheckpoint(killed, expected),
    ];
    expect(one?.step).toBe(stepCount);
    expect(other).toEqual(one);
    expect((await readdir(killed)).sort()).toEqual([`step-${stepCount}`, `step-${stepCount - 1}`].sort());
  });
});
