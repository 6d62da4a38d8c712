/**
 * Makes figures of a run's points: medians over the rounds, ratios to the peer, shares of what the machine can do.
 */

import type { ContextSettings } from "../src/memory/geometry.ts";
import type { DecoderSizes } from "../src/models/decoder-tensors.ts";
import {
  decodeBytes,
  meanAttendedPlaces,
  prefillFlops,
  type WeightFormat,
  weightBytes,
} from "./decoder-arithmetic.ts";
import { type EngineName, engineNames } from "./engine.ts";
import type { Point, Results } from "./results.ts";
import { median } from "./statistics.ts";

/** Is what the figures are made with besides the results. */
export interface SummaryBasis {
  readonly shape: DecoderSizes;
  readonly tied: boolean;
  readonly format: WeightFormat;
  readonly context: ContextSettings;
}

const pointFigures = [
  "loadMs",
  "prefillTokensPerSecond",
  "firstTokenMs",
  "decodeMs",
  "emptyResidentBytes",
  "peakResidentBytes",
  "stateBytes",
  "elsewhere",
] as const;

/** Is an engine at a length: medians over the rounds. */
export type Row = { readonly [Figure in (typeof pointFigures)[number]]: number } & {
  readonly engine: EngineName;
  readonly lengthTokens: number;
  readonly roundCount: number;
  /** The peak of resident memory less the weights' bytes. */
  readonly beyondWeightsBytes: number;
  /** Prefill FLOP/s over those of the fastest product; EdgeInfinite alone. */
  readonly productShare: number | undefined;
  /** Bytes a second that decoding reads over what the machine can read; EdgeInfinite alone. */
  readonly readShare: number | undefined;
};

/** Is a figure with what it should be. */
export interface Ratio {
  readonly figure: string;
  readonly value: number;
  /** Such as `>= 1.3`; undefined where none was set. */
  readonly bar: string | undefined;
}

/** Is a run in figures. */
export interface Summary {
  readonly rows: readonly Row[];
  readonly ratios: readonly Ratio[];
}

function medianOf<Item>(items: readonly Item[], pick: (item: Item) => number): number {
  return median(items.map(pick));
}

function shares(
  points: readonly Point[],
  results: Results,
  basis: SummaryBasis,
): Pick<Row, "productShare" | "readShare"> {
  const [first] = points;
  if (first?.engine !== "edgeinfinite" || results.ceilings.length === 0) {
    return { productShare: undefined, readShare: undefined };
  }
  const { shape, format, context } = basis;
  const { segmentTokens, decodedTokens } = results.setup;
  const length = first.lengthTokens;
  const prompt = meanAttendedPlaces(Math.max(0, length - segmentTokens), length, context);
  const decoded = meanAttendedPlaces(length, length + decodedTokens, context);
  const flops = prefillFlops(shape, prompt) * medianOf(points, (point) => point.prefillTokensPerSecond);
  const bytes = (1000 * decodeBytes(shape, format, decoded)) / medianOf(points, (point) => point.decodeMs);
  return {
    productShare: flops / medianOf(results.ceilings, (ceiling) => ceiling.productFlops),
    readShare: bytes / medianOf(results.ceilings, (ceiling) => ceiling.readBytesPerSecond),
  };
}

function summarizePoints(points: readonly Point[], results: Results, basis: SummaryBasis): Row {
  const [first] = points;
  if (first === undefined) throw new Error("bench: no points to summarize");
  const figure = (name: (typeof pointFigures)[number]): number => medianOf(points, (point) => point[name]);
  const peakResidentBytes = figure("peakResidentBytes");
  return {
    engine: first.engine,
    lengthTokens: first.lengthTokens,
    roundCount: points.length,
    loadMs: figure("loadMs"),
    prefillTokensPerSecond: figure("prefillTokensPerSecond"),
    firstTokenMs: figure("firstTokenMs"),
    decodeMs: figure("decodeMs"),
    emptyResidentBytes: figure("emptyResidentBytes"),
    peakResidentBytes,
    stateBytes: figure("stateBytes"),
    elsewhere: figure("elsewhere"),
    beyondWeightsBytes: peakResidentBytes - weightBytes(basis.shape, basis.format, basis.tied),
    ...shares(points, results, basis),
  };
}

function listRows(results: Results, basis: SummaryBasis): Row[] {
  const groups = new Map<string, Point[]>();
  for (const point of results.points) {
    const key = `${point.lengthTokens} ${point.engine}`;
    groups.set(key, [...(groups.get(key) ?? []), point]);
  }
  const rows = [...groups.values()].map((points) => summarizePoints(points, results, basis));
  const order = (row: Row): number => row.lengthTokens * 10 + engineNames.indexOf(row.engine);
  return rows.toSorted((a, b) => order(a) - order(b));
}

type Figure = "prefillTokensPerSecond" | "firstTokenMs" | "decodeMs" | "beyondWeightsBytes";

/** Says which ratios to the peer are reported, and what this project wants them to be at SmolLM2-135M's shape. */
const wanted: readonly {
  readonly title: string;
  readonly figure: Figure;
  /** Whether more is better: then ours is divided by the peer's, else the other way round. */
  readonly more: boolean;
  readonly bars: Readonly<Record<number, string>>;
}[] = [
  {
    title: "prefill, ours / llama.cpp",
    figure: "prefillTokensPerSecond",
    more: true,
    bars: { 512: ">= 1.3", 4096: ">= 2" },
  },
  {
    title: "time to first token, llama.cpp / ours",
    figure: "firstTokenMs",
    more: false,
    bars: { 8192: ">= 2.2", 16384: ">= 4.5", 32768: ">= 10" },
  },
  {
    title: "decode speed, ours / llama.cpp",
    figure: "decodeMs",
    more: false,
    bars: { 512: ">= 1", 8192: ">= 2", 16384: ">= 4" },
  },
  {
    title: "memory beyond weights, llama.cpp / ours",
    figure: "beyondWeightsBytes",
    more: false,
    bars: { 32768: ">= 6" },
  },
];

function peerRatios(rows: readonly Row[]): Ratio[] {
  const find = (engine: EngineName, length: number): Row | undefined =>
    rows.find((row) => row.engine === engine && row.lengthTokens === length);
  const lengths = [...new Set(rows.map((row) => row.lengthTokens))];
  return wanted.flatMap(({ title, figure, more, bars }) =>
    lengths.flatMap((length) => {
      const [ours, theirs] = [find("edgeinfinite", length), find("llama.cpp", length)];
      if (ours === undefined || theirs === undefined) return [];
      const value = more ? ours[figure] / theirs[figure] : theirs[figure] / ours[figure];
      return [{ figure: `${title}, at ${length}`, value, bar: bars[length] }];
    }),
  );
}

/** Compares the longest stream with 4K, and speeds with what the machine can do at best. */
function ownRatios(rows: readonly Row[]): Ratio[] {
  const own = rows.filter((row) => row.engine === "edgeinfinite");
  const [base, last] = [own.find((row) => row.lengthTokens === 4096), own.at(-1)];
  const ratios: Ratio[] = [];
  if (base !== undefined && last !== undefined && last.lengthTokens > base.lengthTokens) {
    const prefill = last.prefillTokensPerSecond / base.prefillTokensPerSecond;
    const at = `at ${last.lengthTokens} / at 4096`;
    ratios.push({ figure: `our prefill speed, ${at}`, value: prefill, bar: ">= 0.95" });
    ratios.push({ figure: `our decode speed, ${at}`, value: base.decodeMs / last.decodeMs, bar: ">= 0.95" });
  }
  for (const { lengthTokens, productShare, readShare } of own) {
    const [product, read] = ["prefill FLOP/s / fastest product's", "decode bytes/s / read bandwidth"];
    const bar = lengthTokens === 512 || lengthTokens === 4096 ? ">= 0.7" : undefined;
    if (productShare !== undefined) {
      ratios.push({ figure: `${product}, at ${lengthTokens}`, value: productShare, bar });
    }
    if (readShare !== undefined) {
      ratios.push({ figure: `${read}, at ${lengthTokens}`, value: readShare, bar });
    }
  }
  return ratios;
}

/** Makes figures of a run. */
export function summarize(results: Results, basis: SummaryBasis): Summary {
  const rows = listRows(results, basis);
  return { rows, ratios: [...peerRatios(rows), ...ownRatios(rows)] };
}
