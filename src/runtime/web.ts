/**
 * ONNX Runtime in a browser: on the CPU by WebAssembly, or on the GPU by WebGPU.
 *
 * The only file that imports `onnxruntime-web`, and it does so when a runtime is created: each device has a
 * package and a binary of its own. The wasm device also runs in Node and in workers.
 */

import type { Env } from "onnxruntime-common";
import type * as OnnxRuntimeWeb from "onnxruntime-web";
import { RuntimeMissingError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import { Mutex } from "./mutex.ts";
import { createOrtRuntime } from "./ort.ts";
import { linkFilesAsBytes } from "./ort-constants.ts";
import type { Runtime } from "./runtime.ts";
import { webgpuDevice } from "./webgpu-device.ts";
import { WebgpuMemory } from "./webgpu-memory.ts";

/** Names a device that a browser can run on. */
export type WebDevice = "wasm" | "webgpu";

/** Configures the runtime. ONNX Runtime keeps `threads` and `wasmPaths` of the first session of a page. */
export interface WebRuntimeOptions {
  readonly device?: WebDevice;
  /** Threads within an operator; more than one needs a cross-origin isolated page. */
  readonly threads?: number;
  /** Where the `.wasm` and `.mjs` files of `onnxruntime-web` are served: a prefix, or both files' addresses. */
  readonly wasmPaths?: Env.WebAssemblyFlags["wasmPaths"];
}

const packages: { readonly [D in WebDevice]: () => Promise<typeof OnnxRuntimeWeb> } = {
  wasm: () => import("onnxruntime-web/wasm"),
  webgpu: () => import("onnxruntime-web/webgpu"),
};

/** On WebGPU the package waits within its binary: a second call under way would never come back. */
const webgpuTurns = new Mutex();

const singleThreadNotice =
  "This page is not cross-origin isolated, so WebAssembly runs on one thread. Serve it with the headers " +
  "Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp to use more.";

/** Tells whether wasm threads can be had: they share memory, which pages must be isolated for. */
function canShareMemory(): boolean {
  return typeof crossOriginIsolated === "undefined" || crossOriginIsolated;
}

/**
 * Creates the runtime of a device in a browser.
 * @throws {@link RuntimeMissingError} when `onnxruntime-web` cannot be loaded, or the page has no WebGPU.
 */
export async function createWebRuntime({
  device = "wasm",
  threads,
  wasmPaths,
}: WebRuntimeOptions = {}): Promise<Runtime> {
  const where = `onnxruntime-web ${device}`;
  const gpu = device === "webgpu" ? await webgpuDevice(where) : undefined;
  const ort = await packages[device]().catch((cause: unknown) => {
    throw new RuntimeMissingError({ where, what: "the package cannot be loaded", cause });
  });
  if (threads !== undefined) ort.env.wasm.numThreads = threads;
  // Said by the notice: the package itself would only write to the console.
  if (!canShareMemory()) ort.env.wasm.numThreads = 1;
  if (wasmPaths !== undefined) ort.env.wasm.wasmPaths = wasmPaths;
  const isSingle = device === "wasm" && threads !== 1 && !canShareMemory();
  return createOrtRuntime({
    name: where,
    ort,
    sessionOptions: { executionProviders: [gpu === undefined ? device : { name: "webgpu", device: gpu }] },
    linkFiles: linkFilesAsBytes,
    ...(isSingle && { notices: [singleThreadNotice] }),
    ...(gpu !== undefined && {
      turns: webgpuTurns,
      memory: new WebgpuMemory(gpu),
      computesFloat16: async () => gpu.features.has("shader-f16"),
      widened: async (): Promise<readonly DType[]> =>
        gpu.features.has("shader-f16") ? ["bfloat16"] : ["bfloat16", "float16"],
    }),
  });
}
