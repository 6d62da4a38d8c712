/**
 * Runs a graph on ONNX Runtime and on the reference interpreter, to compare them.
 */

import type { Graph } from "../../../src/graph/graph.ts";
import { createNodeRuntime } from "../../../src/runtime/node.ts";
import { createReferenceRuntime } from "../../../src/runtime/reference/interpreter.ts";
import type { NamedTensors, Runtime } from "../../../src/runtime/runtime.ts";
import type { HostTensor } from "../../../src/tensor/host-tensor.ts";

const onnxRuntime = createNodeRuntime({ threads: 2 });
const reference = createReferenceRuntime({ precision: "float64" });

type Results = Readonly<Record<string, HostTensor>>;

async function run(runtime: Runtime, graph: Graph, feeds: NamedTensors): Promise<Results> {
  await using session = await runtime.createSession(graph);
  return await session.run(feeds);
}

/** Runs a graph on the interpreter, which computes in float64 inside. */
export function runReference(graph: Graph, feeds: NamedTensors): Promise<Results> {
  return run(reference, graph, feeds);
}

/** Runs a graph on both. */
export async function runTwice(
  graph: Graph,
  feeds: NamedTensors,
): Promise<{ readonly expected: Results; readonly got: Results }> {
  return { expected: await runReference(graph, feeds), got: await run(onnxRuntime, graph, feeds) };
}
