/**
 * The conformance suite of runtimes: what every implementation of `Runtime` must do.
 *
 * Operators are held to closed forms, or else to the reference interpreter computing in float64.
 */

import { afterAll, describe, expect, it } from "vitest";
import { DisposedError, EdgeInfiniteError, InvalidRequestError } from "../../../src/errors.ts";
import { memoryByteSource } from "../../../src/files/byte-source.ts";
import { GraphBuilder } from "../../../src/graph/builder.ts";
import type { Graph, OpName } from "../../../src/graph/graph.ts";
import { verifyGraph } from "../../../src/graph/verify.ts";
import { createReferenceRuntime } from "../../../src/runtime/reference/interpreter.ts";
import type { NamedTensors, Runtime, RuntimeSession } from "../../../src/runtime/runtime.ts";
import type { Tensor } from "../../../src/runtime/tensor-memory.ts";
import type { DType } from "../../../src/tensor/dtype.ts";
import { encodeBfloat16, encodeFloat16 } from "../../../src/tensor/half-float.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host-tensor.ts";
import { bool, type Example, f32, i64, writeExample } from "./example.ts";
import { expectClose } from "./expect-close.ts";
import { opExamples } from "./op-examples.ts";

/** Makes the runtime that is described. */
type Create = () => Promise<Runtime>;

/** Says what a device does not promise, and no graph of this library asks of it. */
export interface DeviceLimits {
  /** Element types that it does not compute with. */
  readonly without?: readonly DType[];
  /** Takes tensors without elements. */
  readonly emptyTensors?: boolean;
  /** Refuses indices out of range. */
  readonly indexChecks?: boolean;
}

/** Returns why a device need not run an example; undefined when it must. */
function excuse(limits: DeviceLimits, graph: Graph, feeds: NamedTensors): string | undefined {
  const { without = [], emptyTensors = true } = limits;
  const constants = new Set(graph.initializers.map(({ value }) => value.name));
  const computed = graph.nodes
    .flatMap(({ inputs, outputs }) => [...inputs, ...outputs])
    .filter(({ name }) => !constants.has(name));
  const lacking = computed.find(({ dtype }) => without.includes(dtype));
  if (lacking !== undefined) return `the device does not compute in ${lacking.dtype}`;
  const isEmpty = ({ shape }: Tensor): boolean => shape.includes(0);
  if (!emptyTensors && Object.values(feeds).some(isEmpty)) return "the device takes no empty tensors";
  return undefined;
}

/** Opens the session that several tests share. */
type Open = () => Promise<RuntimeSession>;

/** Runs a graph once. */
async function runOnce(
  runtime: Runtime,
  graph: Graph,
  feeds: NamedTensors,
): Promise<Record<string, HostTensor>> {
  await using session = await runtime.createSession(graph);
  return await session.run(feeds);
}

function describeOperators(create: Create, limits: DeviceLimits): void {
  const reference = createReferenceRuntime({ precision: "float64" });
  const rows = Object.entries(opExamples) as [OpName, readonly Example[]][];
  describe.each(rows)("%s", (op, examples) => {
    it.for(examples)("$title", async (example, { skip }) => {
      const { graph, feeds } = writeExample(op, example);
      verifyGraph(graph);
      const reason = excuse(limits, graph, feeds);
      if (reason !== undefined) skip(reason);
      expect(graph.nodes.map((node) => node.op)).toContain(op);
      const results = await runOnce(await create(), graph, feeds);
      const wanted = example.expected ?? Object.values(await runOnce(reference, graph, feeds));
      expect(Object.keys(results)).toEqual(wanted.map((_, index) => `y${index}`));
      wanted.forEach((tensor, index) => {
        expectClose(results[`y${index}`], tensor);
      });
    });
  });
}

/** A file of three constants of two elements each, in float32, float16 and bfloat16, at odd offsets. */
function constantsFile(): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.set(new Uint8Array(Float32Array.of(1.5, -2).buffer), 8);
  bytes.set(new Uint8Array(encodeFloat16([0.5, 65504]).buffer), 18);
  bytes.set(new Uint8Array(encodeBfloat16([-3, 2 ** 100]).buffer), 30);
  return bytes;
}

function describeConstants(create: Create): void {
  it("reads external float32, float16 and bfloat16 from memory", async () => {
    const b = new GraphBuilder("constants");
    const source = memoryByteSource("m", constantsFile());
    const plain = b.external("w32", "float32", [2], { source, offset: 8, lengthBytes: 8 });
    const half = b.external("w16", "float16", [2], { source, offset: 18, lengthBytes: 4 });
    const brain = b.external("wb16", "bfloat16", [2, 1], { source, offset: 30, lengthBytes: 4 });
    const graph = b.finish([
      b.named("a", plain),
      b.named("b", b.cast(half, "float32")),
      b.named("c", b.cast(brain, "float32")),
    ]);
    const results = await runOnce(await create(), graph, {});
    expectClose(results.a, f32([2], [1.5, -2]));
    expectClose(results.b, f32([2], [0.5, 65504]));
    expectClose(results.c, f32([2, 1], [-3, 2 ** 100]));
  });

  it("reads constants from two sources, each shared by two constants", async () => {
    const b = new GraphBuilder("sources");
    const sources = [1, 10].map((base) =>
      memoryByteSource("same name", new Uint8Array(Float32Array.of(base, base + 1).buffer)),
    );
    const parts = sources.flatMap((source, file) =>
      [0, 4].map((offset) =>
        b.external(`w${file}${offset}`, "float32", [1], { source, offset, lengthBytes: 4 }),
      ),
    );
    const graph = b.finish([b.concat(parts, 0)]);
    const [result] = Object.values(await runOnce(await create(), graph, {}));
    expectClose(result, f32([4], [1, 2, 10, 11]));
  });

  it("stops loading when aborted", async () => {
    const runtime = await create();
    const reason = new Error("stop");
    const graph = new GraphBuilder("aborted");
    const scalar = graph.finish([graph.neg(graph.scalar(1))]);
    await expect(runtime.createSession(scalar, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
}

/** Computes `sum = x + y` for `x [T, 2]`, `y [T, 2]`, and `double = 2 sum`. */
function sumGraph(): Graph {
  const b = new GraphBuilder("sum");
  const x = b.input("x", "float32", ["T", 2]);
  const sum = b.named("sum", b.add(x, b.input("y", "float32", ["T", 2])));
  return b.finish([sum, b.named("double", b.mul(sum, b.scalar(2)))]);
}

const x = f32([2, 2], [1, 2, 3, 4]);
const y = f32([2, 2], [10, 20, 30, 40]);

function describeSession(create: Create, limits: DeviceLimits): void {
  let shared: Promise<RuntimeSession> | undefined;
  const open = (): Promise<RuntimeSession> => {
    shared ??= create().then((runtime) => runtime.createSession(sumGraph()));
    return shared;
  };
  afterAll(async () => await (await shared)?.[Symbol.asyncDispose]());

  it("names its inputs and outputs", async () => {
    const session = await open();
    expect(session.inputNames).toEqual(["x", "y"]);
    expect(session.outputNames).toEqual(["sum", "double"]);
  });

  it.each([
    ["all outputs", undefined, ["sum", "double"]],
    ["one output", ["double"], ["double"]],
    ["outputs in another order", ["double", "sum"], ["double", "sum"]],
    ["no outputs", [], []],
  ])("gives %s", async (_, wanted, names) => {
    const results = await (await open()).run({ x, y }, wanted);
    expect(Object.keys(results).sort()).toEqual([...names].sort());
    if (names.includes("sum")) expectClose(results.sum, f32([2, 2], [11, 22, 33, 44]));
    if (names.includes("double")) expectClose(results.double, f32([2, 2], [22, 44, 66, 88]));
  });

  it("ignores feeds that the graph does not know", async () => {
    expectClose((await (await open()).run({ x, y, z: y })).sum, f32([2, 2], [11, 22, 33, 44]));
  });

  it.each<[string, NamedTensors, string[] | undefined, RegExp]>([
    ["a missing feed", { x }, undefined, /sum: input y is missing, expected float32 \[T, 2\]/],
    [
      "another dtype",
      { x, y: i64([2, 2], [1, 2, 3, 4]) },
      undefined,
      /input y does not fit, got "int64 \[2, 2\]"/,
    ],
    [
      "another extent",
      { x, y: f32([2, 1], [1, 2]) },
      undefined,
      /input y does not fit, got "float32 \[2, 1\]"/,
    ],
    ["another rank", { x: f32([2], [1, 2]), y }, undefined, /input x does not fit/],
    [
      "symbols that disagree",
      { x, y: f32([1, 2], [1, 2]) },
      undefined,
      /input y disagrees .* T at axis 0.*T = 2/,
    ],
    ["an unknown output", { x, y }, ["product"], /unknown output, got "product", expected sum, double/],
  ])("refuses %s", async (_, feeds, outputs, message) => {
    const failed = (await open()).run(feeds, outputs);
    await expect(failed).rejects.toThrow(message);
    await expect(failed).rejects.toBeInstanceOf(InvalidRequestError);
  });

  describeRuns(create, open, limits);
}

function describeRuns(create: Create, open: Open, limits: DeviceLimits): void {
  it("runs again after an error, and with other extents", async () => {
    const session = await open();
    await expect(session.run({ x })).rejects.toThrow();
    expectClose(
      (await session.run({ x: f32([1, 2], [1, 2]), y: f32([1, 2], [1, 1]) })).sum,
      f32([1, 2], [2, 3]),
    );
  });

  it("runs several times at once, each with its own feeds", async () => {
    const session = await open();
    const runs = [0, 1, 2, 3].map((value) =>
      session.run({ x: f32([1, 2], [value, 0]), y: f32([1, 2], [1, 1]) }),
    );
    (await Promise.all(runs)).forEach((result, value) => {
      expectClose(result.sum, f32([1, 2], [value + 1, 1]));
    });
  });

  it("gives results that later runs and feeds do not change", async () => {
    const b = new GraphBuilder("copy");
    const graph = b.finish([b.named("y", b.input("x", "float32", ["T"]))]);
    await using session = await (await create()).createSession(graph);
    const data = Float32Array.of(1, 2);
    const first = await session.run({ x: hostTensor("float32", [2], data) });
    data.fill(0);
    await session.run({ x: f32([2], [5, 6]) });
    expectClose(first.y, f32([2], [1, 2]));
  });

  describeGraphs(create, limits);
  describeEnd(create);
}

function describeGraphs(create: Create, { indexChecks = true }: DeviceLimits): void {
  it("gives outputs that are inputs or constants, and one value twice", async () => {
    const b = new GraphBuilder("plain");
    const input = b.input("x", "float32", [1]);
    const constant = b.constant("c", f32([1], [7]));
    const graph = b.finish([input, constant, b.named("sum", b.add(input, constant))]);
    const results = await runOnce(await create(), graph, { x: f32([1], [1]) });
    expectClose(results.x, f32([1], [1]));
    expectClose(results.c, f32([1], [7]));
    expectClose(results.sum, f32([1], [8]));
  });

  it.skipIf(!indexChecks)("refuses an index out of range", async () => {
    const b = new GraphBuilder("lookup");
    const rows = b.gather(b.constant("table", f32([2], [1, 2])), b.input("ids", "int64", ["T"]));
    const failed = runOnce(await create(), b.finish([rows]), { ids: i64([1], [2]) });
    await expect(failed).rejects.toBeInstanceOf(InvalidRequestError);
  });

  it("refuses sizes of a split that do not add up", async () => {
    const b = new GraphBuilder("cut");
    const input = b.input("x", "float32", ["P+T"]);
    const graph = b.finish([...b.split(input, 0, ["P", "T"], b.input("sizes", "int64", [2]))]);
    const failed = runOnce(await create(), graph, { x: f32([3], [1, 2, 3]), sizes: i64([2], [1, 1]) });
    await expect(failed).rejects.toBeInstanceOf(EdgeInfiniteError);
  });

  it("takes the branch of each run", async () => {
    const b = new GraphBuilder("choice");
    const condition = b.input("condition", "bool", []);
    const input = b.input("x", "float32", ["T"]);
    const branches = b.if(
      condition,
      (t) => [t.exp(input)],
      (e) => [e.add(input, e.scalar(1))],
    );
    const graph = b.finish(branches.map((value) => b.named("y", value)));
    await using session = await (await create()).createSession(graph);
    const run = async (taken: boolean) =>
      (await session.run({ condition: bool([], [taken]), x: f32([1], [0]) })).y;
    expectClose(await run(false), f32([1], [1]));
    expectClose(await run(true), f32([1], [1]));
  });
}

function describeEnd(create: Create): void {
  it("ends when disposed, once or twice, and refuses to run then", async () => {
    const session = await (await create()).createSession(sumGraph());
    await session[Symbol.asyncDispose]();
    await session[Symbol.asyncDispose]();
    await expect(session.run({ x, y })).rejects.toBeInstanceOf(DisposedError);
  });

  it("finishes the runs that began before it was disposed", async () => {
    const session = await (await create()).createSession(sumGraph());
    const running = session.run({ x, y });
    await session[Symbol.asyncDispose]();
    expectClose((await running).sum, f32([2, 2], [11, 22, 33, 44]));
  });
}

/** Describes a runtime: `create` is called for each test. What `limits` excuses is skipped, with the reason. */
export function describeRuntime(name: string, create: Create, limits: DeviceLimits = {}): void {
  describe(`${name}: operators`, () => {
    describeOperators(create, limits);
  });
  describe(`${name}: constants`, () => {
    describeConstants(create);
  });
  describe(`${name}: sessions`, () => {
    describeSession(create, limits);
  });
}
