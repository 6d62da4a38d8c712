/**
 * The reference interpreter: runs graphs in plain, slow TypeScript. It is the oracle of the tests.
 *
 * Floats are computed in float64. With precision "float32" each operator's result is rounded to float32; with
 * "float64" values of dtype float32 stay unrounded, for finite differences. float16 and bfloat16 always round.
 * Each value is checked against its symbolic shape.
 */

import { DisposedError, InternalError } from "../../errors.ts";
import { bindDim, evaluateDim } from "../../graph/dim.ts";
import type { Graph, Node, OpAttributes, OpName } from "../../graph/graph.ts";
import { roundToFloat16 } from "../../tensor/half-float.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";
import { formatShape } from "../../tensor/shape.ts";
import { checkFeeds } from "../check-feeds.ts";
import { readConstant } from "../read-constant.ts";
import type { NamedTensors, Runtime, RuntimeSession } from "../runtime.ts";
import { hostTensors } from "../tensor-memory.ts";
import { attentionKernels } from "./attention.ts";
import { controlKernels } from "./control.ts";
import { elementwiseKernels } from "./elementwise.ts";
import type { Kernel, KernelContext } from "./kernel.ts";
import { linearKernels } from "./linear.ts";
import { movementKernels } from "./movement.ts";
import { quantizedKernels } from "./quantized.ts";
import { reductionKernels } from "./reduction.ts";
import {
  fromHostTensor,
  isFloat,
  type Precision,
  type ReferenceTensor,
  roundToDType,
  toHostTensor,
} from "./reference-tensor.ts";

/** Configures the interpreter. */
export interface ReferenceRuntimeOptions {
  /** How exactly values of dtype float32 are computed; "float32" by default. */
  readonly precision?: Precision;
  /**
   * How floats go in and out. "declared" (the default): in the graph's dtypes. "float64": floats may be fed as
   * float64 whatever the graph declares, and come out as float64; other dtypes as declared.
   */
  readonly floats?: "declared" | "float64";
  /**
   * How products of float16 are summed. "exact" (the default): the sum is rounded. "float16": every partial sum is,
   * as kernels on GPUs do.
   */
  readonly halfSums?: "exact" | "float16";
}

type Settings = Required<ReferenceRuntimeOptions>;

const kernels: { readonly [Op in OpName]: Kernel<OpAttributes[Op]> } = {
  ...elementwiseKernels,
  ...linearKernels,
  ...movementKernels,
  ...reductionKernels,
  ...attentionKernels,
  ...quantizedKernels,
  ...controlKernels,
};

/** Is one run: the values so far and what the symbols stand for. */
class Evaluation implements KernelContext {
  readonly #values: Map<string, ReferenceTensor>;
  readonly #bindings: Map<string, number>;
  readonly #settings: Settings;

  constructor(values: Map<string, ReferenceTensor>, bindings: Map<string, number>, settings: Settings) {
    this.#values = values;
    this.#bindings = bindings;
    this.#settings = settings;
  }

  readonly evaluateShape: KernelContext["evaluateShape"] = (shape) =>
    shape.map((dim) => evaluateDim(dim, this.#bindings));

  readonly evaluateBranch: KernelContext["evaluateBranch"] = (graph) =>
    new Evaluation(new Map(this.#values), this.#bindings, this.#settings).evaluate(graph);

  readonly roundPartialSum: KernelContext["roundPartialSum"] = (dtype) =>
    dtype === "float16" && this.#settings.halfSums === "float16" ? roundToFloat16 : (sum) => sum;

  #value(name: string): ReferenceTensor {
    const value = this.#values.get(name);
    if (value === undefined) throw new InternalError({ where: "reference", what: `no value ${name}` });
    return value;
  }

  #evaluateNode<Op extends OpName>(node: Node<Op>): void {
    const kernel: Kernel<Node<Op>["attributes"]> = kernels[node.op];
    const results = kernel(
      node.inputs.map((input) => this.#value(input.name)),
      node.attributes,
      this,
    );
    node.outputs.forEach(({ name, dtype, shape }, index) => {
      const result = results[index];
      const fits =
        result?.dtype === dtype &&
        result.shape.length === shape.length &&
        shape.every((dim, axis) => bindDim(dim, result.shape[axis] ?? 0, this.#bindings));
      if (result === undefined || !fits) {
        const bound = [...this.#bindings].map(([symbol, size]) => `, ${symbol} = ${size}`).join("");
        throw new InternalError({
          where: `${node.op} ${name}`,
          what: "the result does not have the declared type",
          got: result === undefined ? "none" : `${result.dtype} ${formatShape(result.shape)}`,
          expected: `${dtype} ${formatShape(shape)}${bound}`,
        });
      }
      roundToDType(result, this.#settings.precision);
      this.#values.set(name, result);
    });
  }

  evaluate(graph: Graph): ReferenceTensor[] {
    for (const node of graph.nodes) this.#evaluateNode(node);
    return graph.outputs.map((output) => this.#value(output.name));
  }
}

class ReferenceSession implements RuntimeSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly #graph: Graph;
  readonly #options: Settings;
  #constants: ReadonlyMap<string, ReferenceTensor> | undefined;

  constructor(graph: Graph, constants: ReadonlyMap<string, ReferenceTensor>, options: Settings) {
    this.#graph = graph;
    this.#constants = constants;
    this.#options = options;
    this.inputNames = graph.inputs.map((input) => input.name);
    this.outputNames = graph.outputs.map((output) => output.name);
  }

  async run(
    tensors: NamedTensors,
    outputs: readonly string[] = this.outputNames,
  ): Promise<Record<string, HostTensor>> {
    const feeds = hostTensors(tensors);
    const where = `graph ${this.#graph.name}`;
    if (this.#constants === undefined) throw new DisposedError({ where, what: "the session is disposed" });
    const bindings = checkFeeds(this.#graph, this.#declaredFeeds(feeds), outputs);
    const values = new Map(this.#constants);
    for (const { name, dtype } of this.#graph.inputs) {
      const tensor = feeds[name];
      if (tensor === undefined) continue;
      const value = { ...fromHostTensor(tensor), dtype };
      roundToDType(value, this.#options.precision);
      values.set(name, value);
    }
    const results = new Evaluation(values, new Map(bindings), this.#options).evaluate(this.#graph);
    return Object.fromEntries(
      this.#graph.outputs.flatMap(({ name, dtype }, index) => {
        const result = results[index];
        if (result === undefined || !outputs.includes(name)) return [];
        const widen = this.#options.floats === "float64" && isFloat(dtype);
        return [[name, toHostTensor(result, widen ? "float64" : dtype)]];
      }),
    );
  }

  /** Presents floats that may be fed as float64 under their declared dtype, for the check. */
  #declaredFeeds(feeds: Readonly<Record<string, HostTensor>>): NamedTensors {
    if (this.#options.floats === "declared") return feeds;
    const shown: Record<string, HostTensor> = { ...feeds };
    for (const { name, dtype } of this.#graph.inputs) {
      const tensor = shown[name];
      if (tensor?.dtype === "float64" && isFloat(dtype)) shown[name] = { ...tensor, dtype };
    }
    return shown;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#constants = undefined;
  }
}

/** Creates the reference interpreter. */
export function createReferenceRuntime({
  precision = "float32",
  floats = "declared",
  halfSums = "exact",
}: ReferenceRuntimeOptions = {}): Runtime {
  return {
    name: `reference ${precision}`,
    computesFloat16: async () => true,
    async createSession(graph, signal) {
      const constants = new Map<string, ReferenceTensor>();
      for (const initializer of graph.initializers) {
        signal?.throwIfAborted();
        constants.set(initializer.value.name, fromHostTensor(await readConstant(initializer, signal)));
      }
      return new ReferenceSession(graph, constants, { precision, floats, halfSums });
    },
  };
}
