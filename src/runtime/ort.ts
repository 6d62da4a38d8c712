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
  UnsupportedError,
} from "../errors.ts";
import type { ByteSource } from "../files/byte-source.ts";
import type { ExternalData, Graph, Initializer } from "../graph/graph.ts";
import { graphToOnnx } from "../graph/to-onnx.ts";
import type { DType, TensorData } from "../tensor/dtype.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { checkFeeds } from "./check-feeds.ts";
import { readConstant } from "./read-constant.ts";
import type { NamedTensors, Runtime, RuntimeSession } from "./runtime.ts";

/** Is what the adapter needs of an ONNX Runtime package. */
export interface OrtPackage {
  readonly InferenceSession: InferenceSessionFactory;
  readonly Tensor: TensorConstructor;
}

/** Says how external files reach a session. */
export interface ExternalFiles {
  /** Names a source as the model will refer to it; one without a name is written into the model. */
  readonly locate: (source: ByteSource) => string | undefined;
  /** Options that make the named files readable. */
  readonly sessionOptions: InferenceSession.SessionOptions;
}

/** Configures the adapter. */
export interface OrtRuntimeOptions {
  readonly name: string;
  readonly ort: OrtPackage;
  readonly sessionOptions: InferenceSession.SessionOptions;
  /** Makes files of external constants reachable for the package. */
  readonly linkFiles: (sources: readonly ByteSource[], signal?: AbortSignal) => Promise<ExternalFiles>;
}

/** Passes whole files as bytes: for sources without a path, and where there is no file system. */
export async function linkFilesAsBytes(
  sources: readonly ByteSource[],
  signal?: AbortSignal,
): Promise<ExternalFiles> {
  const names = new Map(sources.map((source, index) => [source, `file-${index}`]));
  const externalData: { path: string; data: Uint8Array }[] = [];
  for (const [source, path] of names)
    externalData.push({ path, data: await source.read(0, source.sizeBytes, signal) });
  return {
    locate: (source) => names.get(source),
    sessionOptions: externalData.length === 0 ? {} : { externalData },
  };
}

function externalSources(graph: Graph): ByteSource[] {
  const found = graph.initializers.flatMap(({ data }) =>
    data.kind === "external" ? [data.external.source] : [],
  );
  return [...new Set(found)];
}

/** Replaces the constants of sources that have no name by their elements. */
async function inlineUnnamed(graph: Graph, { locate }: ExternalFiles, signal?: AbortSignal): Promise<Graph> {
  const initializers = await Promise.all(
    graph.initializers.map(async (initializer): Promise<Initializer> => {
      const { data, value } = initializer;
      if (data.kind === "inline" || locate(data.external.source) !== undefined) return initializer;
      return { value, data: { kind: "inline", tensor: await readConstant(initializer, signal) } };
    }),
  );
  return { ...graph, initializers };
}

function translateError(where: string, error: unknown): Error {
  const message = error instanceof Error ? error.message : String(error);
  const facts = { where, what: message.split("\n")[0] ?? message, cause: error };
  if (/bad_alloc|failed to allocate|out of memory|allocation failed/i.test(message)) {
    return new OutOfMemoryError({ ...facts, remedy: "Choose smaller context settings or a smaller model." });
  }
  if (/not implemented|could not find an implementation|no kernel/i.test(message))
    return new UnsupportedError(facts);
  if (/out of data bounds|cannot split/i.test(message)) return new InvalidRequestError(facts);
  return new InternalError(facts);
}

/** Errors reach the caller: nothing is logged. */
const quiet = { logSeverityLevel: 4 } as const;

class OrtSession implements RuntimeSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly #graph: Graph;
  readonly #session: InferenceSession;
  readonly #ort: OrtPackage;
  readonly #running = new Set<Promise<unknown>>();
  #isDisposed = false;

  constructor(graph: Graph, session: InferenceSession, ort: OrtPackage) {
    this.#graph = graph;
    this.#session = session;
    this.#ort = ort;
    this.inputNames = graph.inputs.map((input) => input.name);
    this.outputNames = graph.outputs.map((output) => output.name);
  }

  async run(
    feeds: NamedTensors,
    outputs: readonly string[] = this.outputNames,
  ): Promise<Record<string, HostTensor>> {
    const where = `graph ${this.#graph.name}`;
    if (this.#isDisposed) throw new DisposedError({ where, what: "the session is disposed" });
    checkFeeds(this.#graph, feeds, outputs);
    if (outputs.length === 0) return {};
    const ortFeeds: Record<string, InferenceSession.OnnxValueMapType[string]> = {};
    for (const name of this.inputNames) {
      const tensor = feeds[name];
      if (tensor !== undefined)
        ortFeeds[name] = new this.#ort.Tensor(
          tensor.dtype as "float32",
          tensor.data as Float32Array,
          tensor.shape,
        );
    }
    const results = await this.#track(this.#session.run(ortFeeds, outputs, quiet)).catch((error: unknown) => {
      throw translateError(where, error);
    });
    const tensors: Record<string, HostTensor> = {};
    for (const name of outputs) {
      const result = results[name];
      if (result === undefined) throw new InternalError({ where, what: `no output ${name}` });
      tensors[name] = hostTensor(result.type as DType, result.dims, result.data as TensorData);
    }
    return tensors;
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
    await this.#session.release();
  }
}

/** Creates a runtime over an ONNX Runtime package. */
export function createOrtRuntime({ name, ort, sessionOptions, linkFiles }: OrtRuntimeOptions): Runtime {
  return {
    name,
    async createSession(graph, signal) {
      const files = await linkFiles(externalSources(graph), signal);
      const whole = await inlineUnnamed(graph, files, signal);
      const model = graphToOnnx(whole, ({ source }: ExternalData) => files.locate(source) ?? source.name);
      signal?.throwIfAborted();
      const extra = { ...sessionOptions.extra, ...files.sessionOptions.extra };
      try {
        const session = await ort.InferenceSession.create(model, {
          ...quiet,
          ...sessionOptions,
          ...files.sessionOptions,
          extra,
        });
        return new OrtSession(graph, session, ort);
      } catch (error) {
        throw translateError(`graph ${graph.name} on ${name}`, error);
      }
    },
  };
}
