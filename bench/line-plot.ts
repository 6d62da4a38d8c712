/**
 * Draws line plots as SVG: a title, two labelled axes on logarithmic scales, a legend. For bench reports.
 */

/** Is one line of a plot. */
export interface PlotLine {
  readonly label: string;
  readonly color: string;
  /** Positive coordinates, in order of x. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Describes a plot. */
export interface LinePlot {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly formatX: (x: number) => string;
  readonly formatY: (y: number) => string;
  readonly lines: readonly PlotLine[];
}

const size = { width: 720, height: 400, left: 84, right: 24, top: 48, bottom: 56 };

interface Scale {
  readonly ticks: readonly number[];
  readonly place: (value: number) => number;
}

function makeScale(values: readonly number[], base: number, from: number, to: number): Scale {
  const low = Math.floor(Math.log(Math.min(...values)) / Math.log(base));
  const high = Math.max(low + 1, Math.ceil(Math.log(Math.max(...values)) / Math.log(base)));
  const place = (value: number): number =>
    from + ((to - from) * (Math.log(value) / Math.log(base) - low)) / (high - low);
  return { ticks: Array.from({ length: high - low + 1 }, (_, index) => base ** (low + index)), place };
}

function escapeXml(text: string): string {
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
    4,
    size.left,
    size.width - size.right,
  );
  const ys = makeScale(
    points.map(([, y]) => y),
    10,
    size.height - size.bottom,
    size.top,
  );
  const lines = plot.lines.flatMap(({ label, color, points: own }, index) => {
    const path = own.map(([x, y]) => `${xs.place(x).toFixed(1)} ${ys.place(y).toFixed(1)}`).join("L");
    const legendY = size.top + 20 + 20 * index;
    return [
      `<path d="M${path}" stroke="${color}" stroke-width="2.5" fill="none"/>`,
      `<path d="M${size.left + 14} ${legendY}h24" stroke="${color}" stroke-width="2.5"/>`,
      text(size.left + 46, legendY + 4, label),
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
