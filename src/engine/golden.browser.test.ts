/**
 * Holds WebAssembly and WebGPU in a browser to the golden files of the reference implementation, where the shared
 * data folder is there: the test server serves it.
 */

import { describe, expect, inject, it } from "vitest";
import { goldenSchema, goldenTolerance } from "../../test/support/golden-file.ts";
import { keepWebgpu } from "../../test/support/keep-webgpu.ts";
import { createWebRuntime } from "../runtime/web.ts";
import { loadModel } from "./web.ts";

declare module "vitest" {
  interface ProvidedContext {
    shared: string;
  }
}

const shared = new URL(`/@fs${inject("shared")}`, location.href).href;
const golden = `${shared}/reference/golden`;

const isThere = await fetch(`${golden}/stories260K-paper.json`, { method: "HEAD" }).then(({ ok }) => ok);
const note = isThere ? "" : " (skipped: the shared data folder is not there; set EDGEINFINITE_SHARED)";

async function measure(device: string, name: string): Promise<number> {
  const file = await (await fetch(`${golden}/stories260K-${name}.json`)).json();
  const { adapter, tokens, commits, logitsAfter, sinkTokens, windowTokens, segmentTokens } =
    goldenSchema.parse(file);
  const context = { sinkTokens, windowTokens, segmentTokens };
  await using model = await loadModel(`${shared}/data/checkpoints/stories260K`, {
    device,
    context,
    ...(adapter && { adapter: `${golden}/stories260K-adapter` }),
  });
  const session = model.createSession();
  let [start, largest] = [0, 0];
  for (const [position, logits] of Object.entries(logitsAfter)) {
    const end = Number(position) + 1;
    await session.append(tokens.slice(start, end));
    const got = session.logits ?? new Float32Array();
    expect(got).toHaveLength(logits.length);
    logits.forEach((logit, id) => {
      largest = Math.max(largest, Math.abs(logit - (got[id] ?? Number.POSITIVE_INFINITY)));
    });
    start = end;
  }
  if (start < tokens.length) await session.append(tokens.slice(start));
  expect(session.stats.commitCount).toBe(commits);
  return largest;
}

describe.each(["wasm", "webgpu"])("stories260K on %s", (device) => {
  if (isThere && device === "webgpu") keepWebgpu(() => createWebRuntime({ device }));

  for (const name of ["base", "paper", "streaming"]) {
    it.runIf(isThere)(`gives the golden logits, ${name}${note}`, async ({ annotate }) => {
      const largest = await measure(device, name);
      await annotate(`largest difference ${largest.toExponential(1)}`);
      expect(largest).toBeLessThan(goldenTolerance);
    });
  }
});
