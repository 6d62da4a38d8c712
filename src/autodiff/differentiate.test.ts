import { describe, expect, it } from "vitest";
import { expectGradients, open64 } from "../../test/support/gradients/check-gradients.ts";
import { f32, i64 } from "../../test/support/runtime-conformance/example.ts";
import { InvalidRequestError, UnsupportedError } from "../errors.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph } from "../graph/graph.ts";
import { printGraph } from "../graph/print.ts";
import { verifyGraph } from "../graph/verify.ts";
import { type Differentiation, differentiate } from "./differentiate.ts";

/** Computes `loss = sum(relu(x w))`, and the outputs `hidden` = x w, `other` = sum of x. */
function layerGraph(): Graph {
  const b = new GraphBuilder("layer");
  const x = b.input("x", "float32", ["T", 2]);
  const w = b.constant("w", f32([2, 2], [1, -1, 2, 0.5]));
  b.input("unused", "float32", [1]);
  const hidden = b.named("hidden", b.matMul(x, w));
  const loss = b.named("loss", b.reduceSum(b.max(hidden, b.scalar(0)), [0, 1], false));
  return b.finish([loss, hidden, b.named("other", b.reduceSum(x, [0, 1], false))]);
}

const x = f32([3, 2], [1, 2, -1, 3, 0.5, -2]);

describe("differentiate", () => {
  it("adds the gradients of inputs, constants and values in between to the outputs", async () => {
    const graph = layerGraph();
    const backward = differentiate(graph, { loss: "loss", parameters: ["hidden", "x", "w"] });
    verifyGraph(backward);
    expect(backward.inputs.map(({ name }) => name)).toEqual(["x"]);
    expect(backward.outputs.map(({ name, shape }) => `${name} ${shape}`)).toEqual([
      "loss ",
      "hidden T,2",
      "other ",
      "gradient.hidden T,2",
      "gradient.x T,2",
      "gradient.w 2,2",
    ]);
    const results = await (await open64(backward))({ x });
    // x w = [5, 0], [5, 2.5], [-3.5, -1.5]; of two equal elements the first is taken.
    expect([...(results["gradient.hidden"]?.data ?? [])]).toEqual([1, 1, 1, 1, 0, 0]);
    expect([...(results["gradient.x"]?.data ?? [])]).toEqual([0, 2.5, 0, 2.5, 0, 0]);
    expect([...(results["gradient.w"]?.data ?? [])]).toEqual([0, 0, 5, 5]);
  });

  it("keeps the outputs asked for, and drops what they alone needed", () => {
    const backward = differentiate(layerGraph(), { loss: "loss", parameters: ["w"], outputs: ["loss"] });
    expect(backward.outputs.map(({ name }) => name)).toEqual(["loss", "gradient.w"]);
    expect(backward.nodes.filter(({ op }) => op === "ReduceSum")).toHaveLength(1);
  });

  it("walks only the path from the loss to what is wanted", () => {
    const b = new GraphBuilder("g");
    const w = b.input("w", "float32", [3]);
    // Neither the power of x nor what comes behind the loss is touched.
    const graph = b.finish([
      b.named("loss", b.reduceSum(b.mul(b.exp(b.input("x", "float32", [3])), w), [0], false)),
    ]);
    const backward = differentiate(graph, { loss: "loss", parameters: ["w"], outputs: [] });
    expect(printGraph(backward).split("\n")).toEqual([
      "graph g(x: float32 [3])",
      "  const scalar: float32 [] (inline)",
      "  exp: float32 [3] = Exp(x)",
      "  expand: float32 [3] = Expand(scalar) {shape: [3]}",
      "  mul_1: float32 [3] = Mul(expand, exp)",
      "  gradient.w: float32 [3] = Identity(mul_1)",
      "  return gradient.w",
    ]);
  });

  it.each<[string, Partial<Differentiation>]>([
    ["loss alone", { loss: "loss" }],
    ["one value fed from above", { upstream: ["hidden"] }],
    ["loss and two values fed from above", { loss: "loss", upstream: ["hidden", "other"] }],
  ])("sums the gradients of: %s", async (_, of) => {
    const differentiation = { ...of, parameters: ["x"] };
    const feeds = { x: f32([2, 2], [1, 3, -1, 3]), unused: f32([1], [0]) };
    await expectGradients({ graph: layerGraph(), feeds, differentiation, tolerance: 1e-9 });
  });

  it("sums the gradients of a value used once, twice and three times", async () => {
    for (const uses of [1, 2, 3]) {
      const b = new GraphBuilder("g");
      const value = b.input("x", "float32", ["T", 2]);
      let sum = b.exp(value);
      for (let use = 1; use < uses; use++) sum = b.mul(sum, b.sigmoid(value));
      const graph = b.finish([b.named("y", sum)]);
      const differentiation = { upstream: ["y"], parameters: ["x"] };
      await expectGradients({ graph, feeds: { x }, differentiation, tolerance: 1e-9 });
    }
  });

  it("passes nothing through what is detached", async () => {
    const b = new GraphBuilder("g");
    const value = b.input("x", "float32", [2]);
    const factor = b.named("factor", b.exp(value));
    const graph = b.finish([b.named("loss", b.reduceSum(b.mul(value, factor), [0], false))]);
    const backward = differentiate(graph, {
      loss: "loss",
      parameters: ["x", "factor"],
      detached: ["factor"],
    });
    const results = await (await open64(backward))({ x: f32([2], [0, 1]) });
    const [atZero = 0, atOne = 0] = [...(results["gradient.x"]?.data ?? [])].map(Number);
    expect([atZero, atOne]).toEqual([1, Math.E]);
    expect([...(results["gradient.factor"]?.data ?? [])]).toEqual([0, 1]);
  });

  it("leaves the graph that it is given as it was", () => {
    const graph = layerGraph();
    const before = printGraph(graph);
    differentiate(graph, { loss: "loss", parameters: ["w"] });
    expect(printGraph(graph)).toBe(before);
  });
});

describe("a gradient of what was taken by index", () => {
  /** Takes rows of a table and multiplies by the table, as tied embeddings do; scores one label a row. */
  function tiedGraph(): Graph {
    const b = new GraphBuilder("tied");
    const table = b.input("table", "float32", [50, 4]);
    const logits = b.linear(b.gather(table, b.input("ids", "int64", ["T"])), table);
    const picked = b.gatherElements(b.logSoftmax(logits, -1), b.input("labels", "int64", ["T", 1]), 1);
    return b.finish([b.named("loss", b.neg(b.reduceMean(picked, [0, 1], false)))]);
  }

  it("is added to what there is, not to zeros of the whole size", () => {
    const backward = differentiate(tiedGraph(), { loss: "loss", parameters: ["table"], outputs: [] });
    verifyGraph(backward);
    const scatters = backward.nodes.filter(({ op }) => op === "ScatterElements");
    const makers = scatters.map(({ inputs: [data] }) =>
      backward.nodes.find(({ outputs }) => outputs.some((output) => output === data)),
    );
    expect(makers.map((node) => node?.op)).toEqual(["Mul", "Gemm"]);
  });

  it("is exact, with labels and rows that come more than once", async () => {
    const table = f32(
      [50, 4],
      Array.from({ length: 200 }, (_, index) => Math.sin(index * index)),
    );
    const feeds = { table, ids: i64([3], [7, 7, 1]), labels: i64([3, 1], [7, 2, 49]) };
    const differentiation = { loss: "loss", parameters: ["table"] };
    await expectGradients({ graph: tiedGraph(), feeds, differentiation, tolerance: 1e-8 });
  });
});

describe("differentiate refuses", () => {
  it.each<[string, Differentiation, RegExp]>([
    ["an unknown loss", { loss: "cost", parameters: ["w"] }, /no such loss, got "cost"/],
    [
      "a loss of many elements",
      { loss: "hidden", parameters: ["w"] },
      /more than one element, got "\[T, 2\]"/,
    ],
    ["an unknown parameter", { loss: "loss", parameters: ["v"] }, /no such parameter, got "v"/],
    [
      "an unknown value from above",
      { upstream: ["v"], parameters: ["w"] },
      /no such upstream value, got "v"/,
    ],
    [
      "a parameter that the loss does not depend on",
      { loss: "other", parameters: ["w"] },
      /depends on .* got "w"/,
    ],
    ["nothing to differentiate", { parameters: ["w"] }, /nothing that is differentiated depends on/],
  ])("%s", (_, differentiation, message) => {
    const attempt = () => differentiate(layerGraph(), differentiation);
    expect(attempt).toThrow(InvalidRequestError);
    expect(attempt).toThrow(message);
  });

  it("a parameter of integers", () => {
    const b = new GraphBuilder("g");
    const ids = b.input("ids", "int64", [1]);
    const graph = b.finish([b.named("loss", b.cast(ids, "float32"))]);
    expect(() => differentiate(graph, { loss: "loss", parameters: ["ids"] })).toThrow(
      /the parameter ids has no gradient, got "int64", expected a float/,
    );
  });

  it("a branch on the way, and says what to do; beside the way it may stand", () => {
    const b = new GraphBuilder("g");
    const value = b.input("x", "float32", []);
    const [chosen = value] = b.if(
      b.input("condition", "bool", []),
      (then) => [then.exp(value)],
      (otherwise) => [otherwise.neg(value)],
    );
    const graph = b.finish([b.named("loss", chosen), b.named("other", b.exp(value))]);
    const attempt = () => differentiate(graph, { loss: "loss", parameters: ["x"] });
    expect(attempt).toThrow(UnsupportedError);
    expect(attempt).toThrow(/If has no gradient for if: .* specialise the graph first/);
    verifyGraph(differentiate(graph, { loss: "other", parameters: ["x"] }));
  });

  it("an input that an operator has no gradient for, by its name", () => {
    const b = new GraphBuilder("g");
    const turned = b.rotaryEmbedding(
      b.input("q", "float32", [1, 1, 1, 2]),
      b.input("cos", "float32", [1, 1, 1]),
      b.input("sin", "float32", [1, 1, 1]),
    );
    const graph = b.finish([b.named("loss", b.reduceSum(turned, [0, 1, 2, 3], false))]);
    expect(() => differentiate(graph, { loss: "loss", parameters: ["cos"] })).toThrow(
      /RotaryEmbedding has no gradient for cos: tables of angles are not trained/,
    );
  });
});
