import { describe, expect, it } from "vitest";
import { describeRuntime } from "../../test/support/runtime-conformance/describe-runtime.ts";
import { browserWebgpuLimits } from "../../test/support/runtime-conformance/webgpu-limits.ts";
import { createWebRuntime } from "./web.ts";

/** The projects `browser` and `browser-plain` serve the same tests with and without isolation. */
const page = crossOriginIsolated ? "an isolated page" : "a page that is not isolated";

describeRuntime(`ONNX Runtime as WebAssembly in ${page}`, () => createWebRuntime());
if (crossOriginIsolated) {
  describeRuntime(
    `ONNX Runtime on WebGPU in ${page}`,
    () => createWebRuntime({ device: "webgpu" }),
    browserWebgpuLimits,
  );
}

describe(`WebAssembly in ${page}`, () => {
  it.runIf(crossOriginIsolated)("uses threads and has nothing to say", async () => {
    expect((await createWebRuntime({ threads: 2 })).notices).toEqual([]);
    expect((await createWebRuntime()).notices).toEqual([]);
  });

  it.skipIf(crossOriginIsolated)("runs on one thread and says so, unless that was asked for", async () => {
    const { notices } = await createWebRuntime({ threads: 2 });
    expect(notices).toHaveLength(1);
    expect(notices?.[0]).toMatch(/not cross-origin isolated.* one thread.*Cross-Origin-Opener-Policy/);
    expect((await createWebRuntime()).notices).toEqual(notices);
    expect((await createWebRuntime({ threads: 1 })).notices).toEqual([]);
  });
});
