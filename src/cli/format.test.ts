import { describe, expect, it } from "vitest";
import {
  formatByteChange,
  formatBytes,
  formatCount,
  formatLargeCount,
  formatRate,
  formatSeconds,
  formatTable,
} from "./format.ts";

describe("numbers for people", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.00 KB"],
    [9_999, "10.0 KB"],
    [70_963_200, "71.0 MB"],
    [999_499, "999 KB"],
    [999_500, "1.00 MB"],
    [6_000_000_000, "6.00 GB"],
    [-1_500_000, "-1.50 MB"],
  ])("%d bytes are %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it.each([
    [0, "0 ms"],
    [0.9994, "999 ms"],
    [0.9996, "1.0 s"],
    [59.94, "59.9 s"],
    [59.96, "1 min 00 s"],
    [245, "4 min 05 s"],
    [3599.4, "59 min 59 s"],
    [3599.6, "1 h 00 min"],
    [11_230, "3 h 07 min"],
  ])("%d seconds are %s", (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });

  it("separates thousands and names large counts", () => {
    expect(formatCount(1_234_567)).toBe("1,234,567");
    expect(formatLargeCount(134_515_008)).toBe("135 million");
    expect(formatLargeCount(512)).toBe("512");
  });

  it("writes a change with its sign", () => {
    expect(formatByteChange(3_100_000)).toBe("+3.10 MB");
    expect(formatByteChange(0)).toBe("+0 B");
    expect(formatByteChange(-2000)).toBe("-2.00 KB");
  });

  it("writes speeds, and a question mark where there is none", () => {
    expect([14_652.4, 999.6, 8.251, undefined, Number.POSITIVE_INFINITY].map(formatRate)).toEqual([
      "14,652",
      "1,000",
      "8.25",
      "?",
      "?",
    ]);
  });

  it("aligns the first column to the left and the others to the right", () => {
    expect(
      formatTable([
        ["a", "bcd", "e"],
        ["long", "f", "gh"],
      ]),
    ).toBe("  a     bcd   e\n  long    f  gh\n");
  });
});
