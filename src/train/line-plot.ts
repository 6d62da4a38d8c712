/**
 * Draws line plots as SVG: a title, two labelled axes, a legend. For losses, and for reports of evaluations and of the
 * bench. Scales, lines and symbols are d3's, which need no document to draw in.
 */

import { extent } from "d3-array";
import { type ScaleContinuousNumeric, scaleLinear, scaleLog } from "d3-scale";
import { line, symbol, symbolsFill } from "d3-shape";

/** Is one line of a plot. */
export interface PlotLine {
  readonly label: string;
  readonly color: string;
  /** In pixels; default 2.5. */
  readonly width?: number;
  /** Lengths of dashes and gaps, in pixels; default none. */
  readonly dashes?: string;
  /** Marks each point too, so that one alone is seen: the number of a symbol, from 0. Default none. */
  readonly symbolIndex?: number;
  /** In order of x; positive where a scale is logarithmic. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Is how an axis grows: evenly, or by powers of a base. */
export type AxisScale = "linear" | { readonly logBase: number };

/** Describes a plot. */
export interface LinePlot {
  readonly title: string;
  /** Below the title, smaller. */
  readonly subtitle?: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly xScale: AxisScale;
  readonly yScale: AxisScale;
  readonly formatX: (x: number) => string;
  readonly formatY: (y: number) => string;
  /** What the axis shows at least; default what the points need. */
  readonly yBounds?: readonly [low: number, high: number];
  readonly lines: readonly PlotLine[];
}

/** To the right stands the legend, where no line runs through it. */
const size = { width: 960, height: 420, left: 84, right: 200, top: 60, bottom: 56 };

type Scale = ScaleContinuousNumeric<number, number>;

/** About how many ticks a linear axis has. */
const linearTicks = 8;

/** Makes a scale that begins and ends at a tick: a power of the base, or a round number. */
function makeScale(values: readonly number[], axis: AxisScale, range: readonly [number, number]): Scale {
  const [low = 1, high = 1] = extent(values);
  if (axis === "linear") {
    const top = high > low ? high : low + Math.max(1, Math.abs(low));
    return scaleLinear([low, top], range).nice(linearTicks);
  }
  const top = high > low ? high : low * axis.logBase;
  return scaleLog([low, top], range).base(axis.logBase).nice();
}

/** Lists the ticks of a scale: of one by powers, the powers. */
function ticksOf(scale: Scale, axis: AxisScale): number[] {
  if (axis === "linear") return scale.ticks(linearTicks);
  const powerOf = (value: number): number => Math.log(value) / Math.log(axis.logBase);
  const [low = 1, high = 1] = scale.domain().map((end) => Math.round(powerOf(end)));
  return Array.from({ length: high - low + 1 }, (_, index) => axis.logBase ** (low + index));
}

/** Escapes a text that stands between tags. */
export function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function text(x: number, y: number, content: string, attributes = ""): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escapeXml(content)}</text>`;
}

function drawAxes(plot: LinePlot, xs: Scale, ys: Scale): string[] {
  const bottom = size.height - size.bottom;
  const grid = '<path stroke="#ddd" fill="none" d=';
  return [
    ...ticksOf(xs, plot.xScale).flatMap((tick) => [
      `${grid}"M${xs(tick).toFixed(1)} ${size.top}V${bottom}"/>`,
      text(xs(tick), bottom + 18, plot.formatX(tick), 'text-anchor="middle"'),
    ]),
    ...ticksOf(ys, plot.yScale).flatMap((tick) => [
      `${grid}"M${size.left} ${ys(tick).toFixed(1)}H${size.width - size.right}"/>`,
      text(size.left - 8, ys(tick) + 4, plot.formatY(tick), 'text-anchor="end"'),
    ]),
    text((size.left + size.width - size.right) / 2, size.height - 14, plot.xLabel, 'text-anchor="middle"'),
    text(
      0,
      0,
      plot.yLabel,
      `text-anchor="middle" transform="translate(16 ${(size.top + bottom) / 2}) rotate(-90)"`,
    ),
    text(size.left, 24, plot.title, 'font-size="15" font-weight="bold"'),
    ...(plot.subtitle === undefined ? [] : [text(size.left, 43, plot.subtitle, 'fill="#666"')]),
  ];
}

/** Pixels of a symbol's area. */
const symbolArea = 44;

function drawSymbol(index: number, color: string, [x, y]: readonly [number, number]): string {
  const shape = symbol(symbolsFill[index % symbolsFill.length], symbolArea).digits(1)() ?? "";
  return `<path transform="translate(${x.toFixed(1)} ${y.toFixed(1)})" d="${shape}" fill="${color}"/>`;
}

/** Draws a line and its entry in the legend. */
function drawLine(
  { label, color, width = 2.5, dashes, symbolIndex, points }: PlotLine,
  corners: readonly (readonly [number, number])[],
  legendY: number,
): string[] {
  const dash = dashes === undefined ? "" : ` stroke-dasharray="${dashes}"`;
  const stroke = `stroke="${color}" fill="none"${dash}`;
  const legendX = size.width - size.right + 14;
  const mark = (at: readonly [number, number]): string[] =>
    symbolIndex === undefined ? [] : [drawSymbol(symbolIndex, color, at)];
  const path = line().digits(1)(corners.map(([x, y]) => [x, y]));
  return [
    points.length === 0 ? "" : `<path d="${path}" stroke-width="${width}" ${stroke}/>`,
    ...corners.flatMap(mark),
    `<path d="M${legendX} ${legendY}h28" stroke-width="2.5" ${stroke}/>`,
    ...mark([legendX + 14, legendY]),
    text(legendX + 36, legendY + 4, label),
  ];
}

/** Draws one plot within the page. */
function drawLinePlot(plot: LinePlot): string[] {
  const points = plot.lines.flatMap((each) => each.points);
  const xs = makeScale(
    points.map(([x]) => x),
    plot.xScale,
    [size.left, size.width - size.right],
  );
  const ys = makeScale([...points.map(([, y]) => y), ...(plot.yBounds ?? [])], plot.yScale, [
    size.height - size.bottom,
    size.top,
  ]);
  const lines = plot.lines.flatMap((each, index) =>
    drawLine(
      each,
      each.points.map(([x, y]) => [xs(x), ys(y)] as const),
      size.top + 10 + 20 * index,
    ),
  );
  return [...drawAxes(plot, xs, ys), ...lines];
}

/** Draws plots one below the other; gives the text of an SVG file. */
export function drawLinePlots(plots: readonly LinePlot[]): string {
  const height = size.height * plots.length;
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${height}"`;
  const style = 'font-family="sans-serif" font-size="12" fill="#222"';
  const page = `<rect width="${size.width}" height="${height}" fill="white"/>`;
  const title = `<title>${escapeXml(plots.map((plot) => plot.title).join(", "))}</title>`;
  const groups = plots.map(
    (plot, index) =>
      `<g transform="translate(0 ${index * size.height})">\n${drawLinePlot(plot).join("\n")}\n</g>`,
  );
  return `${head} ${style}>${title}${page}\n${groups.join("\n")}\n</svg>\n`;
}
