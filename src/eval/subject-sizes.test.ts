import { describe, expect, it } from "vitest";
import type { PolicyName } from "../memory/policy.ts";
import { lengthenWindows, type SubjectSize } from "./subject-sizes.ts";

function sizeOf(policy: PolicyName, slotTokens: number, stateBytes: number): SubjectSize {
  const sizes = { sinkTokens: 4, windowTokens: 64, segmentTokens: 64 };
  const subject = { label: policy, policy, adapter: undefined, context: sizes, ablation: undefined };
  return { subject, context: { ...sizes, slotTokens }, stateBytes, tokenBytes: 100 };
}

const streaming = sizeOf("streaming", 0, 10_000);
const [keydiff, plus] = [sizeOf("keydiff", 32, 15_000), sizeOf("plus", 32, 15_799)];

describe("lengthenWindows", () => {
  it("gives the window all bytes that the largest state with slots has", () => {
    const [longer, ...others] = lengthenWindows([streaming, keydiff, plus], ["streaming"]);
    expect(others).toEqual([]);
    // 57 tokens of 100 bytes fit between 10,000 and 15,799.
    expect(longer?.subject).toMatchObject({
      label: "streaming equal-bytes",
      policy: "streaming",
      context: { sinkTokens: 4, windowTokens: 121, segmentTokens: 64 },
    });
    expect(longer?.stateBytes).toBe(15_700);
    expect(lengthenWindows([streaming, keydiff, plus], [])).toEqual([]);
  });

  it("does not count what an ablation has left of a subject", () => {
    const ablated = { ...plus, subject: { ...plus.subject, ablation: "window-halved" as const } };
    expect(lengthenWindows([streaming, keydiff, ablated], ["streaming"])[0]?.stateBytes).toBe(15_000);
  });

  it("refuses where there is nothing to be equal to, or no room", () => {
    const refusals: [readonly SubjectSize[], PolicyName, RegExp][] = [
      [[streaming], "streaming", /no policy of this evaluation has slots/],
      [[streaming, plus], "paper", /the policy cannot be loaded.*"paper"/],
      [[sizeOf("paper", 0, 15_750), plus], "paper", /as many bytes as those with slots already/],
    ];
    for (const [sizes, policy, message] of refusals)
      expect(() => lengthenWindows(sizes, [policy])).toThrow(message);
  });
});
