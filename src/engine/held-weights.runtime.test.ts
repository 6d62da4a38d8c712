import { describe, expect, it } from "vitest";
import { collectBytes } from "../files/byte-source.ts";
import { openCheckpointWeights } from "../files/checkpoint-files.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import type { Graph } from "../graph/graph.ts";
import { createNodeRuntime } from "../runtime/node.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import { openHeldWeights, streamHeldWeights } from "./held-weights.ts";
import { openModelParts } from "./model-parts.ts";
import { quantizedFormats, quantizeWeights } from "./quantized-weights.ts";

const tokenIds = [5, 9, 2, 33, 7];

async function buildGraph(folder: ModelFolder, isFused: boolean) {
  const parts = await openModelParts(folder, undefined, { policy: "streaming" });
  const { tensors } = await openCheckpointWeights(folder);
  const held = quantizeWeights(tensors, quantizedFormats.q8);
  const fused = isFused ? parts.family.fusedProjections(parts.config) : [];
  const source = await collectBytes("held", streamHeldWeights(held, { fused }));
  const graph = parts.family.buildInferenceGraph(
    "tiny",
    parts.config,
    await openHeldWeights(source, held),
    parts.policy,
  );
  return { graph, parts, held, source };
}

function countProducts({ nodes }: Graph): number {
  return nodes.filter(({ op }) => op === "MatMulNBits").length;
}

describe("weights held for fused projections", () => {
  for (const modelType of ["llama", "qwen2", "qwen3"] as const) {
    it(`give four products a layer and the same logits (${modelType})`, async () => {
      const folder = createTinyModelFolder({ modelType, hiddenSize: 64, mlpSize: 96, layerCount: 2 });
      const logits: Float32Array[] = [];
      const counts: number[] = [];
      for (const isFused of [false, true]) {
        const { graph, parts } = await buildGraph(folder, isFused);
        counts.push(countProducts(graph));
        await using session = await (await createNodeRuntime({ threads: 1 })).createSession(graph);
        const outputs = await session.run({
          ...parts.policy.createState().feeds(tokenIds.length),
          token_ids: hostTensor("int64", [tokenIds.length], BigInt64Array.from(tokenIds, BigInt)),
          logit_rows: hostTensor("int64", [1], BigInt64Array.of(4n)),
        });
        logits.push(outputs.logits?.data as Float32Array);
      }
      expect(counts).toEqual([7 * 2 + 1, 4 * 2 + 1]);
      const [apart = [], together = []] = logits;
      // The kernel sums a column in another order where its rows end.
      const differences = [...apart].map((logit, index) => Math.abs(logit - (together[index] ?? Number.NaN)));
      expect(Math.max(...differences)).toBeLessThan(1e-5);
    });
  }

  it("hold the same bytes in either order", async () => {
    const folder = createTinyModelFolder({ hiddenSize: 64, mlpSize: 96 });
    const [apart, together] = [await buildGraph(folder, false), await buildGraph(folder, true)];
    expect(together.source.sizeBytes).toBe(apart.source.sizeBytes);
    const names = [...(await openHeldWeights(together.source, together.held)).keys()];
    expect(names).toEqual(apart.held.map(({ name }) => name));
  });
});
