import { describe, expect, it } from "vitest";
import { oddContexts, readIntoSlots } from "../../test/support/read-slots.ts";
import { slotBiasName } from "../memory/slot-attention.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { buildSlotBias, isSlotBiasTensor } from "./slot-bias-gradient.ts";
import { SlotRows } from "./slot-rows.ts";
import { pickFeeds } from "./weight-tensors.ts";

describe("the bias of slots, computed again from what their tokens were read as", () => {
  it.each(oddContexts)("is the bias that inference uses, commit after commit (%o)", async (context) => {
    const shape = { variant: "plus", linearMemory: false, slotBias: true, rank: 3 } as const;
    const { sinkTokens: S, slotTokens: B } = context;
    let commits = 0;
    await readIntoSlots(context, shape, ["token_hidden"], 9, async ({ geometry, runtime, tensors }) => {
      const { hiddenSize: E, keyValueHeadCount: K, queryHeadCount: H } = geometry;
      const network = new Map([...tensors].filter(([name]) => isSlotBiasTensor(name)));
      const again = await runtime.createSession(buildSlotBias(geometry, B, network));
      const rows = new SlotRows({ layerCount: 2, headCount: K, rowSize: E, context });
      return {
        onRun: ({ token_hidden }, count) => rows.absorb(hostFloats(token_hidden, "token_hidden"), count),
        async onCommit(state, chosen) {
          rows.commit(chosen);
          commits += 1;
          const own = {
            slot_hidden: hostTensor("float32", [2, K, B, E], rows.slots ?? new Float32Array()),
          };
          const outputs = await again.run(pickFeeds(again, Object.fromEntries(network), own));
          const computed = hostFloats(outputs[slotBiasName], slotBiasName);
          const fed = hostFloats(state.feeds(1)[slotBiasName], slotBiasName);
          const places = fed.length / (2 * H);
          for (const [at, value] of computed.entries())
            expect(value).toBeCloseTo(fed[Math.floor(at / B) * places + S + (at % B)] ?? Number.NaN, 5);
        },
      };
    });
    expect(commits).toBe(9);
  });

  it("refuses what is not as long as its tokens", () => {
    const context = { sinkTokens: 0, slotTokens: 1, windowTokens: 1, segmentTokens: 1 };
    const rows = new SlotRows({ layerCount: 1, headCount: 1, rowSize: 2, context });
    expect(() => rows.absorb(new Float32Array(3), 2)).toThrow(/do not fit/);
  });
});
