/**
 * Opens a checkpoint and its adapter and decides how the model will run: everything before weights are read.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { UnsupportedError } from "../errors.ts";
import type { ByteSource } from "../files/byte-source.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { type Adapter, openAdapter } from "../memory/adapter.ts";
import {
  type ContextSettings,
  defaultContext,
  localCapacityTokens,
  validateContext,
} from "../memory/geometry.ts";
import { createPolicy } from "../memory/policies.ts";
import type { MemoryPolicy, PolicyName } from "../memory/policy.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import type { ModelFamily } from "../models/family.ts";
import type { Checkpoint, StoredTensor } from "./checkpoint.ts";
import { openCheckpoint } from "./open-checkpoint.ts";

/** Chooses how a model remembers. */
export interface MemoryOptions {
  /** Sizes of the cache's regions; what is left out is the adapter's, else the default, fitted to the model. */
  readonly context?: Partial<ContextSettings>;
  /**
   * How sessions remember: `paper` needs an adapter, `streaming` forgets what leaves the window, `full` is an
   * ordinary KV cache within the trained length. By default `paper` with an adapter and `streaming` without;
   * a model with learned positions runs under `full` alone.
   */
  readonly policy?: PolicyName | "auto";
}

/** Is a model before its weights are read. */
export interface ModelParts {
  readonly folder: ModelFolder;
  readonly family: ModelFamily;
  readonly config: DecoderConfig;
  readonly weights: Checkpoint;
  readonly adapter: Adapter | undefined;
  readonly context: ContextSettings;
  readonly policy: MemoryPolicy;
  /** Things the user should know, in full sentences. */
  readonly notices: readonly string[];
  close(): Promise<void>;
}

/** The default settings, halved until they fit a model trained on few positions. */
function fitDefaults(maxPositions: number): ContextSettings {
  let context = defaultContext;
  while (localCapacityTokens(context) > maxPositions && context.segmentTokens > 1) {
    const { sinkTokens, slotTokens, windowTokens, segmentTokens } = context;
    context = { sinkTokens, slotTokens, windowTokens: windowTokens / 2, segmentTokens: segmentTokens / 2 };
  }
  return context;
}

function chooseContext(
  given: Partial<ContextSettings>,
  adapter: Adapter | undefined,
  maxPositions: number,
): ContextSettings {
  const context = { ...fitDefaults(maxPositions), ...adapter?.context, ...given };
  validateContext(context, maxPositions);
  if (context.slotTokens > 0) {
    throw new UnsupportedError({
      where: "context.slotTokens",
      what: "no policy of this version keeps retained slots",
      got: context.slotTokens,
      expected: "0",
    });
  }
  return context;
}

/** Says what the user should know of a policy that was chosen for them. */
function noticesOf(
  chosen: PolicyName | "auto",
  policy: MemoryPolicy,
  context: ContextSettings,
): readonly string[] {
  if (chosen !== "auto") return [];
  if (policy.name === "full") {
    const reason = `This model has learned a vector for each of its ${policy.maxLengthTokens} positions`;
    return [`${reason}, so a session ends there. Choose one with rotary embedding for streams without end.`];
  }
  if (policy.name !== "streaming") return [];
  const forgotten = `what leaves the window of ${context.windowTokens} tokens is forgotten (StreamingLLM)`;
  return [`No adapter was given, so there is no memory gate: ${forgotten}. Pass an adapter to remember it.`];
}

/**
 * Opens a model and its adapter; reads headers only.
 * @throws {@link FileError} {@link InvalidModelError} {@link UnsupportedError} {@link InvalidRequestError}
 */
export async function openModelParts(
  folder: ModelFolder,
  adapterFolder: ModelFolder | undefined,
  options: MemoryOptions,
  signal?: AbortSignal,
): Promise<ModelParts> {
  const weights = await openCheckpoint(folder, signal);
  let adapter: Adapter | undefined;
  const close = async (): Promise<void> => {
    await adapter?.close();
    await weights.close();
  };
  try {
    const { family, config } = weights;
    if (adapterFolder !== undefined) adapter = await openAdapter(adapterFolder, signal);
    const context = chooseContext(options.context ?? {}, adapter, config.geometry.maxPositions);
    const chosen = options.policy ?? "auto";
    const withoutAdapter = config.geometry.hasLearnedPositions ? "full" : "streaming";
    const name = chosen === "auto" ? (adapter?.variant ?? withoutAdapter) : chosen;
    const policy = createPolicy(name, { geometry: config.geometry, context, adapter });
    const notices = noticesOf(chosen, policy, context);
    return { folder, family, config, weights, adapter, context, policy, notices, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Lists the tokens that end an answer: the configuration's, the generation settings' and the tokenizer's. */
export async function readEosTokenIds(
  { weights, config }: Pick<ModelParts, "weights" | "config">,
  tokenizerEos: number | undefined,
  signal?: AbortSignal,
): Promise<ReadonlySet<number>> {
  const ids = new Set([...config.eosTokenIds, ...(await weights.readEndTokenIds(signal))]);
  if (tokenizerEos !== undefined) ids.add(tokenizerEos);
  return ids;
}

const samplesPerFile = 32;
const sampleBytes = 1024;

/**
 * Digests a set of tensors: names, types and shapes, and samples spread over the files, which differ between
 * any two trained checkpoints. Reading everything would take longer than loading.
 */
export async function digestTensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  about: unknown,
  signal?: AbortSignal,
): Promise<string> {
  const hash = sha256.create();
  const add = (text: string): void => {
    hash.update(new TextEncoder().encode(text));
  };
  add(JSON.stringify(about));
  const entries = [...tensors.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name, dtype, shape } of entries) add(`${name} ${dtype} ${shape.join("x")}\n`);
  const sources = [...new Set<ByteSource>(entries.map(({ source }) => source))];
  for (const source of sources) {
    const last = Math.max(0, source.sizeBytes - sampleBytes);
    for (let sample = 0; sample < samplesPerFile; sample++) {
      const offset = Math.floor((last * sample) / (samplesPerFile - 1));
      hash.update(await source.read(offset, Math.min(sampleBytes, source.sizeBytes - offset), signal));
    }
  }
  return bytesToHex(hash.digest());
}
