/**
 * Runs graphs with ONNX Runtime, through the interface that its Node and web packages share.
 *
 * Written once against `onnxruntime-common`; node.ts and web.ts inject the package and its settings.
 * Outputs are copies in JS memory, feeds are used where they lie.
 */

import type { InferenceSession, InferenceSessionFactory, TensorConstructor } from "onnxruntime-common";
import {
  DisposedError,
  InternalError,
  InvalidRequestError,
  OutOfMemoryError,
  RuntimeMissingError,
  UnsupportedError,
} from "../errors.ts";
import type { ByteSource } from "../files/byte-source.ts";
import type { ExternalData, Graph } from "../graph/graph.ts";
import { graphToOnnx } from "../graph/to-onnx.ts";
import type { DType, TensorData } from "../tensor/dtype.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { checkFeeds } from "./check-feeds.ts";
import type { Mutex } from "./mutex.ts";
import { type ExternalFiles, externalSources, inlineUnnamed, widenConstants } from "./ort-constants.ts";
import type { NamedTensors, Runtime, RuntimeSession } from "./runtime.ts";
import { isHostTensor, type Tensor } from "./tensor-memory.ts";
import type { WebgpuMemory } from "./webgpu-memory.ts";

/** Is what the adapter needs of an ONNX Runtime package. */
export interface OrtPackage {
  readonly InferenceSession: InferenceSessionFactory;
  readonly Tensor: TensorConstructor;
}

/** Configures the adapter. */
export interface OrtRuntimeOptions {
  readonly name: string;
  readonly ort: OrtPackage;
  readonly sessionOptions: InferenceSession.SessionOptions;
  /** Makes files of external constants reachable for the package. */
  readonly linkFiles: (sources: readonly ByteSource[], signal?: AbortSignal) => Promise<ExternalFiles>;
  /** Lists the dtypes of constants that the device cannot take in as they are stored: they become float32. */
  readonly widened?: () => Promise<readonly DType[]>;
  /** Tells whether the device computes in float16; on those without it, nothing does. */
  readonly computesFloat16?: () => Promise<boolean>;
  /** Lets calls into the package take turns, where it cannot have two under way. */
  readonly turns?: Mutex;
  /** Things the user should know of this runtime. */
  readonly notices?: readonly string[];
  /** The memory of the device that the package computes on, where state can stay there. */
  readonly memory?: WebgpuMemory;
}

function translateError(where: string, error: unknown): Error {
  const message = error instanceof Error ? error.message : String(error);
  const facts = { where, what: message.split("\n")[0] ?? message, cause: error };
  if (/bad_alloc|failed to allocate|out of memory|allocation failed/i.test(message)) {
    return new OutOfMemoryError({ ...facts, remedy: "Choose smaller context settings or a smaller model." });
  }
  if (/not implemented|could not find an implementation|no kernel|provider type for/i.test(message))
    return new UnsupportedError(facts);
  if (/failed to get a webgpu adapter|no supported adapters/i.test(message)) {
    return new RuntimeMissingError({
      ...facts,
      what: "there is no GPU that WebGPU can use",
      remedy: "Install a Vulkan driver for the GPU, or choose another device.",
    });
  }
  if (/requires f16 but the device does not support it/i.test(message)) {
    return new UnsupportedError({ ...facts, what: "the device cannot compute in float16" });
  }
  if (/out of data bounds|cannot split/i.test(message)) return new InvalidRequestError(facts);
  return new InternalError(facts);
}

/** Errors reach the caller: nothing is logged. */
const quiet = { logSeverityLevel: 4 } as const;

/** Lets a call into the package wait for its turn. */
type OrtTensor = InferenceSession.OnnxValueMapType[string];

type Turns = <Result>(call: () => Promise<Result>) => Promise<Result>;

/** Returns the bit patterns of float16, which packages give as a Float16Array where there is one. */
function bitsOf(data: TensorData): TensorData {
  if (data.constructor.name !== "Float16Array") return data;
  return new Uint16Array(data.buffer, data.byteOffset, data.length);
}

class OrtSession implements RuntimeSession<Tensor> {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly #graph: Graph;
  readonly #session: InferenceSession;
  readonly #ort: OrtPackage;
  readonly #turns: Turns;
  readonly #memory: WebgpuMemory | undefined;
  /** Host tensors in the package's form: those of a state are fed to many runs. */
  readonly #fed = new WeakMap<Tensor, OrtTensor>();
  readonly #running = new Set<Promise<unknown>>();
  #isDisposed = false;

  constructor(graph: Graph, session: InferenceSession, { ort, memory }: OrtRuntimeOptions, turns: Turns) {
    this.#graph = graph;
    this.#session = session;
    this.#ort = ort;
    this.#turns = turns;
    this.#memory = memory;
    this.inputNames = graph.inputs.map((input) => input.name);
    this.outputNames = graph.outputs.map((output) => output.name);
  }

  async run(
    feeds: NamedTensors,
    outputs: readonly string[] = this.outputNames,
  ): Promise<Record<string, Tensor>> {
    const where = `graph ${this.#graph.name}`;
    if (this.#isDisposed) throw new DisposedError({ where, what: "the session is disposed" });
    checkFeeds(this.#graph, feeds, outputs);
    if (outputs.length === 0) return {};
    const ortFeeds: Record<string, InferenceSession.OnnxValueMapType[string]> = {};
    for (const name of this.inputNames) {
      const tensor = feeds[name];
      if (tensor !== undefined) ortFeeds[name] = this.#toOrt(tensor);
    }
    const run = this.#turns(() => this.#session.run(ortFeeds, outputs, quiet));
    const results = await this.#track(run).catch((error: unknown) => {
      throw translateError(where, error);
    });
    const tensors: Record<string, Tensor> = {};
    for (const name of outputs) {
      const result = results[name];
      if (result === undefined) throw new InternalError({ where, what: `no output ${name}` });
      tensors[name] = this.#fromOrt(result);
    }
    return tensors;
  }

  #toOrt(tensor: Tensor): OrtTensor {
    if (isHostTensor(tensor)) {
      const known = this.#fed.get(tensor);
      if (known !== undefined) return known;
      const made = new this.#ort.Tensor(tensor.dtype as "float32", tensor.data as Float32Array, tensor.shape);
      this.#fed.set(tensor, made);
      return made;
    }
    return this.#ort.Tensor.fromGpuBuffer(tensor.buffer as GPUBuffer, {
      dataType: tensor.dtype as "float32",
      dims: tensor.shape,
    });
  }

  #fromOrt(result: OrtTensor): Tensor {
    const dtype = result.type as DType;
    if (result.location !== "gpu-buffer")
      return hostTensor(dtype, result.dims, bitsOf(result.data as TensorData));
    const release = (): void => {
      this.#memory?.submit();
      result.dispose();
    };
    return { dtype, shape: result.dims, buffer: result.gpuBuffer, release };
  }

  /** Keeps a run in view until it ends: releasing a session under it would fail it. */
  #track<T>(run: Promise<T>): Promise<T> {
    this.#running.add(run);
    return run.finally(() => this.#running.delete(run));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    await Promise.allSettled(this.#running);
    await this.#turns(() => this.#session.release());
  }
}

/** Tells where outputs are left; nothing when all come to the host. */
function keepOutputs({ outputs }: Graph, kept: readonly string[]): InferenceSession.SessionOptions {
  if (kept.length === 0) return {};
  const place = (name: string): "gpu-buffer" | "cpu" => (kept.includes(name) ? "gpu-buffer" : "cpu");
  return { preferredOutputLocation: Object.fromEntries(outputs.map(({ name }) => [name, place(name)])) };
}

/** Creates a runtime over an ONNX Runtime package. */
export function createOrtRuntime(options: OrtRuntimeOptions): Runtime {
  const { name, ort, sessionOptions, linkFiles, notices = [], memory, computesFloat16 } = options;
  const turns: Turns = (call) => options.turns?.run(call) ?? call();
  const create = async (graph: Graph, kept: readonly string[], signal?: AbortSignal): Promise<OrtSession> => {
    const widened = await widenConstants(graph, options.widened, signal);
    const files = await linkFiles(externalSources(widened), signal);
    const whole = await inlineUnnamed(widened, files, signal);
    const model = graphToOnnx(whole, ({ source }: ExternalData) => files.locate(source) ?? source.name);
    signal?.throwIfAborted();
    const settings = {
      ...quiet,
      ...sessionOptions,
      ...files.sessionOptions,
      ...keepOutputs(graph, kept),
      extra: { ...sessionOptions.extra, ...files.sessionOptions.extra },
    };
    try {
      const session = await turns(() => ort.InferenceSession.create(model, settings));
      return new OrtSession(graph, session, options, turns);
    } catch (error) {
      throw translateError(`graph ${graph.name} on ${name}`, error);
    }
  };
  return {
    name,
    notices,
    // Without outputs that are kept, all that comes out lies on the host.
    createSession: (graph, signal) => create(graph, [], signal) as Promise<RuntimeSession>,
    ...(computesFloat16 !== undefined && { computesFloat16 }),
    ...(memory !== undefined && { device: { memory, createSession: create } }),
  };
}
