import { describe, expect, it } from "vitest";
import { drawLossPlot } from "./loss-plot.ts";

/** The corners of the n-th line, in pixels. */
function cornersOf(svg: string, line: number): [number, number][] {
  const path =
    svg.match(/<path d="M[^"]+L[^"]+" stroke-width="(1|2.5)" stroke="#(9cd|c33)" fill="none"/g)?.[line] ?? "";
  return (/d="M([^"]+)"/.exec(path)?.[1] ?? "").split("L").map((corner) => {
    const [x = Number.NaN, y = Number.NaN] = corner.split(",").map(Number);
    return [x, y];
  });
}

describe("drawLossPlot", () => {
  const losses = Array.from({ length: 200 }, (_, step) => ({ step, loss: 4 - step / 100 + (step % 2) }));

  it("draws each loss and the mean of the last ones", () => {
    const svg = drawLossPlot("Loss & more", losses);
    const [steps, means] = [cornersOf(svg, 0), cornersOf(svg, 1)];
    expect([steps.length, means.length]).toEqual([200, 200]);
    const spread = (corners: [number, number][]) => {
      const ys = corners.slice(100, 110).map(([, y]) => y);
      return Math.max(...ys) - Math.min(...ys);
    };
    expect(spread(means)).toBeLessThan(spread(steps) / 4);
    // Falling losses go down the page.
    expect(means.at(-1)?.[1]).toBeGreaterThan(means[0]?.[1] ?? 0);
    expect(svg).toContain("Loss &amp; more");
    expect(svg).toMatch(/mean of 4 steps/);
  });

  it("labels both axes with round numbers from below to above the values", () => {
    const labels = [...drawLossPlot("Loss", losses).matchAll(/<text [^>]*>([\d.]+)<\/text>/g)].map(
      ([, label]) => label,
    );
    expect(labels).toEqual(expect.arrayContaining(["0", "100", "200", "2", "2.5", "5"]));
    expect(labels.every((label) => (label ?? "").length < 5)).toBe(true);
  });

  it("draws runs of no step, of one, and of very many", () => {
    expect(drawLossPlot("Loss", [])).toContain("</svg>");
    expect(drawLossPlot("Loss", [{ step: 1, loss: Number.NaN }])).not.toMatch(/NaN|Infinity/);
    expect(drawLossPlot("Loss", [{ step: 1, loss: 2 }])).not.toMatch(/NaN|Infinity/);
    const many = Array.from({ length: 130_000 }, (_, step) => ({ step, loss: 1 + 1 / (step + 1) }));
    const svg = drawLossPlot("Loss", many);
    expect(svg.length).toBeLessThan(100_000);
    expect(svg).not.toMatch(/NaN|Infinity/);
  });
});
