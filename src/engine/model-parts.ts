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
  type AttentionGeometry,
  type ContextSettings,
  fitDefaultContext,
  validateContext,
} from "../memory/geometry.ts";
import { createPolicy, keepsSlots } from "../memory/policies.ts";
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
   * How sessions remember. `paper` and `plus` need an adapter trained for it; `infini` (Infini-attention) has gates that
   * are 1.8% open without one. Slots, `slotTokens` a head, hold with `keydiff` the tokens whose keys differ most, with
   * `h2o` those that have received the most attention, with `snapkv` those that the last queries looked at, with
   * `pyramidkv` the same, more of them in the first layers than in the last. `streaming` forgets what leaves the window;
   * `full` is an ordinary KV cache within the trained length. By default the adapter's; without one `keydiff` if there
   * are slots, else `streaming`. A model with learned positions runs under `full` alone.
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

function choosePolicy(
  { policy = "auto", context }: MemoryOptions,
  adapter: Adapter | undefined,
  { hasLearnedPositions }: AttentionGeometry,
): PolicyName {
  if (policy !== "auto") return policy;
  if (adapter !== undefined) return adapter.design.variant;
  if (hasLearnedPositions) return "full";
  return (context?.slotTokens ?? 0) === 0 ? "streaming" : "keydiff";
}

/** Returns the memory that comes with a model for a policy; undefined when there is none. */
function findOwnAdapter(
  { adapters }: ModelFolder,
  policy: MemoryOptions["policy"] = "auto",
): ModelFolder | undefined {
  return policy === "auto" ? adapters?.values().next().value : adapters?.get(policy);
}

/** What the user asks for is held to; what an adapter was trained with goes as far as the policy can use it. */
function chooseContext(
  policy: PolicyName,
  given: Partial<ContextSettings>,
  trained: Partial<ContextSettings>,
  maxPositions: number,
): ContextSettings {
  const slotTokens = given.slotTokens ?? (keepsSlots(policy) ? (trained.slotTokens ?? 0) : 0);
  const context = { ...fitDefaultContext(maxPositions, slotTokens), ...trained, ...given, slotTokens };
  validateContext(context, maxPositions);
  if (keepsSlots(policy) || slotTokens === 0) return context;
  throw new UnsupportedError({
    where: "context.slotTokens",
    what: `the policy ${policy} keeps no slots`,
    got: slotTokens,
    expected: "0",
    remedy: 'Choose policy "keydiff", or "plus" with an adapter.',
  });
}

/** Says what the user should know of a policy that was chosen for them. */
function noticesOf(
  chosen: PolicyName | "auto",
  policy: MemoryPolicy,
  context: ContextSettings,
  adapter: Adapter | undefined,
): readonly string[] {
  if (policy.name === "infini" && adapter === undefined) {
    const gates =
      "No adapter was given, so the gates of Infini-attention are untrained: 1.8% open in every head.";
    return [`${gates} Pass an adapter of variant infini.`];
  }
  if (chosen !== "auto") return [];
  if (policy.name === "full") {
    const reason = `This model has learned a vector for each of its ${policy.maxLengthTokens} positions`;
    return [`${reason}, so a session ends there. Choose one with rotary embedding for streams without end.`];
  }
  if (policy.name === "keydiff") {
    const kept = `of what leaves the window of ${context.windowTokens} tokens, each head keeps the`;
    const chosen = `${context.slotTokens} tokens whose keys differ most (KeyDiff), and the rest is forgotten`;
    return [`No adapter was given, so nothing is trained to remember: ${kept} ${chosen}.`];
  }
  if (policy.name !== "streaming") return [];
  const forgotten = `what leaves the window of ${context.windowTokens} tokens is forgotten (StreamingLLM)`;
  return [`No adapter was given, so there is no memory gate: ${forgotten}. Pass an adapter to remember it.`];
}

/**
 * Opens a model and an adapter, or the one that comes with the model; reads headers only.
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
    const chosen = adapterFolder ?? findOwnAdapter(folder, options.policy);
    if (chosen !== undefined) adapter = await openAdapter(chosen, signal);
    const { geometry } = config;
    const name = choosePolicy(options, adapter, geometry);
    const context = chooseContext(name, options.context ?? {}, adapter?.context ?? {}, geometry.maxPositions);
    const policy = createPolicy(name, { geometry, context, adapter });
    const notices = noticesOf(options.policy ?? "auto", policy, context, adapter);
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
/** Files up to this size are read whole: of adapters, which are small, a changed number tells. */
const wholeBytes = 4 * 1024 * 1024;

/** Lists the parts of a file that are digested. */
function listSamples(sizeBytes: number): { readonly offset: number; readonly length: number }[] {
  if (sizeBytes <= wholeBytes) return [{ offset: 0, length: sizeBytes }];
  const last = sizeBytes - sampleBytes;
  return Array.from({ length: samplesPerFile }, (_, sample) => ({
    offset: Math.floor((last * sample) / (samplesPerFile - 1)),
    length: sampleBytes,
  }));
}

/**
 * Digests a set of tensors: names, types and shapes, and the files they are in, small ones whole, of large ones
 * samples spread over them, which differ between any two trained checkpoints. Reading everything would take longer
 * than loading.
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
    for (const { offset, length } of listSamples(source.sizeBytes))
      hash.update(await source.read(offset, length, signal));
  }
  return bytesToHex(hash.digest());
}
