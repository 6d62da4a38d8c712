/**
 * Draws line plots as SVG: a title, two labelled axes, a legend. For losses, and for the reports of the bench.
 */

/** Is one line of a plot. */
export interface PlotLine {
  readonly label: string;
  readonly color: string;
  /** In pixels; default 2.5. */
  readonly width?: number;
  /** Whether each point is a dot too, so that one alone is seen. Default false. */
  readonly hasDots?: boolean;
  /** In order of x; positive where a scale is logarithmic. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Is how an axis grows: evenly, or by powers of a base. */
export type AxisScale = "linear" | { readonly logBase: number };

/** Describes a plot. */
export interface LinePlot {
  readonly title: string;
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
const size = { width: 880, height: 400, left: 84, right: 184, top: 48, bottom: 56 };

interface Scale {
  readonly ticks: readonly number[];
  readonly place: (value: number) => number;
}

function makeLogScale(low: number, high: number, base: number, from: number, to: number): Scale {
  const first = Math.floor(Math.log(low) / Math.log(base));
  const last = Math.max(first + 1, Math.ceil(Math.log(high) / Math.log(base)));
  const place = (value: number): number =>
    from + ((to - from) * (Math.log(value) / Math.log(base) - first)) / (last - first);
  return { ticks: Array.from({ length: last - first + 1 }, (_, index) => base ** (first + index)), place };
}

/** Makes a scale with four to ten ticks at multiples of 1, 2 or 5 times a power of ten. */
function makeLinearScale(low: number, high: number, from: number, to: number): Scale {
  const span = high > low ? high - low : Math.max(1, Math.abs(high));
  const power = 10 ** Math.floor(Math.log10(span));
  const part = span / power < 2 ? 0.2 : span / power < 5 ? 0.5 : 1;
  // Rounded, since sums of tenths are not.
  const tick = (index: number): number => Number((index * part * power).toPrecision(12));
  const first = Math.floor(low / (part * power));
  const last = Math.max(first + 1, Math.ceil(high / (part * power)));
  const [start, end] = [tick(first), tick(last)];
  const place = (value: number): number => from + ((to - from) * (value - start)) / (end - start);
  return { ticks: Array.from({ length: last - first + 1 }, (_, index) => tick(first + index)), place };
}

function makeScale(values: readonly number[], scale: AxisScale, from: number, to: number): Scale {
  // In a loop: a long run has more points than a call takes arguments.
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (values.length === 0) [low, high] = [1, 1];
  return scale === "linear"
    ? makeLinearScale(low, high, from, to)
    : makeLogScale(low, high, scale.logBase, from, to);
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
    ...xs.ticks.flatMap((tick) => [
      `${grid}"M${xs.place(tick).toFixed(1)} ${size.top}V${bottom}"/>`,
      text(xs.place(tick), bottom + 18, plot.formatX(tick), 'text-anchor="middle"'),
    ]),
    ...ys.ticks.flatMap((tick) => [
      `${grid}"M${size.left} ${ys.place(tick).toFixed(1)}H${size.width - size.right}"/>`,
      text(size.left - 8, ys.place(tick) + 4, plot.formatY(tick), 'text-anchor="end"'),
    ]),
    text((size.left + size.width - size.right) / 2, size.height - 14, plot.xLabel, 'text-anchor="middle"'),
    text(
      0,
      0,
      plot.yLabel,
      `text-anchor="middle" transform="translate(16 ${(size.top + bottom) / 2}) rotate(-90)"`,
    ),
    text(size.left, 24, plot.title, 'font-size="15" font-weight="bold"'),
  ];
}

/** Draws one plot within the page. */
function drawLinePlot(plot: LinePlot): string[] {
  const points = plot.lines.flatMap((line) => line.points);
  const xs = makeScale(
    points.map(([x]) => x),
    plot.xScale,
    size.left,
    size.width - size.right,
  );
  const ys = makeScale(
    [...points.map(([, y]) => y), ...(plot.yBounds ?? [])],
    plot.yScale,
    size.height - size.bottom,
    size.top,
  );
  const lines = plot.lines.flatMap(({ label, color, width = 2.5, hasDots, points: own }, index) => {
    const path = own.map(([x, y]) => `${xs.place(x).toFixed(1)} ${ys.place(y).toFixed(1)}`).join("L");
    const legendY = size.top + 10 + 20 * index;
    const dots = own.map(
      ([x, y]) =>
        `<circle cx="${xs.place(x).toFixed(1)}" cy="${ys.place(y).toFixed(1)}" r="3.5" fill="${color}"/>`,
    );
    return [
      own.length === 0 ? "" : `<path d="M${path}" stroke="${color}" stroke-width="${width}" fill="none"/>`,
      ...(hasDots ? dots : []),
      `<path d="M${size.width - size.right + 14} ${legendY}h24" stroke="${color}" stroke-width="2.5"/>`,
      text(size.width - size.right + 46, legendY + 4, label),
    ];
  });
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
