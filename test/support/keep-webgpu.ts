/**
 * Keeps ONNX Runtime's WebGPU context of a page alive over all tests of a file: compiled shaders end with the last
 * session, and to compile them anew takes a software GPU seconds a model.
 */

import { afterAll, beforeAll } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import type { Runtime, RuntimeSession } from "../../src/runtime/runtime.ts";

/** Holds a session of a runtime from the first test to the last. */
export function keepWebgpu(create: () => Promise<Runtime>): void {
  let session: RuntimeSession | undefined;
  beforeAll(async () => {
    const b = new GraphBuilder("keeper");
    session = await (await create()).createSession(b.finish([b.neg(b.input("x", "float32", [1]))]));
  });
  afterAll(async () => {
    await session?.[Symbol.asyncDispose]();
  });
}
