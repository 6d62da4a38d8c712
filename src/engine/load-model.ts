/**
 * Loading: from a folder or hub id to a model that runs.
 *
 * What differs between Node and the browser (files, runtimes) is a {@link Platform}; the entry points inject it.
 */

import { InvalidRequestError, UnsupportedError } from "../errors.ts";
import { type ByteSource, collectBytes } from "../files/byte-source.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import type { Graph } from "../graph/graph.ts";
import type { WeightEntry } from "../graph/weights.ts";
import { isNewRows } from "../memory/local-attention.ts";
import type { Runtime, RuntimeSession } from "../runtime/runtime.ts";
import type { Tensor } from "../runtime/tensor-memory.ts";
import { assertComputesFloat16, multiplyInHalf } from "./half-weights.ts";
import { openHeldWeights, streamHeldWeights } from "./held-weights.ts";
import { Inference } from "./inference.ts";
import {
  estimate,
  type MemoryEstimate,
  resolveDType,
  type WeightDType,
  weightDTypes,
} from "./memory-estimate.ts";
import { Model } from "./model.ts";
import {
  digestTensors,
  type MemoryOptions,
  type ModelParts,
  openModelParts,
  readEosTokenIds,
} from "./model-parts.ts";
import type { SessionIdentity } from "./session-file.ts";

/** Tells how far a download is, or the quantising of weights. */
export interface LoadProgress {
  /** The file, or what is being made, such as `MODEL as q8`. */
  readonly file: string;
  readonly receivedBytes: number;
  readonly totalBytes: number | undefined;
}

/** Chooses how a model is loaded. */
export interface LoadOptions extends MemoryOptions {
  /** A folder, hub id or opened folder with a trained memory; by default the model's own, where it brings one. */
  readonly adapter?: string | ModelFolder;
  /** Where it runs: `cpu` (the default in Node), `webgpu`, `wasm`. */
  readonly device?: string;
  /**
   * How weights are held: `f32` as float32, `q8` and `q4` in blocks of 32 with a scale each, quantised once and
   * kept, `f16` in float16, in which they are multiplied too: on WebGPU, where the GPU has the feature shader-f16.
   * Quantised weights are smaller and faster than float32, float16 is smaller; neither is quite the same. `auto`, the
   * default, changes nothing: float32 for safetensors, and the file's own blocks for GGUF. Blocks that have the bits
   * asked for stay as they are.
   */
  readonly dtype?: WeightDType | "auto";
  /** Threads within an operator; by default one a physical core. */
  readonly threads?: number;
  /** A branch, tag or commit of a hub repository. */
  readonly revision?: string;
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Is told once of things the user should know. They are in {@link Model.notices} too. */
  readonly onNotice?: (notice: string) => void;
  readonly signal?: AbortSignal;
}

/** Says how a folder is opened. */
export interface OpenFolderOptions {
  readonly revision?: string | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whether only headers and texts will be read, so that nothing large need be fetched. */
  readonly headersOnly?: boolean;
}

/** Is what an environment must provide. */
export interface Platform {
  /**
   * Opens weights made for this model earlier, or makes and keeps them; without it they are made every time,
   * in memory.
   * @param key names what they are made from.
   * @param write gives the bytes of a safetensors file.
   */
  readonly keepWeights?: (
    key: string,
    write: () => AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ) => Promise<ByteSource>;
  openFolder(pathOrId: string, options: OpenFolderOptions): Promise<ModelFolder>;
  createRuntime(options: {
    readonly device: string | undefined;
    readonly threads: number | undefined;
    /** Whether sessions plan the memory of a run as one block, where the device can; default true. */
    readonly plansMemory?: boolean;
  }): Promise<Runtime>;
}

/** Opens a model and its adapter. @throws as {@link loadModelOn} does before weights are read. */
export async function openParts(
  platform: Platform,
  model: string | ModelFolder,
  options: LoadOptions,
  headersOnly: boolean,
): Promise<ModelParts> {
  const { adapter, signal, onProgress, revision } = options;
  signal?.throwIfAborted();
  const open = async (from: string | ModelFolder, own: OpenFolderOptions): Promise<ModelFolder> =>
    typeof from === "string" ? platform.openFolder(from, { signal, onProgress, headersOnly, ...own }) : from;
  const folder = await open(model, { revision });
  const adapterFolder = adapter === undefined ? undefined : await open(adapter, {});
  return openModelParts(folder, adapterFolder, options, signal);
}

/** Refuses options that no model could be loaded with. @throws {@link UnsupportedError} {@link InvalidRequestError} */
export function checkOptions({ dtype = "auto", threads }: LoadOptions): void {
  if (!weightDTypes.includes(dtype)) {
    throw new UnsupportedError({
      where: "dtype",
      what: "this version does not hold weights so",
      got: dtype,
      expected: weightDTypes.join(", "),
    });
  }
  if (threads !== undefined && !(Number.isSafeInteger(threads) && threads >= 1)) {
    throw new InvalidRequestError({
      where: "threads",
      what: "out of range",
      got: threads,
      expected: "a whole number >= 1",
    });
  }
}

/** Gives the weights as they will be held; closing them is the caller's part. */
export async function holdWeights(
  platform: Platform,
  { folder, weights, family, config }: ModelParts,
  model: string,
  options: LoadOptions,
): Promise<HeldWeights> {
  const { signal, onProgress } = options;
  const dtype = resolveDType(options.dtype, weights);
  const held = weights.hold(dtype);
  const entriesFor = (entries: HeldWeights["tensors"]): HeldWeights["tensors"] =>
    dtype === "f16" ? multiplyInHalf(entries) : entries;
  if (held === undefined) return { tensors: entriesFor(weights.entries), close: async () => {} };
  const fused = family.fusedProjections(config);
  const report = (receivedBytes: number, totalBytes: number): void =>
    onProgress?.({ file: `${folder.file ?? folder.name} as ${dtype}`, receivedBytes, totalBytes });
  const write = () => streamHeldWeights(held, { fused, onProgress: report, signal });
  const key = `${model}-${dtype}-v4`;
  const source = await (platform.keepWeights?.(key, write, signal) ?? collectBytes(key, write()));
  try {
    const opened = await openHeldWeights(source, held, signal);
    // Buffers that are no weights are not held; a weight of a wrong type is refused by its name.
    const tensors = entriesFor(new Map([...weights.entries, ...opened]));
    return { tensors, close: () => source.close() };
  } catch (error) {
    await source.close();
    throw error;
  }
}

interface HeldWeights {
  readonly tensors: ReadonlyMap<string, WeightEntry>;
  close(): Promise<void>;
}

/** Tells a model, its adapter and its settings apart from others. */
export async function identify(parts: ModelParts, signal: AbortSignal | undefined): Promise<SessionIdentity> {
  const { config, weights, adapter, context, policy } = parts;
  // An ordinary cache does not depend on the sizes of regions.
  const sizes = `S${context.sinkTokens} B${context.slotTokens} W${context.windowTokens} T${context.segmentTokens}`;
  return {
    model: await digestTensors(weights.tensors, config, signal),
    adapter:
      adapter === undefined || policy.name !== adapter.design.variant
        ? ""
        : await digestTensors(adapter.tensors, adapter.design, signal),
    policy: policy.name,
    context: policy.name === "full" ? "" : sizes,
  };
}

async function buildInference(
  { family, folder, config, policy }: ModelParts,
  tensors: ReadonlyMap<string, WeightEntry>,
  runtime: Runtime,
  isHalf: boolean,
  signal: AbortSignal | undefined,
): Promise<Inference> {
  const graph = family.buildInferenceGraph(folder.name, config, tensors, policy);
  const outputsOf = (of: Graph): string[] => of.outputs.map(({ name }) => name);
  // Where the device can keep it, what the state takes in never comes to the host.
  const compile = (of: Graph, kept: readonly string[]): Promise<RuntimeSession<Tensor>> =>
    runtime.device?.createSession(of, kept, signal) ?? runtime.createSession(of, signal);
  const forward = await compile(graph, outputsOf(graph).filter(isNewRows));
  let commit: RuntimeSession<Tensor> | undefined;
  try {
    const commitGraph = policy.buildCommitGraph();
    if (commitGraph !== undefined) commit = await compile(commitGraph, outputsOf(commitGraph));
    signal?.throwIfAborted();
    return new Inference(policy, forward, commit, { memory: runtime.device?.memory, isHalf });
  } catch (error) {
    await commit?.[Symbol.asyncDispose]();
    await forward[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Loads a model.
 * @param model a folder, a hub id such as `org/name`, or an opened folder.
 * @throws {@link FileError} {@link InvalidModelError} {@link UnsupportedError} {@link InvalidRequestError}
 * {@link OutOfMemoryError} {@link RuntimeMissingError}; the signal's reason on abort.
 */
export async function loadModelOn(
  platform: Platform,
  model: string | ModelFolder,
  options: LoadOptions = {},
): Promise<Model> {
  checkOptions(options);
  const { signal, device, threads } = options;
  const parts = await openParts(platform, model, options, false);
  let held: HeldWeights | undefined;
  try {
    const { folder, config, context, weights } = parts;
    const dtype = resolveDType(options.dtype, weights);
    const tokenizer = await weights.loadTokenizer();
    const eosTokenIds = await readEosTokenIds(parts, tokenizer?.eosTokenId, signal);
    const identity = await identify(parts, signal);
    const runtime = await platform.createRuntime({ device, threads });
    if (dtype === "f16") await assertComputesFloat16(runtime);
    const notices = [...parts.notices, ...(runtime.notices ?? [])];
    // Before the weights: a listener that throws leaves nothing behind.
    for (const notice of notices) options.onNotice?.(notice);
    held = await holdWeights(platform, parts, identity.model, options);
    const inference = await buildInference(parts, held.tensors, runtime, dtype === "f16", signal);
    return new Model({
      name: folder.file === undefined ? folder.name : `${folder.name}/${folder.file}`,
      config,
      context,
      tokenizer,
      eosTokenIds,
      identity: { ...identity, model: `${identity.model}-${dtype}` },
      memoryEstimate: estimate(parts, dtype),
      notices,
      runtimeName: runtime.name,
      inference,
    });
  } finally {
    await held?.close();
    await parts.close();
  }
}

/**
 * Tells the memory that a model and a session will need, without reading weights. It asks no device: one that
 * cannot run the model so is refused when it is loaded.
 * @throws as {@link loadModelOn} does before weights are read.
 */
export async function estimateMemoryOn(
  platform: Platform,
  model: string | ModelFolder,
  options: LoadOptions = {},
): Promise<MemoryEstimate> {
  checkOptions(options);
  const parts = await openParts(platform, model, options, true);
  try {
    return estimate(parts, resolveDType(options.dtype, parts.weights));
  } finally {
    await parts.close();
  }
}
