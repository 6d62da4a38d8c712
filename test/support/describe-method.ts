/**
 * Holds an engine on some device to the method's definition: what every device must do with a whole model.
 *
 * A tiny random model reads a stream over several commits; the oracle reads the same in float64.
 */

import { describe, expect, it } from "vitest";
import type { LoadOptions } from "../../src/engine/load-model.ts";
import type { Model } from "../../src/engine/model.ts";
import type { ModelFolder } from "../../src/files/model-folder.ts";
import { keepsSlots } from "../../src/memory/policies.ts";
import type { PolicyName } from "../../src/memory/policy.ts";
import {
  createTinyAdapterFolder,
  createTinyModelFolder,
  type TinyModelOptions,
} from "../../src/testing/tiny-model.ts";
import { type OracleContext, readOracleModel, StreamOracle } from "./edgeinfinite-oracle.ts";
import { SlotOracle, slotChoiceOf, slotsOfLayers } from "./slot-oracle.ts";

/** Loads a model on the device under test. */
export type LoadOnDevice = (folder: ModelFolder, options: LoadOptions) => Promise<Model>;

/** Odd sizes: what is padded, grouped or rounded somewhere shows. */
const context: OracleContext = { sinkTokens: 3, windowTokens: 21, segmentTokens: 13 };
const sizes = { layerCount: 2, hiddenSize: 42, queryHeadCount: 6, keyValueHeadCount: 2, headSize: 10 };
/** 37 tokens fit before the first commit; the last one is the third's. */
const streamLength = 37 + 2 * 13 + 2;
const tokens = Array.from({ length: streamLength }, (_, index) => (index * index * 31 + 7 * index + 5) % 282);

const contextOf = (policy: PolicyName): Required<OracleContext> =>
  keepsSlots(policy) ? { ...context, slotTokens: 8, windowTokens: 13 } : { ...context, slotTokens: 0 };

function adapterFolder(policy: PolicyName): ModelFolder | undefined {
  if (policy !== "paper" && policy !== "plus" && policy !== "infini") return undefined;
  const plus = { slotBias: true, writeGate: true, featureCount: 7, fusion: "shared-normalizer" } as const;
  return createTinyAdapterFolder({
    ...sizes,
    rank: 5,
    seed: 12,
    variant: policy,
    ...(policy === "plus" && plus),
    ...(policy === "infini" && { updateRule: "delta" }),
  });
}

function loadSmall(load: LoadOnDevice, policy: PolicyName, options: TinyModelOptions = {}): Promise<Model> {
  const folder = createTinyModelFolder({ ...sizes, mlpSize: 50, seed: 11, ...options });
  const adapter = adapterFolder(policy);
  return load(folder, { policy, context: contextOf(policy), ...(adapter && { adapter }) });
}

async function createOracle(folder: ModelFolder, policy: PolicyName): Promise<StreamOracle | SlotOracle> {
  const model = await readOracleModel(folder, adapterFolder(policy));
  const own = contextOf(policy);
  if (own.slotTokens > 0) {
    const budgets = slotsOfLayers(policy, model.decoder.layerCount, own.slotTokens);
    return new SlotOracle(model, own, slotChoiceOf(policy), budgets);
  }
  return new StreamOracle(
    model,
    policy === "full" ? { ...own, windowTokens: Number.POSITIVE_INFINITY } : own,
  );
}

/** Returns the largest absolute difference; Infinity for different lengths or NaN. */
function largestDifference(a: ArrayLike<number> | undefined, b: ArrayLike<number> | undefined): number {
  if (a === undefined || b === undefined || a.length !== b.length) return Number.POSITIVE_INFINITY;
  return Array.from(a).reduce((largest, value, index) => {
    const difference = Math.abs(value - (b[index] ?? Number.NaN));
    return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(largest, difference);
  }, 0);
}

/** Gives the largest difference of any logit after any piece from the definition. */
async function measure(
  load: LoadOnDevice,
  policy: PolicyName,
  pieceTokens: number,
  options: TinyModelOptions = {},
): Promise<number> {
  const folder = createTinyModelFolder({ ...sizes, mlpSize: 50, seed: 11, ...options });
  const oracle = await createOracle(folder, policy);
  await using model = await loadSmall(load, policy, options);
  const session = model.createSession();
  let largest = 0;
  for (let start = 0; start < tokens.length; start += pieceTokens) {
    const piece = tokens.slice(start, start + pieceTokens);
    await session.append(piece);
    const expected = piece.map((token) => oracle.step(token)).at(-1);
    largest = Math.max(largest, largestDifference(session.logits, expected));
  }
  expect(session.stats.commitCount).toBe(policy === "full" ? 0 : 3);
  return largest;
}

function describeDefinition(load: LoadOnDevice, tolerance: number): void {
  it.for<[PolicyName, number]>([
    ["paper", 1],
    ["paper", 13],
    ["paper", 64],
    ["plus", 1],
    ["plus", 29],
    ["infini", 13],
    ["keydiff", 13],
    ["h2o", 13],
    ["snapkv", 13],
    ["pyramidkv", 13],
    ["streaming", 29],
    ["full", 5],
  ])("gives the logits of the definition: policy %s, pieces of %i", async ([policy, piece], { annotate }) => {
    const largest = await measure(load, policy, piece);
    await annotate(`largest difference ${largest.toExponential(1)}`);
    expect(largest).toBeLessThan(tolerance);
  });

  it.for<TinyModelOptions>([
    { modelType: "qwen3", tied: false },
    { modelType: "qwen2", dtype: "bfloat16" },
    { dtype: "float16", sharded: true },
  ])("gives the logits of the definition: %o", async (options) => {
    expect(await measure(load, "paper", 29, options)).toBeLessThan(tolerance);
  });
}

function describeSessions(load: LoadOnDevice, tolerance: number): void {
  it("saves a stream that goes on bit for bit when restored, at any place", async () => {
    for (const [policy, length] of [
      ["paper", 5],
      ["paper", 37],
      ["paper", 38],
      ["paper", 55],
      ["plus", 38],
      ["infini", 55],
      ["keydiff", 55],
      ["h2o", 55],
      ["snapkv", 55],
      ["pyramidkv", 55],
    ] as const) {
      await using model = await loadSmall(load, policy);
      const session = model.createSession();
      await session.append(tokens.slice(0, length));
      const twin = await model.restoreSession(await session.save());
      expect(twin.logits).toEqual(session.logits);
      for (const one of [session, twin]) await one.append(tokens.slice(length, length + 9));
      expect(twin.logits).toEqual(session.logits);
      expect(twin.stats.tokens).toEqual(session.stats.tokens);
      session.dispose();
    }
  });

  it("clones streams that go on apart, and keeps the state's size", async () => {
    await using model = await loadSmall(load, "paper");
    const session = model.createSession();
    const { stateBytes } = session;
    await session.append(tokens.slice(0, 45));
    const twin = session.clone();
    await twin.append(tokens.slice(0, 20));
    const whole = model.createSession();
    await whole.append([...tokens.slice(0, 45), ...tokens.slice(45, 60)]);
    await session.append(tokens.slice(45, 60));
    expect(largestDifference(session.logits, whole.logits)).toBeLessThan(tolerance);
    expect(largestDifference(twin.logits, whole.logits)).toBeGreaterThan(30 * tolerance);
    expect([session.stateBytes, twin.stateBytes]).toEqual([stateBytes, stateBytes]);
    twin.dispose();
    session.reset();
    await session.append(tokens.slice(0, 3));
    expect(session.lengthTokens).toBe(3);
  });

  it("holds weights in 8 and 4 bits, near to what they were", async () => {
    const wide = { ...sizes, hiddenSize: 64, headSize: 16, mlpSize: 96, seed: 3 };
    const folder = createTinyModelFolder(wide);
    const logits: (Float32Array | undefined)[] = [];
    for (const dtype of ["f32", "q8", "q4"] as const) {
      await using model = await load(folder, { policy: "streaming", context, dtype });
      const session = model.createSession();
      await session.append(tokens);
      logits.push(session.logits);
    }
    const [plain, eight, four] = logits;
    // Logits of order 1 to 5: 8 bits keep two digits of them, 4 bits the first.
    expect(largestDifference(plain, eight)).toBeLessThan(0.15);
    expect(largestDifference(plain, eight)).toBeGreaterThan(0);
    expect(largestDifference(plain, four)).toBeLessThan(2);
    expect(largestDifference(plain, four)).toBeGreaterThan(largestDifference(plain, eight));
  });
}

/**
 * Describes the engine on a device.
 * @param tolerance how far logits may lie from the definition's; they are between -5 and 5.
 */
export function describeMethod(name: string, load: LoadOnDevice, tolerance: number): void {
  describe(`${name}: the method`, () => {
    describeDefinition(load, tolerance);
    describeSessions(load, tolerance);
  });
}
