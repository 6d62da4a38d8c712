/**
 * Finds out whether a device computes in float16: WebGPU has it as a feature of the GPU, which Node does not show.
 */

import { UnsupportedError } from "../errors.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import type { Runtime } from "./runtime.ts";

/** Tells whether a runtime computes in float16, by letting it try. */
export async function computesFloat16(runtime: Runtime): Promise<boolean> {
  const b = new GraphBuilder("float16");
  const half = b.cast(b.input("x", "float32", ["T"]), "float16");
  const graph = b.finish([b.named("y", b.cast(b.add(half, half), "float32"))]);
  try {
    await using session = await runtime.createSession(graph);
    await session.run({ x: hostTensor("float32", [1], Float32Array.of(1)) });
    return true;
  } catch (error) {
    if (error instanceof UnsupportedError) return false;
    throw error;
  }
}
