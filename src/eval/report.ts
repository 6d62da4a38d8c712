/**
 * Reports of an evaluation: one HTML page that needs nothing else, the same tables in Markdown, and plots as SVG.
 */

import { escapeXml } from "../train/line-plot.ts";
import type { EvaluationRecord, ExampleRecord } from "./evaluation-record.ts";
import { mean } from "./intervals.ts";
import { hasLikelihoods, tabulateLikelihoods } from "./likelihood-tables.ts";
import { drawDepthMap, drawGateMap, drawRowPlots, formatTokens } from "./report-plots.ts";
import { type SummaryRow, summarize } from "./summarize.ts";
import { dropEmptyColumns, notApplicable, type Table } from "./table.ts";

/** Writes what tells a row's task from others, in a line: its name and settings. */
export type DescribeTask = (rows: readonly SummaryRow[], row: SummaryRow) => string;

/** Is a report: texts of files. */
export interface Report {
  readonly html: string;
  readonly markdown: string;
  /** By the names of their files. */
  readonly plots: Readonly<Record<string, string>>;
}

interface Section {
  readonly title: string;
  /** Of scores, before the plots. */
  readonly scores: readonly Table[];
  /** Of costs and gates, behind them. */
  readonly costs: readonly Table[];
  readonly plots: readonly { readonly file: string; readonly svg: string }[];
  readonly notes: readonly string[];
}

const percent = (value: number): string => (100 * value).toFixed(1);
const digits = (value: number | null, scale: number): string =>
  value === null ? notApplicable : String(Number((value / scale).toPrecision(3)));

/** Lays out scores: a row a policy, a column a length. */
function tabulateScores(rows: readonly SummaryRow[]): Table {
  const lengths = [...new Set(rows.map(({ lengthTokens }) => lengthTokens))].sort((a, b) => a - b);
  const policies = [...new Set(rows.map(({ policy }) => policy))];
  const write = (policy: string, length: number): string => {
    const row = rows.find((one) => one.policy === policy && one.lengthTokens === length);
    if (row?.result === undefined) return row === undefined ? "" : notApplicable;
    const { score, interval, questionCount } = row.result;
    return `${percent(score)} (${percent(interval[0])} to ${percent(interval[1])}), n ${questionCount}`;
  };
  return [
    ["score, %", ...lengths.map(formatTokens)],
    ...policies.map((policy) => [policy, ...lengths.map((length) => write(policy, length))]),
  ];
}

const costHeadings = [
  "policy",
  "tokens",
  "state, MB",
  "resident, MB",
  "prefill, tokens/s",
  "decode, tokens/s",
  "first token, s",
  "mean gate",
];

/** Lays out what each row costs; where nothing is generated, without what is measured of answers. */
function tabulateCosts(rows: readonly SummaryRow[]): Table {
  const costs = rows.flatMap(({ policy, lengthTokens, result }) => {
    if (result === undefined) return [];
    const { stateBytes, peakResidentBytes, prefillTokensPerSecond, decodeTokensPerSecond } = result;
    return [
      [
        policy,
        formatTokens(lengthTokens),
        digits(stateBytes, 1e6),
        digits(peakResidentBytes, 1e6),
        digits(prefillTokensPerSecond, 1),
        digits(decodeTokensPerSecond, 1),
        digits(result.timeToFirstTokenMs, 1000),
        digits(result.meanGateOpening, 1),
      ],
    ];
  });
  return dropEmptyColumns([costHeadings, ...costs], 2);
}

/** Lays out how far gates open, a row a policy with gates, a column a layer; undefined where there are none. */
function tabulateGates(examples: readonly ExampleRecord[]): Table | undefined {
  const gated = examples.filter(({ meanGateOpening }) => meanGateOpening.length > 0);
  const policies = [...new Set(gated.map(({ policy }) => policy))];
  const layerCount = gated.reduce((most, { meanGateOpening }) => Math.max(most, meanGateOpening.length), 0);
  if (layerCount === 0) return undefined;
  const layers = Array.from({ length: layerCount }, (_, layer) => layer);
  return [
    ["mean gate of layer", ...layers.map(String)],
    ...policies.map((policy) => {
      const own = gated.filter((example) => example.policy === policy);
      return [
        policy,
        ...layers.map((layer) => {
          const openings = own.flatMap(({ meanGateOpening }) => meanGateOpening[layer] ?? []);
          return openings.length === 0 ? "" : digits(mean(openings), 1);
        }),
      ];
    }),
  ];
}

/** Turns a title into the name of a file. */
function fileNameOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, "-")
    .replaceAll(/^-|-$/g, "");
}

function makeSection(
  title: string,
  rows: readonly SummaryRow[],
  examples: readonly ExampleRecord[],
): Section {
  const name = fileNameOf(title);
  const maps = [...new Set(examples.map(({ policy }) => policy))].flatMap((policy) => {
    const own = examples.filter((example) => example.policy === policy);
    const drawn = [
      ["depths", drawDepthMap(`${title}, ${policy}: score by depth and length`, own)],
      ["gates", drawGateMap(`${title}, ${policy}: mean gate by head and layer, %`, own)],
    ] as const;
    return drawn.flatMap(([what, svg]) =>
      svg === undefined ? [] : [{ file: `${name}-${fileNameOf(policy)}-${what}.svg`, svg }],
    );
  });
  const gates = tabulateGates(examples);
  const notes = rows.flatMap(({ policy, lengthTokens, reason }) =>
    reason === undefined ? [] : [`n/a: ${policy} at ${formatTokens(lengthTokens)}: ${reason}`],
  );
  const scores = hasLikelihoods(rows) ? tabulateLikelihoods(rows, formatTokens) : [tabulateScores(rows)];
  const hasResult = rows.some(({ result }) => result !== undefined);
  return {
    title,
    scores,
    costs: [...(hasResult ? [tabulateCosts(rows)] : []), ...(gates === undefined ? [] : [gates])],
    plots: [...(hasResult ? [{ file: `${name}.svg`, svg: drawRowPlots(title, rows) }] : []), ...maps],
    notes: [...new Set(notes)],
  };
}

const explanation =
  "Scores are of answers generated greedily; nats a token are the mean negative log likelihood of a text. In brackets: the interval of confidence at 95%, over documents (Wilson's " +
  "for right or wrong, a bootstrap for means); n counts questions. State is what a session holds; resident is the most " +
  "memory that the process held; speeds and times are medians, and the time to the first token includes all reading. " +
  "n/a is what does not apply, such as the gate of a policy without one.";

function writeMarkdown(title: string, sections: readonly Section[]): string {
  const escapePipes = (text: string): string => text.replaceAll("|", "\\|");
  const line = (cells: readonly string[]): string => `| ${cells.map(escapePipes).join(" | ")} |`;
  const table = ([head = [], ...rows]: Table): string =>
    [
      line(head),
      `|${head.map((_, column) => (column === 0 ? "---" : "---:")).join("|")}|`,
      ...rows.map(line),
    ].join("\n");
  const blocks = sections.flatMap((section) => [
    `## ${section.title}`,
    ...section.scores.map(table),
    ...section.notes.map((note) => `- ${note}`),
    ...section.plots.map(({ file }) => `![${file}](${file})`),
    ...section.costs.map(table),
  ]);
  return `${[`# ${title}`, explanation, ...blocks].join("\n\n")}\n`;
}

const style =
  "body{font:15px/1.5 sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;color:#222}" +
  ".table{overflow-x:auto;margin:1rem 0}table{border-spacing:0;font-variant-numeric:tabular-nums}" +
  "th,td{border:solid #ddd;border-width:0 1px 1px 0;padding:.25rem .6rem;text-align:right;white-space:nowrap;vertical-align:top}" +
  "th{background:#f4f4f4;border-top-width:1px}td{background:white}small{display:block;color:#666}" +
  // The policy stays in sight while a wide table is scrolled.
  "th:first-child,td:first-child{text-align:left;border-left-width:1px;position:sticky;left:0}svg{max-width:100%;height:auto}";

/** Writes a cell: what stands in brackets behind a number on a line of its own. */
function writeCell(text: string): string {
  const [, value, behind] = /^(\S+) (\(.+)$/.exec(text) ?? [];
  if (value === undefined || behind === undefined) return `<td>${escapeXml(text)}</td>`;
  return `<td>${escapeXml(value)}<small>${escapeXml(behind)}</small></td>`;
}

function writeHtml(title: string, sections: readonly Section[]): string {
  const heading = (text: string): string => `<th>${escapeXml(text)}</th>`;
  const row = ([first = "", ...cells]: readonly string[]): string =>
    `<tr><td>${escapeXml(first)}</td>${cells.map(writeCell).join("")}</tr>`;
  // A box that can be scrolled must be reached by keyboard too.
  const table = ([head = [], ...rows]: Table): string =>
    `<div class="table" tabindex="0"><table><tr>${head.map(heading).join("")}</tr>\n${rows.map(row).join("\n")}</table></div>`;
  const blocks = sections.flatMap((section) => [
    `<h2>${escapeXml(section.title)}</h2>`,
    ...section.scores.map(table),
    ...section.notes.map((note) => `<p>${escapeXml(note)}</p>`),
    ...section.plots.map(({ svg }) => svg),
    ...section.costs.map(table),
  ]);
  const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeXml(title)}</title><style>${style}</style>`;
  const body = [`<h1>${escapeXml(title)}</h1>`, `<p>${explanation}</p>`, ...blocks].join("\n");
  return `<!doctype html>\n<html lang="en"><head>${head}</head><body>\n${body}\n</body></html>\n`;
}

/** Makes the report of some records. */
export function makeReport(records: readonly EvaluationRecord[], describe: DescribeTask): Report {
  const rows = summarize(records);
  const models = [...new Set(rows.map(({ model }) => model))];
  const sections = models.flatMap((model) => {
    const own = rows.filter((row) => row.model === model);
    const nameOf = (row: Pick<SummaryRow, "task" | "settings">): string =>
      JSON.stringify([row.task, row.settings]);
    return [...new Set(own.map(nameOf))].flatMap((name) => {
      const ofTask = own.filter((row) => nameOf(row) === name);
      const [first] = ofTask;
      if (first === undefined) return [];
      const examples = records.filter((record) => record.type === "example");
      const title = models.length === 1 ? describe(own, first) : `${model}: ${describe(own, first)}`;
      return [
        makeSection(
          title,
          ofTask,
          examples.filter((one) => one.model === model && nameOf(one) === name),
        ),
      ];
    });
  });
  const title = models.length === 1 ? `Evaluation of ${models[0]}` : "Evaluation";
  const plots = sections.flatMap(({ plots: own }) =>
    own.map(({ file, svg }): [string, string] => [file, svg]),
  );
  return {
    html: writeHtml(title, sections),
    markdown: writeMarkdown(title, sections),
    plots: Object.fromEntries(plots),
  };
}
