/**
 * Brings a graph's constants into a form that a package of ONNX Runtime takes in.
 *
 * What it can read from a file stays there; what it cannot is read here, as late and as little as possible.
 */

import type { InferenceSession } from "onnxruntime-common";
import { type ByteSource, memoryByteSource } from "../files/byte-source.ts";
import type { Graph, Initializer } from "../graph/graph.ts";
import type { DType } from "../tensor/dtype.ts";
import { decodeBfloat16, decodeFloat16 } from "../tensor/half-float.ts";
import { readConstant } from "./read-constant.ts";

/** Says how external files reach a session. */
export interface ExternalFiles {
  /** Names a source as the model will refer to it; one without a name is written into the model. */
  readonly locate: (source: ByteSource) => string | undefined;
  /** Options that make the named files readable. */
  readonly sessionOptions: InferenceSession.SessionOptions;
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

/** Lists the files that a graph's constants lie in. */
export function externalSources(graph: Graph): ByteSource[] {
  const found = graph.initializers.flatMap(({ data }) =>
    data.kind === "external" ? [data.external.source] : [],
  );
  return [...new Set(found)];
}

/** Replaces the constants of sources that have no name by their elements. */
export async function inlineUnnamed(
  graph: Graph,
  { locate }: Pick<ExternalFiles, "locate">,
  signal?: AbortSignal,
): Promise<Graph> {
  const initializers = await Promise.all(
    graph.initializers.map(async (initializer): Promise<Initializer> => {
      const { data, value } = initializer;
      if (data.kind === "inline" || locate(data.external.source) !== undefined) return initializer;
      return { value, data: { kind: "inline", tensor: await readConstant(initializer, signal) } };
    }),
  );
  return { ...graph, initializers };
}

const decoders: { readonly [D in DType]?: (bits: Uint16Array) => Float32Array } = {
  float16: decodeFloat16,
  bfloat16: decodeBfloat16,
};

/** Reads a constant as float32, into memory that a runtime can take it from as it takes files. */
async function widen(initializer: Initializer, signal: AbortSignal | undefined): Promise<Initializer> {
  const { value } = initializer;
  const { data } = await readConstant(initializer, signal);
  const decode = decoders[value.dtype];
  if (!(data instanceof Uint16Array) || decode === undefined) return initializer;
  const bytes = new Uint8Array(decode(data).buffer);
  const source = memoryByteSource(value.name, bytes);
  return {
    value: { ...value, dtype: "float32" },
    data: { kind: "external", external: { source, offset: 0, lengthBytes: bytes.length } },
  };
}

/**
 * Replaces half-precision constants by float32 where a device cannot even cast them. What follows in the graph
 * casts them to float32 anyway, which then does nothing.
 */
export async function widenConstants(
  graph: Graph,
  listWidened: (() => Promise<readonly DType[]>) | undefined,
  signal?: AbortSignal,
): Promise<Graph> {
  const isHalf = ({ value }: Initializer): boolean => value.dtype in decoders;
  if (listWidened === undefined || !graph.initializers.some(isHalf)) return graph;
  const dtypes = await listWidened();
  const initializers: Initializer[] = [];
  // One after another: each holds its bytes in memory twice while it is widened.
  for (const initializer of graph.initializers) {
    const widens = isHalf(initializer) && dtypes.includes(initializer.value.dtype);
    initializers.push(widens ? await widen(initializer, signal) : initializer);
  }
  return { ...graph, initializers };
}
