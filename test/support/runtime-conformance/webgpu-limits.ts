/**
 * What WebGPU does not promise on a GPU without float16 (SwiftShader, the software GPU of the tests, is one).
 *
 * Kernels refuse or crash on tensors without elements, and clamp indices out of range: the engine makes neither.
 */

import type { DeviceLimits } from "./describe-runtime.ts";

const limits = { emptyTensors: false, indexChecks: false } as const;

/** In Node, ONNX Runtime runs what the GPU cannot on the CPU: all but float16, which it takes for granted. */
export const nodeWebgpuLimits: DeviceLimits = { ...limits, without: ["float16"] };

/** In a browser there is no other device to fall back on. */
export const browserWebgpuLimits: DeviceLimits = {
  ...limits,
  without: ["float16", "bfloat16", "float64"],
};
