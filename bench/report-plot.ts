/**
 * Draws a run's figures over the context's length, one panel a figure, as one SVG.
 */

import { drawLinePlots, type LinePlot } from "../src/train/line-plot.ts";
import { type EngineName, engineNames } from "./engine.ts";
import { formatLength } from "./report-table.ts";
import type { Row } from "./summarize.ts";

const colors: { readonly [Name in EngineName]: string } = { edgeinfinite: "#0a7", "llama.cpp": "#c33" };

function formatMilliseconds(ms: number): string {
  return ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`;
}

function formatBytes(bytes: number): string {
  return bytes >= 1e9 ? `${bytes / 1e9} GB` : `${bytes / 1e6} MB`;
}

const panels: readonly {
  readonly title: string;
  readonly figure: "prefillTokensPerSecond" | "firstTokenMs" | "decodeMs" | "stateBytes";
  readonly formatY: (value: number) => string;
}[] = [
  { title: "Prefill, tokens a second", figure: "prefillTokensPerSecond", formatY: String },
  { title: "Time to first token", figure: "firstTokenMs", formatY: formatMilliseconds },
  { title: "Decode, time a token", figure: "decodeMs", formatY: formatMilliseconds },
  { title: "State of the stream", figure: "stateBytes", formatY: formatBytes },
];

/** Draws the figures; gives the text of an SVG file. */
export function drawReport(rows: readonly Row[], subject: string): string {
  const plots = panels.map(({ title, figure, formatY }): LinePlot => {
    const lines = engineNames.map((engine) => ({
      label: engine,
      color: colors[engine],
      points: rows
        .filter((row) => row.engine === engine)
        .map((row) => [row.lengthTokens, row[figure]] as const),
    }));
    const xLabel = "tokens in the context";
    const measured = lines.filter(({ points }) => points.length > 0);
    return {
      title: `${title}: ${subject}`,
      xLabel,
      yLabel: "",
      xScale: { logBase: 4 },
      yScale: { logBase: 10 },
      formatX: formatLength,
      formatY,
      lines: measured,
    };
  });
  return drawLinePlots(plots);
}
