import { describe, expect, it } from "vitest";
import { describeRuntime } from "../../../test/support/runtime-conformance/describe-runtime.ts";
import { InvalidRequestError } from "../../errors.ts";
import { GraphBuilder } from "../../graph/builder.ts";
import type { Graph } from "../../graph/graph.ts";
import { encodeFloat16 } from "../../tensor/half-float.ts";
import { type HostTensor, hostTensor } from "../../tensor/host-tensor.ts";
import type { NamedTensors } from "../runtime.ts";
import { createReferenceRuntime, type ReferenceRuntimeOptions } from "./interpreter.ts";

describeRuntime("the reference interpreter", async () => createReferenceRuntime());

async function run(
  graph: Graph,
  feeds: NamedTensors,
  options?: ReferenceRuntimeOptions,
): Promise<Record<string, HostTensor>> {
  await using session = await createReferenceRuntime(options).createSession(graph);
  return await session.run(feeds);
}

const f32 = (...values: number[]): HostTensor =>
  hostTensor("float32", [values.length], Float32Array.from(values));
const f64 = (...values: number[]): HostTensor =>
  hostTensor("float64", [values.length], Float64Array.from(values));

/** Computes `y = (x + 1) - 1`, which loses what float32 cannot hold beside 1. */
function roundTripGraph(): Graph {
  const b = new GraphBuilder("round-trip");
  const x = b.input("x", "float32", ["T"]);
  return b.finish([b.named("y", b.sub(b.add(x, b.scalar(1)), b.scalar(1)))]);
}

describe("precision and floats", () => {
  const tiny = 2 ** -30;
  it.each<[string, ReferenceRuntimeOptions, HostTensor, HostTensor]>([
    ["float32 rounds each result", {}, f32(tiny), f32(0)],
    ["float64 rounds the output only", { precision: "float64" }, f32(tiny), f32(tiny)],
    [
      "wide floats may be fed and come out",
      { precision: "float64", floats: "float64" },
      f64(0.1),
      f64(1.1 - 1),
    ],
    [
      "wide floats still take the declared dtype",
      { precision: "float64", floats: "float64" },
      f32(tiny),
      f64(tiny),
    ],
    ["wide floats round to float32 on request", { floats: "float64" }, f64(tiny), f64(0)],
  ])("%s", async (_, options, x, y) => {
    expect((await run(roundTripGraph(), { x }, options)).y).toEqual(y);
  });

  it("refuses float64 feeds of float32 inputs unless asked", async () => {
    await expect(run(roundTripGraph(), { x: f64(1) })).rejects.toBeInstanceOf(InvalidRequestError);
  });

  it("keeps integers and bools as declared, and rounds half floats at any precision", async () => {
    const b = new GraphBuilder("kinds");
    const x = b.input("x", "float32", [1]);
    const graph = b.finish([b.named("int", b.cast(x, "int64")), b.named("half", b.cast(x, "float16"))]);
    const third = f32(1 / 3);
    const wide = await run(graph, { x: third }, { precision: "float64", floats: "float64" });
    expect(wide.int).toEqual(hostTensor("int64", [1], BigInt64Array.of(0n)));
    expect(wide.half).toEqual(f64(1365 / 4096));
    const declared = await run(graph, { x: third }, { precision: "float64" });
    expect(declared.half).toEqual(hostTensor("float16", [1], encodeFloat16([1 / 3])));
  });

  it("sums products of float16 in float16 on request, and those of float32 never", async () => {
    const b = new GraphBuilder("sums");
    const x = b.input("x", "float32", [1, 3]);
    const product = (dtype: "float16" | "float32") => {
      const w = b.cast(b.input(`w_${dtype}`, "float32", [1, 3]), dtype);
      const [wide, narrow] = [
        b.linear(b.cast(x, dtype), w),
        b.matMul(b.cast(x, dtype), b.transpose(w, [1, 0])),
      ];
      return [b.cast(wide, "float32"), b.cast(narrow, "float32")];
    };
    const all = [...product("float16"), ...product("float32")];
    const graph = b.finish([b.named("y", b.concat(all, 1))]);
    const ones = hostTensor("float32", [1, 3], Float32Array.of(1, 1, 1));
    const feeds = {
      x: hostTensor("float32", [1, 3], Float32Array.of(2048, 1, 1)),
      w_float16: ones,
      w_float32: ones,
    };
    // 2049 lies between two numbers of float16 and goes to the even one, twice.
    const sums = async (options: ReferenceRuntimeOptions) => [
      ...((await run(graph, feeds, options)).y?.data ?? []),
    ];
    expect(await sums({ halfSums: "float16" })).toEqual([2048, 2048, 2050, 2050]);
    expect(await sums({})).toEqual([2050, 2050, 2050, 2050]);
  });

  it("differentiates by central differences to ten digits", async () => {
    const b = new GraphBuilder("f");
    const graph = b.finish([b.named("y", b.exp(b.input("x", "float32", ["T"])))]);
    const step = 1e-5;
    const { y } = await run(
      graph,
      { x: f64(1 + step, 1 - step) },
      { precision: "float64", floats: "float64" },
    );
    const [above = 0, below = 0] = Array.from(y?.data ?? [], Number);
    expect((above - below) / (2 * step)).toBeCloseTo(Math.E, 9);
  });
});

describe("symbols", () => {
  it("are bound by the sums that they stand in, and bind the sizes of a split", async () => {
    const b = new GraphBuilder("sums");
    const x = b.input("x", "float32", ["P+2*T"]);
    b.input("t", "float32", ["T"]);
    const sizes = b.input("sizes", "int64", [2]);
    const graph = b.finish([...b.split(x, 0, ["2*T", "P"], sizes)]);
    const feeds = { x: f32(1, 2, 3, 4, 5), t: f32(0) };
    const split = (...values: bigint[]) =>
      run(graph, { ...feeds, sizes: hostTensor("int64", [2], BigInt64Array.from(values)) });
    expect(await split(2n, 3n)).toEqual({ split: f32(1, 2), split_1: f32(3, 4, 5) });
    await expect(split(3n, 2n)).rejects.toThrow(
      /Split split: .* got "float32 \[3\]", expected float32 \[2\*T\]/,
    );
  });

  it.each([
    [0, /input x disagrees .* extent P\+2\*T at axis 0, got 0, expected T = 1/],
    [1, /got 1, expected T = 1/],
  ])("refuse a sum that their values pass: %d", async (length, message) => {
    const b = new GraphBuilder("sums");
    const graph = b.finish([b.input("x", "float32", ["P+2*T"]), b.input("t", "float32", ["T"])]);
    await expect(run(graph, { x: f32(...new Array(length).fill(0)), t: f32(0) })).rejects.toThrow(message);
  });

  it("refuse a slice beyond the end", async () => {
    const b = new GraphBuilder("slice");
    const graph = b.finish([b.slice(b.input("x", "float32", ["T"]), 0, 1, 3)]);
    await expect(run(graph, { x: f32(1, 2) })).rejects.toThrow(
      /Slice: the range does not fit axis 0, got "1..3"/,
    );
  });
});

it("evaluates only the branch that is taken", async () => {
  const b = new GraphBuilder("lookup");
  const ids = b.input("ids", "int64", [1]);
  const table = b.constant("table", f32(7));
  const graph = b.finish(
    b.if(
      b.input("known", "bool", []),
      (branch) => [branch.gather(table, ids)],
      () => [table],
    ),
  );
  const feeds = (known: number): NamedTensors => ({
    ids: hostTensor("int64", [1], BigInt64Array.of(5n)),
    known: hostTensor("bool", [], Uint8Array.of(known)),
  });
  expect(await run(graph, feeds(0))).toEqual({ if: f32(7) });
  await expect(run(graph, feeds(1))).rejects.toThrow(/Gather: an index is out of range, got 5/);
});
