/**
 * Holds gradients to central finite differences, in float64 on the reference interpreter.
 */

import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { expect } from "vitest";
import {
  type Differentiation,
  differentiate,
  gradientName,
  upstreamName,
} from "../../../src/autodiff/differentiate.ts";
import type { Graph } from "../../../src/graph/graph.ts";
import { verifyGraph } from "../../../src/graph/verify.ts";
import { createReferenceRuntime } from "../../../src/runtime/reference/interpreter.ts";
import type { NamedTensors } from "../../../src/runtime/runtime.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host-tensor.ts";
import { formatShape } from "../../../src/tensor/shape.ts";

type Feeds = Readonly<Record<string, HostTensor>>;

/** Computes a graph in float64. */
export type Run64 = (feeds: Feeds) => Promise<Record<string, HostTensor>>;

/** Opens a graph on the reference interpreter, with floats of 64 bits inside and out. */
export async function open64(graph: Graph): Promise<Run64> {
  const runtime = createReferenceRuntime({ precision: "float64", floats: "float64" });
  const session = await runtime.createSession(graph);
  return (feeds: NamedTensors) => session.run(feeds);
}

/** Returns a function that draws tensors of another's shape, of numbers from -1 to 1. */
function makeDraw(): (like: HostTensor) => HostTensor<"float64"> {
  const generator = xoroshiro128plus(9);
  return ({ shape, data }) => {
    const values = Array.from({ length: data.length }, () => 2 * uniformFloat64(generator) - 1);
    return hostTensor("float64", shape, Float64Array.from(values));
  };
}

function moved(x: HostTensor, direction: HostTensor<"float64">, step: number): HostTensor<"float64"> {
  const data = Float64Array.from(direction.data, (along, index) => Number(x.data[index]) + step * along);
  return hostTensor("float64", x.shape, data);
}

function dot(a: HostTensor | undefined, b: HostTensor | undefined): number {
  return Array.from(a?.data ?? [], Number).reduce((sum, value, i) => sum + value * Number(b?.data[i]), 0);
}

/** Is how a check goes about it. */
export interface GradientCheck {
  readonly graph: Graph;
  readonly feeds: Feeds;
  readonly differentiation: Differentiation;
  /** Largest allowed error relative to 1 + |gradient|. */
  readonly tolerance: number;
  /** Length of a step to each side; the error of central differences grows with its square. */
  readonly step?: number;
}

/**
 * Expects, for each parameter, that the derivative along a random direction is the gradient's product with it.
 * One direction sees every element; what is fed as `upstream` is random too.
 */
export async function expectGradients(check: GradientCheck): Promise<void> {
  const { graph, feeds, differentiation, tolerance, step = 1e-5 } = check;
  const { loss, upstream = [], parameters } = differentiation;
  const backward = differentiate(graph, differentiation);
  verifyGraph(backward);
  const drawLike = makeDraw();
  const forward = await open64(graph);
  const results = await forward(feeds);
  const weights = Object.fromEntries(
    upstream.flatMap((name) => {
      const value = results[name];
      return value === undefined ? [] : [[name, drawLike(value)] as const];
    }),
  );
  const objective = (outputs: Feeds): number =>
    upstream.reduce((sum, name) => sum + dot(outputs[name], weights[name]), 0) +
    (loss === undefined ? 0 : Number(outputs[loss]?.data[0]));
  const run = await open64(backward);
  const fed = Object.fromEntries(upstream.map((name) => [upstreamName(name), weights[name]] as const));
  const gradients = await run({ ...feeds, ...(fed as Feeds) });
  for (const name of parameters) {
    const [x, gradient] = [feeds[name], gradients[gradientName(name)]];
    if (x === undefined) throw new Error(`${name} is not fed`);
    expect(formatShape(gradient?.shape ?? [-1]), name).toBe(formatShape(x.shape));
    const direction = drawLike(x);
    const above = objective(await forward({ ...feeds, [name]: moved(x, direction, step) }));
    const below = objective(await forward({ ...feeds, [name]: moved(x, direction, -step) }));
    const expected = (above - below) / (2 * step);
    const got = dot(gradient, direction);
    const distance = Math.abs(got - expected) / (1 + Math.abs(expected));
    expect({ name, got, expected, isNear: distance <= tolerance }).toMatchObject({ isNear: true });
  }
}
