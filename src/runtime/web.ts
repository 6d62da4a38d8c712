/**
 * ONNX Runtime in a browser: on the CPU by WebAssembly, or on the GPU by WebGPU.
 *
 * The only file that imports `onnxruntime-web`, and it does so when a runtime is created: each device has a
 * package and a binary of its own. The wasm device also runs in Node and in workers.
 */

import type { Env } from "onnxruntime-common";
import type * as OnnxRuntimeWeb from "onnxruntime-web";
import { RuntimeMissingError } from "../errors.ts";
import { createOrtRuntime, linkFilesAsBytes } from "./ort.ts";
import type { Runtime } from "./runtime.ts";

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
  if (device === "webgpu" && (typeof navigator === "undefined" || !("gpu" in navigator))) {
    throw new RuntimeMissingError({
      where,
      what: "this browser or page has no WebGPU",
      remedy: 'Use device "wasm", or a secure page in a browser with WebGPU.',
    });
  }
  const ort = await packages[device]().catch((cause: unknown) => {
    throw new RuntimeMissingError({ where, what: "the package cannot be loaded", cause });
  });
  if (threads !== undefined) ort.env.wasm.numThreads = threads;
  if (wasmPaths !== undefined) ort.env.wasm.wasmPaths = wasmPaths;
  return createOrtRuntime({
    name: where,
    ort,
    sessionOptions: { executionProviders: [device] },
    linkFiles: linkFilesAsBytes,
  });
}
