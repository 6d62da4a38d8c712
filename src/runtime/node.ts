/**
 * ONNX Runtime in Node: on the CPU, or on the GPU through its WebGPU provider.
 *
 * The only file that imports `onnxruntime-node`. Checkpoint files on disk are mapped by the runtime itself.
 */

import { dirname, relative, sep } from "node:path";
import type { InferenceSession } from "onnxruntime-common";
import * as ort from "onnxruntime-node";
import type { ByteSource } from "../files/byte-source.ts";
import { computesFloat16 } from "./compute-float16.ts";
import { createOrtRuntime } from "./ort.ts";
import { type ExternalFiles, linkFilesAsBytes } from "./ort-constants.ts";
import type { Runtime } from "./runtime.ts";

/** Names a device that Node can run on. */
export type NodeDevice = "cpu" | "webgpu";

/** Configures the runtime. */
export interface NodeRuntimeOptions {
  readonly device?: NodeDevice;
  /** Threads within an operator; by default ONNX Runtime takes one a physical core. */
  readonly threads?: number;
  /**
   * Whether a session plans the memory of a run as one block; default true. Runs of small graphs become a little
   * faster. After a run or two the block lies beside what the first run took: training graphs take half without.
   */
  readonly plansMemory?: boolean | undefined;
  /** Writes a Chrome trace of operator times to files with this prefix. */
  readonly profilePrefix?: string;
}

function commonFolder(paths: readonly string[]): string {
  let folder = dirname(paths[0] ?? sep);
  while (!paths.every((path) => path.startsWith(folder === sep ? sep : folder + sep)))
    folder = dirname(folder);
  return folder;
}

/** ONNX Runtime takes all files from one folder, or all as bytes: beside files on disk, memory stays unnamed. */
async function linkFiles(sources: readonly ByteSource[], signal?: AbortSignal): Promise<ExternalFiles> {
  const paths = sources.flatMap(({ path }) => (path === undefined ? [] : [path]));
  if (paths.length === 0) return linkFilesAsBytes(sources, signal);
  const folder = commonFolder(paths);
  return {
    locate: ({ path }) => (path === undefined ? undefined : relative(folder, path)),
    sessionOptions: { extra: { session: { model_external_initializers_file_folder_path: folder } } },
  };
}

/** Creates the runtime of a device in Node. */
export function createNodeRuntime({
  device = "cpu",
  threads,
  plansMemory = true,
  profilePrefix,
}: NodeRuntimeOptions = {}): Runtime {
  const sessionOptions: InferenceSession.SessionOptions = {
    executionProviders: [device],
    enableMemPattern: plansMemory,
    ...(threads !== undefined && { intraOpNumThreads: threads }),
    ...(profilePrefix !== undefined && { enableProfiling: true, profileFilePrefix: profilePrefix }),
  };
  let float16: Promise<boolean> | undefined;
  const computes = (): Promise<boolean> => {
    float16 ??= computesFloat16(runtime);
    return float16;
  };
  const runtime: Runtime = createOrtRuntime({
    name: `onnxruntime-node ${device}`,
    ort,
    sessionOptions,
    linkFiles,
    ...(device === "webgpu" && {
      computesFloat16: computes,
      widened: async () => ((await computes()) ? [] : ["float16"]),
    }),
  });
  return runtime;
}
