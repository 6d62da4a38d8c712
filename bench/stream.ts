/**
 * Measures a long stream: prefill and decode speed, state and resident memory at growing lengths.
 *
 *   npm run bench -- --model FOLDER [--adapter FOLDER] [--dtype f32|q8|q4] [--lengths 512,4096,16384]
 *                    [--threads 2] [--svg FILE] [--json FILE]
 *
 * Token ids are random: speed does not depend on them. Prefill is timed over the last segment before each
 * length, decode over 32 tokens on a clone, so that the stream itself goes on as it was.
 */

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { weightDTypes } from "../src/engine/memory-estimate.ts";
import { loadModel, type Model, type Session } from "../src/node.ts";
import { drawLinePlot } from "./line-plot.ts";

interface Row {
  readonly lengthTokens: number;
  readonly prefillTokensPerSecond: number;
  readonly decodeMs: number;
  readonly stateBytes: number;
  readonly fullCacheBytes: number;
  readonly residentBytes: number;
}

const decodedTokens = 32;

async function measureDecode(session: Session): Promise<number> {
  using twin = session.clone();
  const start = performance.now();
  for await (const _ of twin.generate({ maxNewTokens: decodedTokens, ignoreEos: true }));
  return (performance.now() - start) / decodedTokens;
}

async function* measureStream(model: Model, lengths: readonly number[]): AsyncGenerator<Row> {
  const session = model.createSession();
  const generator = xoroshiro128plus(1);
  const draw = (count: number): number[] =>
    Array.from({ length: count }, () => uniformInt(generator, 0, model.config.vocabularySize - 1));
  const segment = model.context.segmentTokens;
  for (const length of lengths) {
    const before = length - segment - session.lengthTokens;
    if (before > 0) await session.append(draw(before));
    const rest = length - session.lengthTokens;
    const start = performance.now();
    await session.append(draw(rest));
    const prefillTokensPerSecond = (1000 * rest) / (performance.now() - start);
    const { stateBytes, fullCacheBytes } = session.stats;
    const residentBytes = process.memoryUsage.rss();
    const decodeMs = await measureDecode(session);
    yield {
      lengthTokens: length,
      prefillTokensPerSecond,
      decodeMs,
      stateBytes,
      fullCacheBytes,
      residentBytes,
    };
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

function plotMemory(model: Model, rows: readonly Row[]): string {
  const line = (label: string, color: string, pick: (row: Row) => number) => ({
    label,
    color,
    points: rows.map((row) => [row.lengthTokens, pick(row)] as const),
  });
  return drawLinePlot({
    title: `Memory of one session: ${model.config.geometry.layerCount} layers, float32`,
    xLabel: "tokens read",
    yLabel: "bytes",
    formatX: (x) => (x >= 1024 ? `${x / 1024}K` : String(x)),
    formatY: (y) => (y >= 1e9 ? `${y / 1e9} GB` : `${y / 1e6} MB`),
    lines: [
      line("EdgeInfinite state", "#0a7", (row) => row.stateBytes),
      line("full KV cache", "#c33", (row) => row.fullCacheBytes),
    ],
  });
}

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    adapter: { type: "string" },
    dtype: { type: "string", default: "auto" },
    lengths: { type: "string", default: "512,2048,4096,8192,16384" },
    threads: { type: "string", default: "2" },
    svg: { type: "string" },
    json: { type: "string" },
  },
});
if (values.model === undefined) throw new Error("bench: --model FOLDER is missing");
await using model = await loadModel(values.model, {
  threads: Number(values.threads),
  dtype: weightDTypes.find((dtype) => dtype === values.dtype) ?? "auto",
  ...(values.adapter !== undefined && { adapter: values.adapter }),
});
const lengths = values.lengths.split(",").map(Number);
const rows: Row[] = [];
console.log(
  `${model.name}, ${values.dtype}, ${model.policy}, ${model.runtimeName}, context ${JSON.stringify(model.context)}`,
);
console.log("tokens | prefill tok/s | decode ms | state MB | full cache MB | resident MB");
for await (const row of measureStream(model, lengths)) {
  rows.push(row);
  const { lengthTokens, prefillTokensPerSecond, decodeMs, stateBytes, fullCacheBytes, residentBytes } = row;
  const speeds = `${prefillTokensPerSecond.toFixed(0)} | ${decodeMs.toFixed(1)}`;
  const sizes = [stateBytes, fullCacheBytes, residentBytes].map(megabytes).join(" | ");
  console.log(`${lengthTokens} | ${speeds} | ${sizes}`);
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
if (values.svg !== undefined) writeFileSync(values.svg, plotMemory(model, rows));
