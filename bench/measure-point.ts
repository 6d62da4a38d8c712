/**
 * Measures one point with a loaded engine: prefill of the last segment, time to first token, decoding.
 *
 * Token ids are random: speed does not depend on them. A short stream warms the engine up first and is forgotten.
 */

import os from "node:os";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import type { BenchEngine } from "./engine.ts";

/** Sizes a measurement, in tokens. */
export interface PointSizes {
  readonly lengthTokens: number;
  /** Of the last stretch of the prompt, over which prefill is timed. */
  readonly segmentTokens: number;
  readonly decodedTokens: number;
  readonly vocabularySize: number;
}

/** Is what a measurement gives; times in milliseconds. */
export interface PointSpeeds {
  readonly prefillTokensPerSecond: number;
  readonly firstTokenMs: number;
  readonly decodeMs: number;
  readonly stateBytes: number;
}

/** Draws token ids below the vocabulary's size; the same for all engines. */
export function drawIds(count: number, vocabularySize: number): number[] {
  const generator = xoroshiro128plus(1);
  return Array.from({ length: count }, () => uniformInt(generator, 0, vocabularySize - 1));
}

async function timeDecode(engine: BenchEngine, stepCount: number): Promise<number> {
  // The first id costs nothing: it follows from what was read.
  let [first, last, count] = [0, 0, -1];
  for await (const _ of engine.decode(stepCount + 1)) {
    last = performance.now();
    if (count < 0) first = last;
    count += 1;
  }
  return (last - first) / count;
}

/** Measures an engine at a length. */
export async function measurePoint(engine: BenchEngine, sizes: PointSizes): Promise<PointSpeeds> {
  const { lengthTokens, decodedTokens, vocabularySize } = sizes;
  const segmentTokens = Math.min(sizes.segmentTokens, lengthTokens);
  const ids = drawIds(lengthTokens, vocabularySize);
  await engine.read(ids.slice(0, segmentTokens));
  await timeDecode(engine, Math.ceil(decodedTokens / 2));
  await engine.clear();
  const start = performance.now();
  if (lengthTokens > segmentTokens) await engine.read(ids.slice(0, -segmentTokens));
  const beforeLast = performance.now();
  await engine.read(ids.slice(-segmentTokens));
  const end = performance.now();
  const stateBytes = engine.stateBytes();
  return {
    prefillTokensPerSecond: (1000 * segmentTokens) / (end - beforeLast),
    firstTokenMs: end - start,
    decodeMs: await timeDecode(engine, decodedTokens),
    stateBytes,
  };
}

/** Watches the processors: gives a function that tells the share of them that other processes have taken. */
export function watchElsewhere(): () => number {
  const busyMs = (): number =>
    os.cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  const [busy, own, start] = [busyMs(), process.cpuUsage(), performance.now()];
  return () => {
    const { user, system } = process.cpuUsage(own);
    const others = busyMs() - busy - (user + system) / 1000;
    return Math.max(0, others / ((performance.now() - start) * os.cpus().length));
  };
}
