/**
 * The plots of a report, as SVG: scores, memory and waiting against length, and needles by depth and length.
 */

import {
  type AxisScale,
  drawLinePlots,
  escapeXml,
  type LinePlot,
  type PlotLine,
} from "../train/line-plot.ts";
import type { ExampleRecord } from "./evaluation-record.ts";
import { mean } from "./intervals.ts";
import { middlePosition } from "./likelihood-sums.ts";
import { hasLikelihoods } from "./likelihood-tables.ts";
import type { RowResult, SummaryRow } from "./summarize.ts";

/** Told apart by people who do not see all colours (Okabe and Ito); with more lines than these, the others are dashed. */
const colors = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#56b4e9",
  "#e69f00",
  "#000000",
  "#888888",
] as const;

const kilo = 1024;

/** Writes a length in tokens: 260, 4K, 1M. */
export function formatTokens(tokens: number): string {
  for (const [unit, name] of [
    [kilo * kilo, "M"],
    [kilo, "K"],
  ] as const)
    if (tokens >= unit && tokens % unit === 0) return `${tokens / unit}${name}`;
  return String(Math.round(tokens));
}

type Figure = (result: RowResult) => number | null;

/** Is a figure that is drawn against length. */
interface FigurePlot extends Pick<LinePlot, "yLabel" | "yScale" | "formatY" | "yBounds"> {
  readonly figure: Figure;
}

const powers: AxisScale = { logBase: 10 };

const scoreFigure: FigurePlot = {
  yLabel: "score",
  yScale: "linear",
  formatY: (y) => `${Math.round(100 * y)}%`,
  yBounds: [0, 1],
  figure: ({ score }) => score,
};

const nllAxis = { yLabel: "nats a token", yScale: "linear", formatY: String } as const;

const nllFigure: FigurePlot = { ...nllAxis, figure: ({ score }) => score };

const costFigures: readonly FigurePlot[] = [
  {
    yLabel: "state of a session, MB",
    yScale: powers,
    formatY: String,
    figure: ({ stateBytes }) => stateBytes / 1e6,
  },
  {
    yLabel: "time to first token, s",
    yScale: powers,
    formatY: String,
    figure: ({ timeToFirstTokenMs }) => (timeToFirstTokenMs === null ? null : timeToFirstTokenMs / 1000),
  },
];

/** Draws a line a policy, of those that have points. */
function drawPolicyLines(
  rows: readonly SummaryRow[],
  pointsOf: (row: SummaryRow) => readonly (readonly [number, number])[],
): PlotLine[] {
  return [...new Set(rows.map(({ policy }) => policy))]
    .map((policy, index) => ({
      label: policy,
      color: colors[index % colors.length] ?? colors[0],
      symbolIndex: index,
      ...(index >= colors.length && { dashes: "6 4" }),
      points: rows.flatMap((row) => (row.policy === policy ? pointsOf(row) : [])),
    }))
    .filter(({ points }) => points.length > 0);
}

/** Describes plots against a number of tokens. */
const tokenAxis = { xScale: { logBase: 2 }, formatX: formatTokens } as const;

/** Plots likelihood by position, for each length. */
function plotPositions(title: string, rows: readonly SummaryRow[]): LinePlot[] {
  const lengths = [...new Set(rows.map(({ lengthTokens }) => lengthTokens))];
  return lengths.map((length) => ({
    ...nllAxis,
    ...tokenAxis,
    title: `Nats a token by position, documents of ${formatTokens(length)}`,
    subtitle: title,
    xLabel: "position, the middle of each bucket",
    lines: drawPolicyLines(rows, ({ lengthTokens, result }) =>
      lengthTokens === length
        ? (result?.likelihoods?.byPosition ?? []).map(({ from, nll }) => [middlePosition(from), nll] as const)
        : [],
    ),
  }));
}

/** Draws what rows of one task show against length, and by position where tokens are scored: a line a policy. */
export function drawRowPlots(title: string, rows: readonly SummaryRow[]): string {
  const ofTokens = hasLikelihoods(rows);
  const score = ofTokens ? nllFigure : scoreFigure;
  const plots = [score, ...costFigures].map(
    ({ figure, ...plot }): LinePlot => ({
      ...plot,
      ...tokenAxis,
      title: `${plot.yLabel.charAt(0).toUpperCase()}${plot.yLabel.slice(1)}`,
      subtitle: title,
      xLabel: ofTokens ? "tokens of a document" : "tokens asked for",
      lines: drawPolicyLines(rows, ({ lengthTokens, result }) => {
        const value = result === undefined ? null : figure(result);
        // A scale by powers has no place for 0.
        return value === null || (plot.yScale !== "linear" && value <= 0) ? [] : [[lengthTokens, value]];
      }),
    }),
  );
  const all = ofTokens ? [...plotPositions(title, rows), ...plots] : plots;
  return drawLinePlots(all.filter(({ lines }) => lines.length > 0));
}

/** Is a table drawn as shades: rows down, columns across; cells in [0, 1], undefined where there is nothing. */
interface ShadeMap {
  readonly title: string;
  /** Heads the labels of the rows. */
  readonly corner: string;
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  readonly valueAt: (row: number, column: number) => number | undefined;
  readonly format: (value: number) => string;
}

const cell = { width: 72, height: 22, left: 84, top: 64 };

/** Returns a colour from white at 0 to blue at 1. */
function shadeOf(value: number): string {
  const mix = (white: number, full: number): number => Math.round(white + (full - white) * value);
  return `rgb(${mix(255, 0)},${mix(255, 114)},${mix(255, 178)})`;
}

function drawShadeMap({ title, corner, rows, columns, valueAt, format }: ShadeMap): string {
  const label = (x: number, y: number, text: string, anchor: string): string =>
    `<text x="${x}" y="${y}" text-anchor="${anchor}">${escapeXml(text)}</text>`;
  const cells = rows.flatMap((_, row) =>
    columns.flatMap((__, column) => {
      const value = valueAt(row, column);
      if (value === undefined) return [];
      const [x, y] = [cell.left + column * cell.width, cell.top + row * cell.height];
      const place = `x="${x}" y="${y}" width="${cell.width}" height="${cell.height}"`;
      const ink = value > 0.5 ? "white" : "#222";
      const text = `<text x="${x + cell.width / 2}" y="${y + 15}" text-anchor="middle" fill="${ink}">`;
      return [`<rect ${place} fill="${shadeOf(value)}" stroke="#ddd"/>${text}${format(value)}</text>`];
    }),
  );
  // At least as wide as its title, about 7 pixels a letter.
  const width = Math.max(cell.left + columns.length * cell.width, 16 + 7 * title.length) + 24;
  const height = cell.top + rows.length * cell.height + 24;
  const xLabels = columns.map((text, column) =>
    label(cell.left + (column + 0.5) * cell.width, cell.top - 8, text, "middle"),
  );
  const yLabels = rows.map((text, row) =>
    label(cell.left - 8, cell.top + row * cell.height + 15, text, "end"),
  );
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}"`;
  const heading = `<title>${escapeXml(title)}</title><rect width="100%" height="100%" fill="white"/>${label(8, 24, title, "start")}`;
  const parts = [heading, label(8, cell.top - 8, corner, "start"), ...xLabels, ...yLabels, ...cells];
  return `${head} font-family="sans-serif" font-size="12" fill="#222">${parts.join("\n")}\n</svg>\n`;
}

/** Returns the depth of a record in [0, 1], in tenths; undefined where its task has none. */
function depthOf({ about }: ExampleRecord): number | undefined {
  const { depth } = about;
  return typeof depth === "number" ? Math.round(10 * depth) / 10 : undefined;
}

/** Draws the scores of examples of one policy by depth (down) and length (across); undefined without depths. */
export function drawDepthMap(title: string, examples: readonly ExampleRecord[]): string | undefined {
  const placed = examples.flatMap((example) => {
    const depth = depthOf(example);
    return depth === undefined ? [] : [{ depth, length: example.lengthTokens, score: example.score }];
  });
  if (placed.length === 0) return undefined;
  const ascending = (values: readonly number[]): number[] => [...new Set(values)].sort((a, b) => a - b);
  const lengths = ascending(placed.map(({ length }) => length));
  const depths = ascending(placed.map(({ depth }) => depth));
  return drawShadeMap({
    title,
    corner: "depth",
    rows: depths.map((depth) => `${Math.round(100 * depth)}%`),
    columns: lengths.map(formatTokens),
    valueAt(row, column) {
      const here = placed.filter(({ depth, length }) => depth === depths[row] && length === lengths[column]);
      return here.length === 0 ? undefined : mean(here.map(({ score }) => score));
    },
    format: (score) => String(Math.round(100 * score)),
  });
}

/** Draws how far the gates of one policy open, in percent, by head (down) and layer (across); undefined without gates. */
export function drawGateMap(title: string, examples: readonly ExampleRecord[]): string | undefined {
  const openings = examples.flatMap(({ gateOpening }) => (gateOpening?.length ? [gateOpening] : []));
  const [first] = openings;
  if (first === undefined) return undefined;
  return drawShadeMap({
    title,
    corner: "head, layer",
    rows: (first[0] ?? []).map((_, head) => String(head)),
    columns: first.map((_, layer) => String(layer)),
    valueAt(head, layer) {
      const here = openings.flatMap((layers) => layers[layer]?.[head] ?? []);
      return here.length === 0 ? undefined : mean(here);
    },
    format: (opening) => (100 * opening).toFixed(1),
  });
}
