import { expect, it } from "vitest";
import { median } from "./statistics.ts";

it("takes the middle value, or the mean of the middle two, in any order", () => {
  expect(median([5])).toBe(5);
  expect(median([9, 1])).toBe(5);
  expect(median([9, 1, 2])).toBe(2);
  expect(median([100, 1, 3, 2])).toBe(2.5);
  expect(median([])).toBeNaN();
});
