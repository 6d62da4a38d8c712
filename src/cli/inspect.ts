/**
 * `edgeinfinite inspect`: says what a checkpoint is and what memory it needs, from headers alone.
 */

import {
  estimate,
  type MemoryEstimate,
  resolveDType,
  sessionBytes,
  type WeightDType,
} from "../engine/memory-estimate.ts";
import { type ModelParts, openModelParts } from "../engine/model-parts.ts";
import { nodePlatform } from "../engine/node.ts";
import type { AdapterDesign } from "../memory/adapter.ts";
import type { AttentionGeometry } from "../memory/geometry.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import { elementCount } from "../tensor/shape.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { type OptionValues, parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { formatBytes, formatCount, formatLargeCount, formatTable } from "./format.ts";
import { memoryOptions, toDType, toMemoryOptions } from "./model-options.ts";

const options = {
  ...memoryOptions,
  json: { type: "boolean", help: "prints JSON for machines" },
} as const;

/** The lengths of the table, in tokens. */
const lengths: readonly (readonly [name: string, tokens: number])[] = [
  ["8K", 8 * 1024],
  ["128K", 128 * 1024],
  ["1M", 1024 * 1024],
];

interface DTypeTotal {
  readonly dtype: string;
  readonly tensorCount: number;
  readonly parameterCount: number;
  readonly sizeBytes: number;
}

function sumByDType({ weights }: ModelParts): DTypeTotal[] {
  const totals = new Map<string, DTypeTotal>();
  for (const { dtype, shape, lengthBytes } of weights.tensors.values()) {
    const before = totals.get(dtype) ?? { dtype, tensorCount: 0, parameterCount: 0, sizeBytes: 0 };
    totals.set(dtype, {
      dtype,
      tensorCount: before.tensorCount + 1,
      parameterCount: before.parameterCount + elementCount(shape),
      sizeBytes: before.sizeBytes + lengthBytes,
    });
  }
  return [...totals.values()];
}

interface MemoryAt {
  readonly lengthTokens: number;
  /** Undefined where the policy cannot be as long. */
  readonly stateBytes: number | undefined;
  readonly fullCacheBytes: number;
}

function memoryAt({ policy, config }: ModelParts, perToken: number, lengthTokens: number): MemoryAt {
  const fits = lengthTokens <= policy.maxLengthTokens;
  const stateBytes = fits
    ? sessionBytes(policy.stateBytesAt(lengthTokens), config.vocabularySize)
    : undefined;
  return { lengthTokens, stateBytes, fullCacheBytes: lengthTokens * perToken };
}

/** Is what the command finds out. */
interface Findings {
  readonly parts: ModelParts;
  readonly tokenizer: Tokenizer | undefined;
  readonly memory: MemoryEstimate;
  readonly totals: readonly DTypeTotal[];
  readonly table: readonly MemoryAt[];
}

async function examine(parts: ModelParts, dtype: WeightDType | "auto" | undefined): Promise<Findings> {
  const { family, folder, config, weights, policy } = parts;
  // Writing the graph finds tensors that are missing or of a wrong shape, without reading one.
  family.buildInferenceGraph(folder.name, config, weights.entries, policy);
  const memory = estimate(parts, resolveDType(dtype, weights));
  return {
    parts,
    tokenizer: await weights.loadTokenizer(),
    memory,
    totals: sumByDType(parts),
    table: lengths.map(([, tokens]) => memoryAt(parts, memory.fullCacheBytesPerToken, tokens)),
  };
}

function describeConfig({ geometry, ...config }: DecoderConfig): Record<string, unknown> {
  const { kinds: _, layerKinds: __, ...sizes } = geometry;
  return { ...config, ...sizes };
}

function toJson({ parts, tokenizer, memory, totals, table }: Findings): Record<string, unknown> {
  const { adapter } = parts;
  return {
    name: parts.folder.name,
    ...describeConfig(parts.config),
    parameterCount: totals.reduce((sum, { parameterCount }) => sum + parameterCount, 0),
    tensors: totals,
    tokenizer:
      tokenizer === undefined
        ? null
        : { vocabularySize: tokenizer.vocabSize, hasChatTemplate: tokenizer.chatTemplate !== undefined },
    adapter: adapter === undefined ? null : { name: adapter.name, ...adapter.design },
    memory: { ...memory, lengths: table },
    notices: parts.notices,
  };
}

function formatTokenizer(tokenizer: Tokenizer | undefined): string {
  if (tokenizer === undefined) return "none: token ids only";
  const template = tokenizer.chatTemplate === undefined ? "no chat template" : "with a chat template";
  return `${formatCount(tokenizer.vocabSize)} tokens, ${template}`;
}

/** Tells how many layers there are, and which of them attend otherwise than to all that came before. */
function formatLayers(geometry: AttentionGeometry): string {
  const parts = [String(geometry.layerCount)];
  geometry.kinds.forEach(({ windowTokens, inverseFrequencies }, kind) => {
    const layers = geometry.layerKinds.filter((other) => other === kind).length;
    if (windowTokens !== Number.POSITIVE_INFINITY)
      parts.push(`${layers} attending within ${formatCount(windowTokens)} tokens`);
    if (inverseFrequencies.length === 0 && !geometry.hasLearnedPositions)
      parts.push(`${layers} without rotary embedding`);
  });
  return parts.join(", ");
}

function formatDesign(design: AdapterDesign): string {
  const { variant, linearMemory } = design;
  const parts: string[] = [variant];
  if (variant === "plus") parts.push(`retention rank ${design.retentionRank}`);
  if (variant === "plus" && design.scoreKernel !== undefined)
    parts.push(`scores pooled over ${design.scoreKernel} tokens`);
  if (variant === "plus" && design.slotShares !== undefined)
    parts.push(`slots by layer as ${design.slotShares.join(" : ")}`);
  if (variant === "plus" && design.slotBiasRank !== undefined)
    parts.push(`slot bias rank ${design.slotBiasRank}`);
  if (variant === "infini")
    return `${variant}, a number a head as gate, update rule ${linearMemory.updateRule}`;
  parts.push(linearMemory === undefined ? "no linear memory" : `gate rank ${linearMemory.readGateRank}`);
  if (linearMemory?.featureCount !== undefined) parts.push(`${linearMemory.featureCount} learned features`);
  return parts.join(", ");
}

function formatModel({ parts, tokenizer, totals }: Findings): string {
  const { config, adapter } = parts;
  const { geometry } = config;
  const parameters = totals.reduce((sum, { parameterCount }) => sum + parameterCount, 0);
  const stored = totals.map(
    ({ dtype, tensorCount, sizeBytes }) => `${tensorCount} ${dtype} (${formatBytes(sizeBytes)})`,
  );
  const kindOfPositions = geometry.hasLearnedPositions ? "learned, where streams end" : "trained";
  const output = config.tiedEmbeddings ? "output tied to the embedding" : "output of its own";
  const rows: readonly (readonly [string, string])[] = [
    ["family", config.modelType],
    ["parameters", formatLargeCount(parameters)],
    ["tensors", stored.join(", ")],
    ["layers", formatLayers(geometry)],
    [
      "heads",
      `${geometry.queryHeadCount}, keys and values ${geometry.keyValueHeadCount}, each ${geometry.headSize} wide`,
    ],
    ["width", `${formatCount(geometry.hiddenSize)}, MLP ${formatCount(config.mlpSize)}`],
    ["vocabulary", `${formatCount(config.vocabularySize)}, ${output}`],
    ["positions", `${formatCount(geometry.maxPositions)} ${kindOfPositions}`],
    ["tokenizer", formatTokenizer(tokenizer)],
    ["adapter", adapter === undefined ? "none" : `${adapter.name}, ${formatDesign(adapter.design)}`],
  ];
  return rows.map(([name, text]) => `  ${name.padEnd(12)}${text}\n`).join("");
}

function formatMemory({ memory, table }: Findings): string {
  const { sinkTokens, slotTokens, windowTokens, segmentTokens } = memory.context;
  const slots = slotTokens === 0 ? "" : `slots ${slotTokens}, `;
  const rows = table.map(({ stateBytes, fullCacheBytes }, index) => [
    lengths[index]?.[0] ?? "",
    stateBytes === undefined ? "too long" : formatBytes(stateBytes),
    formatBytes(fullCacheBytes),
  ]);
  return [
    `Memory, policy ${memory.policy} (sinks ${sinkTokens}, ${slots}window ${windowTokens}, segment ${segmentTokens})\n`,
    `  weights     ${formatBytes(memory.weightBytes)}, shared by all sessions\n`,
    `  a session   ${formatBytes(memory.stateBytes)}\n\n`,
    formatTable([["tokens", "a session", "full cache"], ...rows]),
  ].join("");
}

function formatFindings(findings: Findings): string {
  const { folder, notices } = findings.parts;
  const notes = notices.map((notice) => `\n${notice}\n`).join("");
  return `${folder.name}\n${formatModel(findings)}\n${formatMemory(findings)}${notes}`;
}

async function openParts(
  model: string,
  values: OptionValues<typeof options>,
  signal: AbortSignal,
): Promise<ModelParts> {
  const { revision, adapter } = values;
  const open = (pathOrId: string, own: { readonly revision?: string | undefined }) =>
    nodePlatform.openFolder(pathOrId, { ...own, signal, headersOnly: true });
  const memory = toMemoryOptions(values);
  const folder = await open(model, { revision });
  return openModelParts(folder, adapter === undefined ? undefined : await open(adapter, {}), memory, signal);
}

async function inspect({ terminal, argv, signal }: CommandContext): Promise<void> {
  const { values, positionals } = parseArguments("inspect", options, argv);
  const [model] = positionals;
  if (model === undefined || positionals.length > 1)
    throw usageError("one model is inspected", { got: positionals.join(" ") || "none", command: "inspect" });
  const parts = await openParts(model, values, signal);
  try {
    const findings = await examine(parts, toDType(values.dtype));
    if (values.json) await terminal.stdout.json(toJson(findings));
    else await terminal.stdout.write(formatFindings(findings));
  } finally {
    await parts.close();
  }
}

/** Is `edgeinfinite inspect`. */
export const inspectCommand: Command = {
  usage: "M [--adapter A] [options]",
  description:
    "Says what a checkpoint is, and what memory its weights and a session take, against an ordinary cache that\n" +
    "grows with the text. Reads headers only, also of a model on the hub, which is not downloaded.",
  options,
  run: inspect,
};
