import { describe, expect, it } from "vitest";
import { openCheckpointWeights } from "../files/checkpoint-files.ts";
import { openAdapter } from "../memory/adapter.ts";
import { createPolicy } from "../memory/policies.ts";
import { slotBiasName } from "../memory/slot-attention.ts";
import { SlotState } from "../memory/slot-state.ts";
import { inferenceNames } from "../models/decoder.ts";
import { loadModelFamily } from "../models/registry.ts";
import { createNodeRuntime } from "../runtime/node.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../testing/tiny-model.ts";
import { hiddenName, withHiddenOutputs } from "./hidden-outputs.ts";
import { readWeightTensors } from "./read-weight-tensors.ts";
import { buildSlotBias, isSlotBiasTensor } from "./slot-bias-gradient.ts";
import { SlotHiddens } from "./slot-hiddens.ts";
import { pickFeeds } from "./weight-tensors.ts";

const sizes = { hiddenSize: 16, queryHeadCount: 4, keyValueHeadCount: 2, headSize: 4, mlpSize: 10 };

describe("the bias of slots, computed again from what their tokens were read as", () => {
  // Windows that are no multiple of a segment, and segments longer than window and slots together.
  it.each([
    { sinkTokens: 2, slotTokens: 4, windowTokens: 6, segmentTokens: 4 },
    { sinkTokens: 0, slotTokens: 3, windowTokens: 5, segmentTokens: 7 },
    { sinkTokens: 1, slotTokens: 5, windowTokens: 1, segmentTokens: 3 },
  ])("is the bias that inference uses, commit after commit (%o)", async (context) => {
    const folder = createTinyModelFolder(sizes);
    const json = await folder.readJson("config.json");
    const family = await loadModelFamily("tiny", json);
    const config = family.readConfig("tiny", json);
    const { geometry } = config;
    const { tensors } = await openCheckpointWeights(folder);
    const shape = { variant: "plus", linearMemory: false, slotBias: true, rank: 3 } as const;
    const adapter = await openAdapter(createTinyAdapterFolder({ ...sizes, context, ...shape }));
    const policy = withHiddenOutputs(createPolicy("plus", { geometry, context, adapter }), geometry);
    const runtime = createNodeRuntime({ threads: 1 });
    await using session = await runtime.createSession(
      family.buildInferenceGraph("tiny", config, tensors, policy),
    );
    const commitGraph = policy.buildCommitGraph();
    await using commit = commitGraph && (await runtime.createSession(commitGraph));
    const network = new Map(
      [...(await readWeightTensors("tiny", adapter.tensors))].filter(([name]) => isSlotBiasTensor(name)),
    );
    await using again = await runtime.createSession(buildSlotBias(geometry, context.slotTokens, network));

    const state = policy.createState();
    const { hiddenSize, keyValueHeadCount: headCount, queryHeadCount: H } = geometry;
    const hiddens = new SlotHiddens({ layerCount: 2, headCount, hiddenSize, context });
    const { sinkTokens: S, slotTokens: B } = context;
    for (let read = 0; state.commitCount < 9; ) {
      if (state.roomTokens === 0) {
        await state.commit(commit);
        if (!(state instanceof SlotState && state.lastChosen)) throw new Error("no slots");
        hiddens.commit(state.lastChosen);
        const own = {
          slot_hidden: hostTensor(
            "float32",
            [2, headCount, B, hiddenSize],
            hiddens.slots ?? new Float32Array(),
          ),
        };
        const outputs = await again.run(pickFeeds(again, Object.fromEntries(network), own));
        const computed = hostFloats(outputs[slotBiasName], slotBiasName);
        const fed = hostFloats(state.feeds(1)[slotBiasName], slotBiasName);
        const places = fed.length / (2 * H);
        for (const [at, value] of computed.entries())
          expect(value).toBeCloseTo(fed[Math.floor(at / B) * places + S + (at % B)] ?? Number.NaN, 5);
      }
      const count = Math.min(state.roomTokens, 3);
      const ids = BigInt64Array.from({ length: count }, (_, index) =>
        BigInt(((read + index) ** 2 * 7 + read) % 19),
      );
      const feeds = {
        [inferenceNames.tokenIds]: hostTensor("int64", [count], ids),
        [inferenceNames.logitRows]: hostTensor("int64", [1], BigInt64Array.of(0n)),
      };
      const outputs = await session.run(pickFeeds(session, feeds, state.feeds(count)));
      state.absorb(outputs, count);
      hiddens.absorb(hostFloats(outputs[hiddenName], hiddenName), count);
      read += count;
    }
  });

  it("refuses what is not as long as its tokens", () => {
    const context = { sinkTokens: 0, slotTokens: 1, windowTokens: 1, segmentTokens: 1 };
    const hiddens = new SlotHiddens({ layerCount: 1, headCount: 1, hiddenSize: 2, context });
    expect(() => hiddens.absorb(new Float32Array(3), 2)).toThrow(/do not fit/);
  });
});
