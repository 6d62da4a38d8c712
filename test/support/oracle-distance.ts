/**
 * Measures how far the engine's logits are from the oracle's, after every piece of a stream with many commits.
 */

import type { ModelFolder } from "../../src/files/model-folder.ts";
import { keepsSlots } from "../../src/memory/policies.ts";
import type { PolicyName } from "../../src/memory/policy.ts";
import { loadModel } from "../../src/node.ts";
import {
  createTinyAdapterFolder,
  createTinyModelFolder,
  type TinyAdapterOptions,
  type TinyModelOptions,
} from "../../src/testing/tiny-model.ts";
import {
  type OracleContext,
  type OracleModel,
  readOracleModel,
  StreamOracle,
} from "./edgeinfinite-oracle.ts";
import { SlotOracle, slotChoiceOf, slotsOfLayers } from "./slot-oracle.ts";

/** Odd sizes: what is padded, grouped or rounded somewhere shows. */
export const oddContext: OracleContext = { sinkTokens: 3, windowTokens: 21, segmentTokens: 13 };
/** The same capacity, some of it slots. */
const oddSlotContext: OracleContext = { ...oddContext, slotTokens: 7, windowTokens: 14 };
/** Tokens before the first commit. */
export const oddCapacity = 37;
const oddSizes = { layerCount: 3, hiddenSize: 42, queryHeadCount: 6, keyValueHeadCount: 2, headSize: 10 };
const commitCount = 7;

/** The last token is the seventh commit's. */
export const oddTokens: readonly number[] = Array.from(
  { length: oddCapacity + 6 * oddContext.segmentTokens + 2 },
  (_, index) => (index * index * 31 + 7 * index + 5) % 282,
);

/** Chooses what is measured. */
export interface OracleRun {
  /** Of odd sizes where nothing else is said. */
  readonly options: TinyModelOptions;
  readonly policy: PolicyName;
  /** Tokens of a call; default 1. */
  readonly pieceTokens?: number;
  /** Layers of the adapter; default all. */
  readonly gatedLayers?: readonly number[];
  /** What an adapter for `plus` has. */
  readonly plus?: Pick<
    TinyAdapterOptions,
    "slotBias" | "scoreKernel" | "slotShares" | "linearMemory" | "featureCount" | "writeGate" | "fusion"
  >;
  /** Slots of each layer, where the policy's name does not tell. */
  readonly budgets?: readonly number[];
  /** How the memory of an adapter for `infini` takes in what leaves. */
  readonly updateRule?: TinyAdapterOptions["updateRule"];
  /** Of a Llama whose frequencies are not theta^(-2i/D). */
  readonly frequencies?: readonly number[];
  readonly context?: OracleContext;
}

/** Is what was measured. */
export interface OracleDistance {
  /** The largest difference of any logit after any piece. */
  readonly largest: number;
  /** The largest logit, so that a tolerance means something. */
  readonly range: number;
}

/** Creates the model and, for a policy that needs one, the adapter of a run. */
export function createRunFolders({ options, policy, gatedLayers, plus, updateRule }: OracleRun): {
  folder: ModelFolder;
  adapter: ModelFolder | undefined;
} {
  const sizes = { ...oddSizes, ...options };
  const { layerCount, hiddenSize, queryHeadCount, keyValueHeadCount, headSize } = sizes;
  const adapterSizes = { layerCount, hiddenSize, queryHeadCount, keyValueHeadCount, headSize };
  return {
    folder: createTinyModelFolder({ ...oddSizes, mlpSize: 50, seed: 11, ...options }),
    adapter:
      policy === "paper" || policy === "plus" || policy === "infini"
        ? createTinyAdapterFolder({
            ...adapterSizes,
            rank: 5,
            seed: 12,
            variant: policy,
            ...(gatedLayers && { gatedLayers }),
            ...(policy === "plus" && plus),
            ...(updateRule && { updateRule }),
          })
        : undefined,
  };
}

function createOracle(
  { policy, budgets: given }: OracleRun,
  model: OracleModel,
  context: OracleContext,
): StreamOracle | SlotOracle {
  if (keepsSlots(policy)) {
    const { slotTokens = 0 } = context;
    const budgets = given ?? slotsOfLayers(policy, model.decoder.layerCount, slotTokens);
    return new SlotOracle(model, { ...context, slotTokens }, slotChoiceOf(policy), budgets);
  }
  const isFull = policy === "full";
  return new StreamOracle(model, isFull ? { ...context, windowTokens: Number.POSITIVE_INFINITY } : context);
}

/**
 * Reads the stream with engine and oracle.
 * @throws Error when the commits are not those that the stream needs.
 */
export async function measureOracleDistance(run: OracleRun): Promise<OracleDistance> {
  const { policy, pieceTokens = 1 } = run;
  const usual = keepsSlots(policy) ? oddSlotContext : oddContext;
  const { context = usual } = run;
  const { folder, adapter } = createRunFolders(run);
  const oracle = createOracle(run, await readOracleModel(folder, adapter, run.frequencies), context);
  await using model = await loadModel(folder, { policy, context, ...(adapter && { adapter }) });
  const session = model.createSession();
  let [largest, range] = [0, 0];
  for (let start = 0; start < oddTokens.length; start += pieceTokens) {
    const piece = oddTokens.slice(start, start + pieceTokens);
    await session.append(piece);
    const expected = piece.map((token) => oracle.step(token)).at(-1) ?? [];
    const got = session.logits ?? new Float32Array(0);
    if (got.length !== expected.length) throw new Error(`${got.length} logits, not ${expected.length}`);
    got.forEach((logit, id) => {
      // A NaN makes both infinite.
      const error = Math.abs(logit - (expected[id] ?? Number.NaN));
      largest = error <= largest ? largest : Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
      range = Math.max(range, Math.abs(logit));
    });
  }
  const expected = policy === "full" ? 0 : commitCount;
  const counts = [session.stats.commitCount, oracle.commitCount];
  if (context === usual && counts.some((count) => count !== expected))
    throw new Error(`${counts} commits, not ${expected}`);
  return { largest, range };
}
