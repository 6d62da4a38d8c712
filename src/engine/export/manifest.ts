/**
 * The manifest of an exported model: everything that a program needs to run its graphs, as JSON.
 *
 * It is versioned: a reader refuses what it does not know. Names of files are relative to the folder.
 */

import { z } from "zod";
import { InvalidModelError, UnsupportedError } from "../../errors.ts";
import { type TensorRole, tensorRoleSchema } from "./tensor-roles.ts";

/** Is the manifest's file name. */
export const manifestFile = "manifest.json";

/** Is the version of the format that is written and read. */
export const manifestVersion = 1;

const manifestFormat = "edgeinfinite-export";

/** Describes an input or output of an exported graph. */
export interface ExportedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly role: TensorRole;
  /** The layer that it belongs to, where it belongs to one. */
  readonly layer?: number | undefined;
  /** The index into `attention.kinds`, where it depends on it. */
  readonly kind?: number | undefined;
}

/** Describes one graph of an exported model. */
export interface ExportedGraph {
  readonly name: string;
  readonly file: string;
  readonly purpose: "prefill" | "decode" | "commit";
  /** The state of the stream that it is for: `base` before the first commit, `gated` from it on. */
  readonly path: "base" | "gated";
  /** T: tokens of one run, or those that a commit moves. */
  readonly tokenCount: number;
  /** The version of each operator domain: "" is ONNX's own. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly inputs: readonly ExportedTensor[];
  readonly outputs: readonly ExportedTensor[];
}

/** Describes how the layers of one kind attend. */
export interface ExportedAttentionKind {
  /** Angles a position, in radians; element i turns elements i and i + n of n frequencies. */
  readonly inverseFrequencies: readonly number[];
  readonly rotaryScale: number;
  /** Positions that a token attends to, itself the last; null: all. */
  readonly windowTokens: number | null;
}

/** Describes an exported model. */
export interface ExportManifest {
  readonly format: typeof manifestFormat;
  readonly version: typeof manifestVersion;
  /** The version of the program that wrote it. */
  readonly edgeinfinite: string;
  readonly model: {
    readonly name: string;
    readonly modelType: string;
    /** Tells checkpoints apart. */
    readonly digest: string;
    /** How weights are held. */
    readonly dtype: "f32" | "stored" | "q8" | "q4";
  };
  readonly adapter: { readonly name: string; readonly digest: string } | null;
  /** `paper` remembers what leaves the window, `streaming` forgets it. */
  readonly policy: "paper" | "streaming";
  readonly context: {
    readonly sinkTokens: number;
    readonly windowTokens: number;
    readonly segmentTokens: number;
    /** C: tokens that are exact at most, and P: places of the cache. */
    readonly capacityTokens: number;
  };
  readonly sizes: {
    readonly layerCount: number;
    readonly queryHeadCount: number;
    readonly keyValueHeadCount: number;
    readonly headSize: number;
    readonly hiddenSize: number;
    readonly vocabularySize: number;
  };
  readonly attention: {
    readonly kinds: readonly ExportedAttentionKind[];
    /** The kind of each layer. */
    readonly layerKinds: readonly number[];
    /** The layers that have a memory, in order. */
    readonly memoryLayers: readonly number[];
  };
  /** What masks hold where nothing is to be seen. */
  readonly maskedValue: number;
  readonly tokens: { readonly bos: number | null; readonly eos: readonly number[] };
  readonly weights: { readonly file: string; readonly sizeBytes: number; readonly sha256: string };
  readonly graphs: readonly ExportedGraph[];
  /** Files of the checkpoint that were copied: tokenizer, chat template, configuration. */
  readonly files: readonly string[];
  /** What a program does, step by step. */
  readonly protocol: readonly string[];
  /** What tensors of each role are. */
  readonly roles: Readonly<Record<string, string>>;
}

const count = z.number().int().nonnegative();
const positive = z.number().int().positive();

const tensorSchema = z.object({
  name: z.string(),
  dtype: z.string(),
  shape: z.array(count),
  role: tensorRoleSchema,
  layer: count.optional(),
  kind: count.optional(),
});

const graphSchema = z.object({
  name: z.string(),
  file: z.string(),
  purpose: z.enum(["prefill", "decode", "commit"]),
  path: z.enum(["base", "gated"]),
  tokenCount: positive,
  opsets: z.record(z.string(), positive),
  inputs: z.array(tensorSchema),
  outputs: z.array(tensorSchema),
});

const kindSchema = z.object({
  inverseFrequencies: z.array(z.number()),
  rotaryScale: z.number(),
  windowTokens: positive.nullable(),
});

const manifestSchema: z.ZodType<ExportManifest> = z.object({
  format: z.literal(manifestFormat),
  version: z.literal(manifestVersion),
  edgeinfinite: z.string(),
  model: z.object({
    name: z.string(),
    modelType: z.string(),
    digest: z.string(),
    dtype: z.enum(["f32", "stored", "q8", "q4"]),
  }),
  adapter: z.object({ name: z.string(), digest: z.string() }).nullable(),
  policy: z.enum(["paper", "streaming"]),
  context: z.object({
    sinkTokens: count,
    windowTokens: positive,
    segmentTokens: positive,
    capacityTokens: positive,
  }),
  sizes: z.object({
    layerCount: positive,
    queryHeadCount: positive,
    keyValueHeadCount: positive,
    headSize: positive,
    hiddenSize: positive,
    vocabularySize: positive,
  }),
  attention: z.object({
    kinds: z.array(kindSchema).min(1),
    layerKinds: z.array(count),
    memoryLayers: z.array(count),
  }),
  maskedValue: z.number(),
  tokens: z.object({ bos: count.nullable(), eos: z.array(count) }),
  weights: z.object({ file: z.string(), sizeBytes: count, sha256: z.string() }),
  graphs: z.array(graphSchema).min(1),
  files: z.array(z.string()),
  protocol: z.array(z.string()),
  roles: z.record(z.string(), z.string()),
});

const headSchema = z.looseObject({ format: z.literal(manifestFormat), version: z.number() });

/**
 * Checks a parsed `manifest.json`.
 * @param where names the file in messages.
 * @throws {@link InvalidModelError} naming the field; {@link UnsupportedError} for another version.
 */
export function parseExportManifest(where: string, json: unknown): ExportManifest {
  const head = headSchema.safeParse(json);
  if (!head.success) {
    const what = "this is no manifest of an exported model";
    throw new InvalidModelError({ where, what, expected: `format "${manifestFormat}"`, cause: head.error });
  }
  if (head.data.version !== manifestVersion) {
    throw new UnsupportedError({
      where,
      what: "this version does not read the manifest's version",
      got: head.data.version,
      expected: String(manifestVersion),
      remedy: "Export the model again, or update the program that reads it.",
    });
  }
  const parsed = manifestSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const what = `field ${issue?.path.join(".") || "(root)"}: ${issue?.message ?? "does not fit"}`;
  throw new InvalidModelError({ where, what, remedy: "Export the model again.", cause: parsed.error });
}

/** Is what a manifest says, without what is the same in all. */
export type ManifestContent = Omit<ExportManifest, "format" | "version">;

/** Writes a manifest as JSON. */
export function formatExportManifest(content: ManifestContent): string {
  const manifest: ExportManifest = { format: manifestFormat, version: manifestVersion, ...content };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}
