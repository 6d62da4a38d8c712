import { describe, expect, it } from "vitest";
import { expectGradients } from "../../test/support/gradients/check-gradients.ts";
import { makeTinyTraining } from "../../test/support/gradients/tiny-decoder.ts";
import { differentiate, gradientName } from "../autodiff/differentiate.ts";

// Central differences of a step of 1e-5 are good to about 1e-9, constants of rules to 6e-8.
const tolerance = 1e-6;

const many = makeTinyTraining("paper", 3);

describe("the gradients of a whole decoder equal finite differences", () => {
  it.each([
    ["many tokens", 3],
    ["a single token", 1],
  ])("of the gates, with %s and an active memory", async (_, tokenCount) => {
    const { graph, feeds, adapter } = await makeTinyTraining("paper", tokenCount);
    expect(adapter).toHaveLength(8);
    await expectGradients({
      graph,
      feeds,
      differentiation: { loss: "loss", parameters: adapter },
      tolerance,
    });
  });

  it.each([
    ["many tokens, tied embeddings", 3, true],
    ["many tokens, an output projection of its own", 3, false],
    ["a single token", 1, true],
  ])("of all weights, with %s", async (_, tokenCount, tied) => {
    const { graph, feeds, adapter, base } = await makeTinyTraining("paper", tokenCount, { tied });
    const parameters = [...base, ...adapter];
    expect(base).toHaveLength(tied ? 20 : 21);
    await expectGradients({ graph, feeds, differentiation: { loss: "loss", parameters }, tolerance });
  });

  it("of the state that a segment begins with, by the loss and by the state that it ends with", async () => {
    const { graph, feeds } = await many;
    const upstream = ["new_keys.0", "new_values.0", "new_keys.1", "new_values.1"];
    const parameters = ["past_keys", "past_values", "memory_matrix", "memory_normalizer"].flatMap((name) => [
      `${name}.0`,
      `${name}.1`,
    ]);
    const differentiation = { loss: "loss", upstream, parameters };
    await expectGradients({ graph, feeds, differentiation, tolerance });
  });

  it("of read gates and retention scores, by the loss and by the scores", async () => {
    const { graph, feeds, adapter } = await makeTinyTraining("plus", 3);
    expect(adapter).toHaveLength(16);
    const differentiation = { loss: "loss", upstream: ["token_numbers"], parameters: adapter };
    await expectGradients({ graph, feeds, differentiation, tolerance });
  });

  it.each(["q8", "q4"] as const)("of gates over a base in blocks: %s", async (held) => {
    const inBlocks = { held, hiddenSize: 32, mlpSize: 64, headSize: 8 };
    const { graph, feeds, adapter, base } = await makeTinyTraining("paper", 3, inBlocks);
    expect(graph.nodes.filter(({ op }) => op === "MatMulNBits").length).toBeGreaterThan(8);
    const norms = base.filter((name) => name.includes("norm"));
    const differentiation = { loss: "loss", parameters: [...adapter, ...norms] };
    await expectGradients({ graph, feeds, differentiation, tolerance });
  });

  it("of what a commit takes in", async () => {
    const { commit } = await many;
    if (commit === undefined) throw new Error("no commit graph");
    const outputs = commit.graph.outputs.map(({ name }) => name);
    const parameters = ["past_keys.0", "past_values.1", "memory_matrix.0", "memory_normalizer.1"];
    await expectGradients({ ...commit, differentiation: { upstream: outputs, parameters }, tolerance });
  });
});

describe("the backward graph of gates", () => {
  it("has no gradient of keys and values of the past", async () => {
    const { graph, adapter } = await many;
    const places = graph.inputs.find(({ name }) => name === "past_keys.0")?.shape[2];
    const joined = Number(places) + 3;
    const productsOf = (parameters: readonly string[]) =>
      differentiate(graph, { loss: "loss", parameters })
        .nodes.filter(({ op }) => op === "MatMul")
        .filter(({ outputs: [output] }) => output?.shape.join() === `1,2,${joined},4`);
    expect(productsOf(adapter)).toHaveLength(0);
    expect(productsOf([...adapter, "past_keys.1", "past_values.1"])).toHaveLength(2);
  });

  it("has no gradient of weights that are frozen", async () => {
    const { graph, adapter } = await many;
    const backward = differentiate(graph, { loss: "loss", parameters: adapter, outputs: ["loss"] });
    expect(backward.outputs.map(({ name }) => name)).toEqual(["loss", ...adapter.map(gradientName)]);
    const transposedProducts = backward.nodes.filter(
      ({ op, attributes }) => op === "Gemm" && "transposeA" in attributes && attributes.transposeA,
    );
    // One each for the two matrices of a gate, in two layers.
    expect(transposedProducts).toHaveLength(4);
  });
});
