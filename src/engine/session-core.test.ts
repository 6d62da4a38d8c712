import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { MemoryState } from "../memory/policy.ts";
import type { Inference } from "./inference.ts";
import { SessionCore } from "./session-core.ts";

/** Begins a session whose commits take 40 ms, and make room for 2 tokens; runs take no time. */
function beginSlowCommits(): SessionCore {
  const state = { roomTokens: 0, lengthTokens: 0 };
  const inference = {
    policy: { maxLengthTokens: Number.POSITIVE_INFINITY, name: "streaming" },
    commit: async () => {
      await wait(40);
      state.roomTokens = 2;
    },
    read: async (_: MemoryState, ids: readonly number[]) => {
      state.roomTokens -= ids.length;
      return Float32Array.of(0);
    },
  };
  // Only what the core asks of them is there.
  return new SessionCore(inference as unknown as Inference, state as unknown as MemoryState);
}

describe("the speed of a session", () => {
  it("counts the commits that make room for appended tokens", async () => {
    const core = beginSlowCommits();
    for (let run = 0; run < 3; run++) {
      expect(await core.makeRoom("prefill")).toBe(2);
      await core.read([1, 2], "prefill");
    }
    expect(core.speed.prefillTokens).toBe(6);
    // Three of them; a timer may be a little early.
    expect(6 / (core.speed.prefillTokensPerSecond ?? 0)).toBeGreaterThan(0.1);
    expect(core.speed.decodeTokensPerSecond).toBeUndefined();
  });

  it("counts those that make room for generated ones apart", async () => {
    const core = beginSlowCommits();
    for (let token = 0; token < 4; token++) await core.readOne(1);
    expect(core.speed.decodeTokens).toBe(4);
    expect(4 / (core.speed.decodeTokensPerSecond ?? 0)).toBeGreaterThan(0.07);
    expect(core.speed.prefillTokensPerSecond).toBeUndefined();
  });
});
