import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadTiny, tinyIds } from "../../test/support/tiny-sessions.ts";
import { createTinyAdapterFolder } from "../testing/tiny-model.ts";
import { shareSlots } from "./slot-budgets.ts";

const shares = fc.array(fc.double({ min: 1e-3, max: 1e3, noNaN: true }), { minLength: 1, maxLength: 40 });

describe("shareSlots", () => {
  it("gives every layer a slot, adds up to as many a layer, and orders layers as the shares do", () => {
    fc.assert(
      fc.property(shares, fc.integer({ min: 1, max: 4096 }), (given, slotTokens) => {
        const budgets = shareSlots(given, slotTokens);
        expect(budgets.reduce((sum, budget) => sum + budget, 0)).toBe(given.length * slotTokens);
        const sum = given.reduce((all, share) => all + share, 0);
        for (const [layer, budget] of budgets.entries()) {
          expect(Number.isSafeInteger(budget) && budget >= 1).toBe(true);
          const exact = 1 + ((slotTokens - 1) * given.length * (given[layer] ?? 0)) / sum;
          expect(Math.abs(budget - exact)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it("does not change with the unit of the shares", () => {
    fc.assert(
      fc.property(shares, fc.integer({ min: 1, max: 512 }), (given, slotTokens) => {
        // A power of two scales exactly.
        const scaled = given.map((share) => 8 * share);
        expect(shareSlots(scaled, slotTokens)).toEqual(shareSlots(given, slotTokens));
      }),
    );
  });

  it("never gives a layer more than there is room for, and the rest to the others", () => {
    fc.assert(
      fc.property(shares, fc.integer({ min: 1, max: 512 }), fc.nat(600), (given, slotTokens, more) => {
        const most = slotTokens + more;
        const budgets = shareSlots(given, slotTokens, most);
        expect(budgets.reduce((sum, budget) => sum + budget, 0)).toBe(given.length * slotTokens);
        expect(Math.max(...budgets)).toBeLessThanOrEqual(most);
        expect(Math.min(...budgets)).toBeGreaterThanOrEqual(1);
        const free = shareSlots(given, slotTokens);
        if (Math.max(...free) <= most) expect(budgets).toEqual(free);
      }),
    );
    expect(shareSlots([1, 1, 2, 4], 100, 150)).toEqual([63, 63, 124, 150]);
    expect(shareSlots([1, 1, 8], 10, 10)).toEqual([10, 10, 10]);
  });

  it("gives layers alike what all have", () => {
    expect(shareSlots([1, 1, 1], 128)).toEqual([128, 128, 128]);
    expect(shareSlots([1, 2, 5], 7)).toEqual([3, 6, 12]);
    expect(shareSlots([1e308, 1e308, 1e308, 1e308], 128)).toEqual([128, 128, 128, 128]);
    expect(shareSlots([1e-320, 1e-320], 3)).toEqual([3, 3]);
  });
});

describe("an adapter that shares slots", () => {
  const adapterOf = (slotShares: readonly number[]) =>
    createTinyAdapterFolder({ variant: "plus", linearMemory: false, slotShares });

  it("has a state of as many bytes as one that does not", async () => {
    const context = { sinkTokens: 3, slotTokens: 40, windowTokens: 15, segmentTokens: 13 };
    await using alike = await loadTiny("plus", { context, adapter: adapterOf([1, 1]) });
    await using shared = await loadTiny("plus", { context, adapter: adapterOf([1, 7]) });
    const [a, b] = [alike, shared].map((model) => model.createSession().stats.stateBytes);
    expect(b).toBe(a);
  });

  it("is refused for a model of other layers, and gives no layer more slots than there are positions", async () => {
    await expect(loadTiny("plus", { adapter: adapterOf([1, 2, 3]) })).rejects.toThrow(
      /slot_shares: the model has another number of layers, got "3 numbers", expected 2/,
    );
    const context = { sinkTokens: 3, slotTokens: 1500, windowTokens: 15, segmentTokens: 13 };
    await using model = await loadTiny("plus", { context, adapter: adapterOf([1, 9]) });
    const session = model.createSession();
    await session.append(tinyIds(3100));
    expect(session.stats.tokens).toMatchObject({ sinks: 3, slots: 1500 });
  });
});
