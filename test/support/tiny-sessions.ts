/**
 * Tiny models in ONNX Runtime, and what tests of sessions do with them again and again.
 */

import { createHash } from "node:crypto";
import type { GenerateEvent, TokenEvent } from "../../src/engine/generate.ts";
import { type LoadOptions, loadModelOn } from "../../src/engine/load-model.ts";
import type { Model } from "../../src/engine/model.ts";
import type { Session } from "../../src/engine/session.ts";
import { type ModelFolder, makeModelFolder, memoryModelFolder } from "../../src/files/model-folder.ts";
import { parseSafetensorsHeader, readTensor } from "../../src/files/safetensors.ts";
import { writeSafetensors } from "../../src/files/safetensors-writer.ts";
import type { ContextSettings } from "../../src/memory/geometry.ts";
import { keepsSlots } from "../../src/memory/policies.ts";
import type { PolicyName } from "../../src/memory/policy.ts";
import { loadModel } from "../../src/node.ts";
import { createNodeRuntime } from "../../src/runtime/node.ts";
import type { Runtime, RuntimeSession } from "../../src/runtime/runtime.ts";
import type { HostTensor } from "../../src/tensor/host-tensor.ts";
import {
  createTinyAdapterFolder,
  createTinyModelFolder,
  type TinyAdapterOptions,
} from "../../src/testing/tiny-model.ts";

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

/** {@link tinyContext} with some of the window given to slots: C is the same. */
export const tinySlotContext: ContextSettings = { ...tinyContext, slotTokens: 6, windowTokens: 15 };

/** Is a tiny adapter for `plus` with all that there can be in one. */
export const tinyPlus = {
  variant: "plus",
  scoreKernel: 3,
  slotBias: true,
  writeGate: true,
  featureCount: 5,
  fusion: "shared-normalizer",
} as const;

/** Is a tiny adapter for `plus` whose two layers share their slots unequally. */
export const tinyShared = {
  variant: "plus",
  slotBias: true,
  linearMemory: false,
  slotShares: [1, 3],
  scoreKernel: 5,
} as const;

const tinyAdapters: { readonly [Name in PolicyName]?: TinyAdapterOptions } = {
  paper: {},
  plus: tinyPlus,
  infini: { variant: "infini", updateRule: "delta" },
};

/** Loads the tiny model for a policy; those that are trained get a tiny adapter. */
export function loadTiny(
  policy: PolicyName = "paper",
  options: LoadOptions = {},
  folder: ModelFolder = createTinyModelFolder(),
): Promise<Model> {
  const adapter = tinyAdapters[policy];
  return loadModel(folder, {
    policy,
    context: keepsSlots(policy) ? tinySlotContext : tinyContext,
    threads: 1,
    ...(adapter && { adapter: createTinyAdapterFolder(adapter) }),
    ...options,
  });
}

/** Puts other files into a folder; undefined takes one away. */
export function editFolder(
  folder: ModelFolder,
  edits: Readonly<Record<string, Uint8Array | string | undefined>>,
): ModelFolder {
  const added = Object.entries(edits).flatMap(([file, content]) =>
    content === undefined ? [] : [[file, content] as const],
  );
  const own = memoryModelFolder(folder.name, Object.fromEntries(added));
  return makeModelFolder({
    name: folder.name,
    has: async (file) => (Object.hasOwn(edits, file) ? edits[file] !== undefined : folder.has(file)),
    open: (file) => (Object.hasOwn(edits, file) ? own.open(file) : folder.open(file)),
  });
}

/** Rewrites the tensors of one file of a folder. */
export async function editTensors(
  folder: ModelFolder,
  file: string,
  edit: (tensors: Record<string, HostTensor>) => void,
): Promise<ModelFolder> {
  const { tensors } = await parseSafetensorsHeader(await folder.open(file));
  const read = [...tensors].map(async ([name, entry]) => [name, await readTensor(entry)] as const);
  const record: Record<string, HostTensor> = Object.fromEntries(await Promise.all(read));
  edit(record);
  return editFolder(folder, { [file]: writeSafetensors(record) });
}

/** Says what is done after a session was made, before a run, and after a session's end, by the graph's name. */
export interface RuntimeWatch {
  readonly onCreate?: (graph: string) => void;
  readonly onRun?: (graph: string) => void;
  readonly onDispose?: (graph: string) => void;
}

function watchRuntime(runtime: Runtime, { onCreate, onRun, onDispose }: RuntimeWatch): Runtime {
  return {
    name: runtime.name,
    async createSession(graph, signal) {
      const session: RuntimeSession = await runtime.createSession(graph, signal);
      onCreate?.(graph.name);
      return {
        inputNames: session.inputNames,
        outputNames: session.outputNames,
        run(feeds, outputs) {
          onRun?.(graph.name);
          return session.run(feeds, outputs);
        },
        async [Symbol.asyncDispose]() {
          await session[Symbol.asyncDispose]();
          onDispose?.(graph.name);
        },
      };
    },
  };
}

/** Loads the tiny model with its adapter over a runtime that is watched. */
export function loadWatched(
  watch: RuntimeWatch,
  options: LoadOptions = {},
  folder: ModelFolder = createTinyModelFolder(),
): Promise<Model> {
  const platform = {
    openFolder: () => Promise.reject(new Error("tiny folders are open")),
    createRuntime: async () => watchRuntime(createNodeRuntime({ threads: 1 }), watch),
  };
  return loadModelOn(platform, folder, {
    context: tinyContext,
    adapter: createTinyAdapterFolder(),
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

/** Returns a digest of numbers: equal only where every bit is. */
export function bitsOf(numbers: Float32Array | Uint8Array): string {
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  return createHash("sha256").update(bytes).digest("hex");
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
