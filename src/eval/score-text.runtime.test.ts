import { describe, expect, it } from "vitest";
import { loadTiny, tinyCapacity, tinyIds } from "../../test/support/tiny-sessions.ts";
import type { Model } from "../engine/model.ts";
import { scoreText } from "./score-text.ts";

/** Returns the mean negative log likelihood from the logits before each token, by the plainest formula. */
async function measureSlowly(model: Model, ids: readonly number[], firstPosition: number): Promise<number> {
  using session = model.createSession();
  let total = 0;
  for (const [position, id] of ids.entries()) {
    const logits = [...(session.logits ?? [])];
    const sum = logits.reduce((all, logit) => all + Math.exp(logit), 0);
    if (position >= firstPosition) total -= Math.log(Math.exp(logits[id] ?? Number.NaN) / sum);
    await session.append([id]);
  }
  return total / (ids.length - firstPosition);
}

describe("scoreText", () => {
  it.each(["full", "streaming", "keydiff", "paper", "plus"] as const)(
    "gives the likelihood that logits token by token give: %s",
    async (policy) => {
      await using model = await loadTiny(policy);
      const tokenIds = tinyIds(150);
      const options = { signal: new AbortController().signal, residentBytes: () => 1, onProgress: () => {} };
      const example = { tokenIds, distanceTokens: tinyCapacity, about: {} };
      const { score, likelihoods, commitCount } = await scoreText(model, example, options);
      expect(score).toBeCloseTo(await measureSlowly(model, tokenIds, 1), 4);
      const { tokenCount, totalNll } = likelihoods.pastWindow;
      expect(totalNll / tokenCount).toBeCloseTo(await measureSlowly(model, tokenIds, tinyCapacity), 4);
      expect(commitCount > 5).toBe(policy !== "full");
    },
  );
});
