/**
 * The page's GPU: one WebGPU device for all models, so that their state and ONNX Runtime's buffers are of one kind.
 *
 * ONNX Runtime would make a device of its own and end it with its last session; buffers would not outlive that.
 */

import { RuntimeMissingError } from "../errors.ts";

/** What kernels use where there is it. */
const usefulFeatures: readonly GPUFeatureName[] = ["shader-f16", "subgroups"];

/** What kernels and large models want as much as there is of. */
const raisedLimits = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
] as const satisfies readonly (keyof GPUSupportedLimits)[];

let shared: Promise<GPUDevice> | undefined;

async function requestDevice(where: string): Promise<GPUDevice> {
  const gpu = typeof navigator === "undefined" || !("gpu" in navigator) ? undefined : navigator.gpu;
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === undefined || adapter === null) {
    throw new RuntimeMissingError({
      where,
      what:
        gpu === undefined
          ? "this browser or page has no WebGPU"
          : "the browser has WebGPU, but gives no GPU to this page",
      remedy: 'Use device "wasm", or a secure page in a browser with WebGPU and a GPU.',
    });
  }
  const device = await adapter.requestDevice({
    requiredFeatures: usefulFeatures.filter((feature) => adapter.features.has(feature)),
    requiredLimits: Object.fromEntries(raisedLimits.map((name) => [name, adapter.limits[name]])),
  });
  void device.lost.then(() => {
    shared = undefined;
  });
  return device;
}

/**
 * Gives the page's device.
 * @param where names who asks, in messages.
 * @throws {@link RuntimeMissingError} when the page has no WebGPU or no GPU.
 */
export function webgpuDevice(where: string): Promise<GPUDevice> {
  shared ??= requestDevice(where).catch((error: unknown) => {
    // A failure is not remembered: the next use asks again.
    shared = undefined;
    throw error;
  });
  return shared;
}
