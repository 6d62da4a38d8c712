import { describe, expect, it } from "vitest";
import { loadModel, tinyContext, tinyPlus, tinySlotContext } from "../../test/support/tiny-sessions.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import type { PolicyName } from "../memory/policy.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../testing/tiny-model.ts";
import { type Ablation, ablate, ablations } from "./ablations.ts";

const tokens = Array.from({ length: 90 }, (_, index) => (index * 7) % 50);
const folders: { readonly [Name in "paper" | "plus" | "infini"]: ModelFolder } = {
  paper: createTinyAdapterFolder(),
  plus: createTinyAdapterFolder(tinyPlus),
  infini: createTinyAdapterFolder({ variant: "infini" }),
};

async function logitsOf(
  policy: PolicyName,
  context: object,
  adapter: ModelFolder | undefined,
): Promise<{ logits: readonly number[]; opening: readonly number[] }> {
  const memory = { policy, context, ...(adapter !== undefined && { adapter }) };
  await using model = await loadModel(createTinyModelFolder(), { ...memory, threads: 1 });
  const session = model.createSession();
  await session.append(tokens);
  return { logits: [...(session.logits ?? [])], opening: session.stats.meanGateOpening };
}

async function ablatedLogits(ablation: Ablation, policy: keyof typeof folders) {
  const context = policy === "plus" ? tinySlotContext : tinyContext;
  const { policy: name, context: sizes, adapter } = await ablate(ablation, policy, folders[policy], context);
  return logitsOf(name, sizes, adapter);
}

describe("ablate", () => {
  it.each(["paper", "infini"] as const)(
    "leaves sinks and window where the memory of %s is off or its gate closed",
    async (policy) => {
      const streaming = await logitsOf("streaming", tinyContext, undefined);
      expect((await ablatedLogits("memory-off", policy)).logits).toEqual(streaming.logits);
      expect((await ablatedLogits("gate-closed", policy)).logits).toEqual(streaming.logits);
      const whole = await logitsOf(policy, tinyContext, folders[policy]);
      expect(whole.logits).not.toEqual(streaming.logits);
    },
  );

  it.each(["paper", "plus", "infini"] as const)("forces the gate of %s open and closed", async (policy) => {
    const [open, closed] = [
      await ablatedLogits("gate-open", policy),
      await ablatedLogits("gate-closed", policy),
    ];
    for (const opening of open.opening) expect(opening).toBeCloseTo(1, 5);
    for (const opening of closed.opening) expect(opening).toBeCloseTo(0, 5);
    expect(open.logits).not.toEqual(closed.logits);
  });

  it("of plus with the memory off is plus with the gate closed, and still has slots", async () => {
    const [off, closed] = [
      await ablatedLogits("memory-off", "plus"),
      await ablatedLogits("gate-closed", "plus"),
    ];
    // The slots' bias is added in another way with a linear memory beside it.
    const largest = Math.max(
      ...off.logits.map((logit, index) => Math.abs(logit - (closed.logits[index] ?? 0))),
    );
    expect(largest).toBeLessThan(1e-4);
    const { sinkTokens, windowTokens, segmentTokens } = tinySlotContext;
    const plain = await logitsOf("streaming", { sinkTokens, windowTokens, segmentTokens }, undefined);
    expect(off.logits).not.toEqual(plain.logits);
  });

  it("changes what it says and no more", async () => {
    expect((await ablate("slots-off", "plus", folders.plus, tinySlotContext)).context.slotTokens).toBe(0);
    expect(await ablate("slots-off", "keydiff", undefined, tinySlotContext)).toMatchObject({
      policy: "streaming",
    });
    const halved = await ablate("window-halved", "plus", folders.plus, tinySlotContext);
    expect(halved.context).toEqual({ ...tinySlotContext, windowTokens: 7 });
  });

  it("refuses a branch that is not there", async () => {
    const slotsAlone = createTinyAdapterFolder({ variant: "plus", linearMemory: false });
    for (const ablation of ["memory-off", "gate-open", "gate-closed"] as const)
      await expect(ablate(ablation, "plus", slotsAlone, tinySlotContext)).rejects.toThrow(/no such branch/);
    await expect(ablate("slots-off", "paper", folders.paper, tinyContext)).rejects.toThrow(/no such branch/);
    for (const ablation of ablations)
      await expect(ablate(ablation, "full", undefined, tinyContext)).rejects.toThrow(/no such branch/);
  });
});
