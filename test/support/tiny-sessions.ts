/**
 * Tiny models in ONNX Runtime, and what tests of sessions do with them again and again.
 */

import type { GenerateEvent, TokenEvent } from "../../src/engine/generate.ts";
import type { LoadOptions } from "../../src/engine/load-model.ts";
import type { Model } from "../../src/engine/model.ts";
import type { Session } from "../../src/engine/session.ts";
import type { ModelFolder } from "../../src/files/model-folder.ts";
import type { ContextSettings } from "../../src/memory/geometry.ts";
import type { PolicyName } from "../../src/memory/policy.ts";
import { loadModel } from "../../src/node.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../../src/testing/tiny-model.ts";

export { estimateMemory, loadModel } from "../../src/node.ts";

/** Odd sizes, so that nothing fits by chance. C is 37. */
export const tinyContext: ContextSettings = {
  sinkTokens: 3,
  slotTokens: 0,
  windowTokens: 21,
  segmentTokens: 13,
};

/** C of {@link tinyContext}: the token after that many brings the first commit. */
export const tinyCapacity = 37;

/** Loads the tiny model for a policy; `paper` gets the tiny adapter. */
export function loadTiny(
  policy: PolicyName = "paper",
  options: LoadOptions = {},
  folder: ModelFolder = createTinyModelFolder(),
): Promise<Model> {
  return loadModel(folder, {
    policy,
    context: tinyContext,
    threads: 1,
    ...(policy === "paper" && { adapter: createTinyAdapterFolder() }),
    ...options,
  });
}

/** Lists ids that look random: those of ordinary tokens of the tiny vocabulary, other ones for another seed. */
export function tinyIds(count: number, seed = 1): number[] {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  return Array.from({ length: count }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return 2 + ((state >>> 0) % 270);
  });
}

/** Returns the session's logits. */
export function logitsOf(session: Session): Float32Array {
  if (session.logits === undefined) throw new Error("the session is empty");
  return session.logits;
}

/** Returns the bits of numbers as text: equal only where every bit is. */
export function bitsOf(numbers: Float32Array | Uint8Array): string {
  return Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength).toString("hex");
}

/** Returns the largest absolute difference; NaN counts as infinite. */
export function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((largest, value, index) => {
    const difference = Math.abs(value - (b[index] ?? Number.NaN));
    return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(largest, difference);
  }, 0);
}

/** Reads a stream to its end. */
export async function collectEvents<Event>(events: AsyncIterable<Event>): Promise<Event[]> {
  const all: Event[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** Picks the tokens of a generation. */
export function tokenEvents(events: readonly { readonly type: string }[]): TokenEvent[] {
  return (events as readonly GenerateEvent[]).filter((event) => event.type === "token");
}

/** Generates greedily, past any end-of-text token, and returns the ids. */
export async function generateIds(session: Session, maxNewTokens: number): Promise<number[]> {
  const events = await collectEvents(session.generate({ maxNewTokens, ignoreEos: true }));
  return tokenEvents(events).map(({ id }) => id);
}
