import { describe, expect, it } from "vitest";
import { defaultContext } from "../src/memory/geometry.ts";
import { decodeBytes, meanAttendedPlaces, prefillFlops } from "./decoder-arithmetic.ts";
import type { EngineName } from "./engine.ts";
import { drawReport } from "./report-plot.ts";
import { formatReport } from "./report-table.ts";
import type { Ceiling, Point, Results } from "./results.ts";
import { type SummaryBasis, summarize } from "./summarize.ts";

const basis: SummaryBasis = {
  shape: {
    layerCount: 2,
    hiddenSize: 64,
    queryHeadCount: 4,
    keyValueHeadCount: 2,
    headSize: 16,
    mlpSize: 128,
    vocabularySize: 1000,
  },
  tied: true,
  format: "f32",
  context: defaultContext,
};

function point(engine: EngineName, lengthTokens: number, round: number, own: Partial<Point>): Point {
  return {
    engine,
    lengthTokens,
    round,
    description: `${engine} as tested`,
    loadMs: 1,
    prefillTokensPerSecond: 100,
    firstTokenMs: 1000,
    decodeMs: 10,
    emptyResidentBytes: 5e6,
    peakResidentBytes: 1e9,
    stateBytes: 1e6,
    elsewhere: 0,
    ...own,
  };
}

function ceiling(round: number, productFlops: number, readBytesPerSecond: number): Ceiling {
  return { round, productFlops, productShape: "[512, 64] x [64, 128]", readBytesPerSecond, elsewhere: 0 };
}

const setup: Results["setup"] = {
  subject: "tested",
  processor: "a processor",
  node: "20",
  threads: 2,
  segmentTokens: 512,
  decodedTokens: 32,
};

const results: Results = {
  setup,
  points: [
    point("llama.cpp", 4096, 0, { prefillTokensPerSecond: 50, decodeMs: 40, firstTokenMs: 9000 }),
    point("edgeinfinite", 4096, 0, { prefillTokensPerSecond: 150, decodeMs: 20, firstTokenMs: 3000 }),
    point("edgeinfinite", 4096, 1, { prefillTokensPerSecond: 400, decodeMs: 10, firstTokenMs: 1000 }),
    point("edgeinfinite", 4096, 2, { prefillTokensPerSecond: 160, decodeMs: 16, firstTokenMs: 2000 }),
    point("edgeinfinite", 102_400, 0, { prefillTokensPerSecond: 152, decodeMs: 20, peakResidentBytes: 2e9 }),
  ],
  ceilings: [ceiling(0, 1e9, 1e9), ceiling(1, 4e9, 2e9)],
};

const ratioOf = (figure: string): number | undefined =>
  summarize(results, basis).ratios.find((ratio) => ratio.figure === figure)?.value;

describe("summarize", () => {
  it("takes medians over the rounds of an engine at a length, EdgeInfinite first", () => {
    const { rows } = summarize(results, basis);
    expect(rows.map(({ engine, lengthTokens, roundCount }) => [engine, lengthTokens, roundCount])).toEqual([
      ["edgeinfinite", 4096, 3],
      ["llama.cpp", 4096, 1],
      ["edgeinfinite", 102_400, 1],
    ]);
    expect(rows[0]).toMatchObject({ prefillTokensPerSecond: 160, decodeMs: 16, firstTokenMs: 2000 });
  });

  it("makes ratios so that more is better for EdgeInfinite, and compares the longest stream with 4K", () => {
    expect(ratioOf("prefill, ours / llama.cpp, at 4096")).toBe(160 / 50);
    expect(ratioOf("time to first token, llama.cpp / ours, at 4096")).toBe(4.5);
    expect(ratioOf("decode speed, ours / llama.cpp, at 4096")).toBe(40 / 16);
    expect(ratioOf("memory beyond weights, llama.cpp / ours, at 4096")).toBe(1);
    expect(ratioOf("our prefill speed, at 102400 / at 4096")).toBe(152 / 160);
    expect(ratioOf("our decode speed, at 102400 / at 4096")).toBe(16 / 20);
  });

  it("makes shares of the median product and of the median read", () => {
    const [ours] = summarize(results, basis).rows;
    const flops = 160 * prefillFlops(basis.shape, meanAttendedPlaces(3584, 4096, defaultContext));
    const bytes = decodeBytes(basis.shape, "f32", meanAttendedPlaces(4096, 4128, defaultContext)) / 0.016;
    expect(ours?.productShare).toBeCloseTo(flops / 2.5e9, 12);
    expect(ours?.readShare).toBeCloseTo(bytes / 1.5e9, 12);
  });

  it("has neither shares nor ratios where there is nothing to compare with", () => {
    const alone = { setup, points: [point("edgeinfinite", 512, 0, {})], ceilings: [] };
    expect(summarize(alone, basis)).toMatchObject({
      rows: [{ productShare: undefined, readShare: undefined }],
      ratios: [],
    });
  });
});

describe("the report", () => {
  it("has a row a length and engine, and a row a ratio with what was wanted of it", () => {
    const lines = formatReport(results, summarize(results, basis)).split("\n");
    const cells = (start: string): (string | undefined)[] =>
      (lines.find((line) => line.startsWith(start)) ?? "").split("|").map((cell) => cell.trim());
    expect(cells("| 4K | edgeinfinite").slice(1, 8)).toEqual([
      "4K",
      "edgeinfinite",
      "160",
      "2.00",
      "16.0",
      "1",
      "1000",
    ]);
    expect(cells("| prefill, ours / llama.cpp, at 4096").slice(2, 4)).toEqual(["3.20", ">= 2"]);
    expect(lines.filter((line) => line.startsWith("- "))).toEqual([
      "- llama.cpp as tested",
      "- edgeinfinite as tested",
    ]);
  });

  it("draws a panel a figure, with a line an engine that was measured", () => {
    const svg = drawReport(summarize(results, basis).rows, "tested");
    expect(svg.match(/<g transform/g)).toHaveLength(4);
    expect(svg.match(/>llama\.cpp</g)).toHaveLength(4);
    const own = drawReport(
      summarize({ setup, points: [point("edgeinfinite", 512, 0, {})], ceilings: [] }, basis).rows,
      "tested",
    );
    expect(own).not.toContain("llama.cpp");
  });
});
