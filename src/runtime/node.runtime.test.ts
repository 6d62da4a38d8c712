import { describe, it } from "vitest";
import { describeFileConstants } from "../../test/support/runtime-conformance/describe-file-constants.ts";
import { describeRuntime } from "../../test/support/runtime-conformance/describe-runtime.ts";
import { f32 } from "../../test/support/runtime-conformance/example.ts";
import { expectClose } from "../../test/support/runtime-conformance/expect-close.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { createNodeRuntime } from "./node.ts";

const create = async () => createNodeRuntime({ threads: 1 });

describeRuntime("ONNX Runtime in Node on the CPU", create);
describeFileConstants("ONNX Runtime in Node on the CPU", create);

describe("a session without a memory plan", () => {
  it("gives the same from run to run", async () => {
    const b = new GraphBuilder("g");
    const x = b.input("x", "float32", [2, 2]);
    const graph = b.finish([b.named("y", b.matMul(b.exp(x), b.neg(x)))]);
    await using session = await createNodeRuntime({ threads: 1, plansMemory: false }).createSession(graph);
    const feeds = { x: f32([2, 2], [0, Math.LN2, 0, 0]) };
    for (let run = 0; run < 3; run++) {
      const { y } = await session.run(feeds);
      expectClose(y, f32([2, 2], [0, -Math.LN2, 0, -Math.LN2]));
    }
  });
});
