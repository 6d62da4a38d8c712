/**
 * What runs graphs: one interface for ONNX Runtime in Node, in the browser, and the reference interpreter.
 *
 * It refuses to know what a graph is for. A session holds its weights; tensors go in and come out by name.
 */

import type { Graph } from "../graph/graph.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { Tensor, TensorMemory } from "./tensor-memory.ts";

/** Carries tensors by name. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

/** Can run graphs on one device. */
export interface Runtime {
  /** Names the runtime and device, such as `onnxruntime-node cpu`. */
  readonly name: string;
  /** Things the user should know of it, in full sentences: such as that it runs on one thread. */
  readonly notices?: readonly string[];
  /** Is there when state can stay in the device's memory; else it lies on the host. */
  readonly device?: DeviceRuntime;
  /** Tells whether it multiplies in float16 itself; one without it does not. */
  readonly computesFloat16?: () => Promise<boolean>;
  /**
   * Compiles a graph and takes in its constants.
   * @throws {@link OutOfMemoryError} when the constants do not fit.
   * @throws {@link UnsupportedError} when the device lacks an operator.
   */
  createSession(graph: Graph, signal?: AbortSignal): Promise<RuntimeSession>;
}

/** Keeps state in the memory of a device. */
export interface DeviceRuntime {
  readonly memory: TensorMemory;
  /**
   * Compiles a graph as {@link Runtime.createSession} does, with outputs that stay in the device's memory.
   * @param kept names them; whoever runs the graph releases them.
   */
  createSession(graph: Graph, kept: readonly string[], signal?: AbortSignal): Promise<RuntimeSession<Tensor>>;
}

/** Is a compiled graph with its constants. */
export interface RuntimeSession<Output extends Tensor = HostTensor> extends AsyncDisposable {
  /** Names what {@link RuntimeSession.run} must be given. */
  readonly inputNames: readonly string[];
  /** Names what {@link RuntimeSession.run} can give. */
  readonly outputNames: readonly string[];
  /**
   * Runs the graph. Feeds are read during the call and not kept.
   * @param outputs names of the outputs wanted; all by default.
   * @throws {@link InvalidRequestError} on an unknown or missing name, or a tensor that does not fit its input.
   */
  run(feeds: NamedTensors, outputs?: readonly string[]): Promise<Record<string, Output>>;
}
