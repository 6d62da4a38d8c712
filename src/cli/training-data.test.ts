import { describe, expect, it } from "vitest";
import { countSkipped } from "./training-data.ts";

describe("countSkipped", () => {
  it("adds up what all sources have skipped", () => {
    expect(countSkipped({ epoch: 1, place: 2, token: 3, skipped: 4 })).toBe(4);
    expect(
      countSkipped({ drawn: 9, sources: [{ skipped: 4, epoch: 1 }, { document: 7 }, { skipped: 2 }] }),
    ).toBe(6);
  });
});
