/**
 * Examples of operators: a small graph with its feeds and, where there is a closed form, its results.
 */

import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { GraphBuilder } from "../../../src/graph/builder.ts";
import type { Shape } from "../../../src/graph/dim.ts";
import type { Graph, OpName, Value } from "../../../src/graph/graph.ts";
import type { DType } from "../../../src/tensor/dtype.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host-tensor.ts";
import { elementCount, type StaticShape } from "../../../src/tensor/shape.ts";

/** Is one sentence that must hold of an operator. */
export interface Example {
  readonly title: string;
  /** Writes the graph; inputs are declared by `feed`. */
  readonly write: (example: ExampleWriter) => readonly Value[];
  /** The outputs, where they are known without computing; otherwise runtimes are compared with each other. */
  readonly expected?: readonly HostTensor[];
}

/** Lists the examples of every operator of a family. */
export type Examples<Family> = { readonly [Op in keyof Family]: readonly Example[] };

/** Writes the graph of an example and collects its feeds. */
export class ExampleWriter {
  readonly b: GraphBuilder;
  readonly feeds: Record<string, HostTensor> = {};

  constructor(name: string) {
    this.b = new GraphBuilder(name);
  }

  /** Declares an input that is fed the tensor; `shape` may have symbols. */
  readonly feed = (tensor: HostTensor, shape: Shape = tensor.shape): Value => {
    const value = this.b.input(`x${Object.keys(this.feeds).length}`, tensor.dtype, shape);
    this.feeds[value.name] = tensor;
    return value;
  };
}

/** Writes an example. Each output has a name of its own, so that two equal values make two outputs. */
export function writeExample(
  op: OpName,
  example: Example,
): { graph: Graph; feeds: Record<string, HostTensor> } {
  const writer = new ExampleWriter(op);
  const outputs = example.write(writer).map((value, index) => writer.b.named(`y${index}`, value));
  return { graph: writer.b.finish(outputs), feeds: writer.feeds };
}

/** Makes a float32 tensor. */
export function f32(shape: StaticShape, values: readonly number[]): HostTensor<"float32"> {
  return hostTensor("float32", shape, Float32Array.from(values));
}

/** Makes an int64 tensor. */
export function i64(shape: StaticShape, values: readonly number[]): HostTensor<"int64"> {
  return hostTensor("int64", shape, BigInt64Array.from(values, BigInt));
}

/** Makes a bool tensor. */
export function bool(shape: StaticShape, values: readonly boolean[]): HostTensor<"bool"> {
  return hostTensor("bool", shape, Uint8Array.from(values, Number));
}

/** Makes a float32 tensor of numbers from -2 to 2 (or `low` to `high`), the same for the same seed. */
export function random(
  seed: number,
  shape: StaticShape,
  [low, high]: readonly [number, number] = [-2, 2],
): HostTensor<"float32"> {
  const generator = xoroshiro128plus(seed);
  const values = Array.from({ length: elementCount(shape) }, () => uniformFloat64(generator));
  return f32(
    shape,
    values.map((value) => low + (high - low) * value),
  );
}

/** Converts numbers to a tensor of any dtype that holds JS numbers as they are. */
export function tensor(
  dtype: Exclude<DType, "int64" | "float16" | "bfloat16">,
  values: readonly number[],
): HostTensor {
  const arrays = {
    float32: Float32Array,
    float64: Float64Array,
    int32: Int32Array,
    int8: Int8Array,
    uint8: Uint8Array,
    bool: Uint8Array,
  };
  return hostTensor(dtype, [values.length], arrays[dtype].from(values));
}
