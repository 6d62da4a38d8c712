/**
 * Adapters: the trained memory-gating networks, in a folder as PEFT users expect.
 *
 * `adapter_config.json` says what they are, `adapter_model.safetensors` holds the tensors. Whether they fit a
 * checkpoint shows when the policy writes its graphs.
 */

import { z } from "zod";
import { InvalidModelError, UnsupportedError } from "../errors.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { parseSafetensorsHeader, type TensorEntry } from "../files/safetensors.ts";
import type { ContextSettings } from "./geometry.ts";

const size = z.number().int().nonnegative();

const configSchema = z.looseObject({
  peft_type: z.literal("EDGEINFINITE"),
  variant: z.string(),
  base_model_name_or_path: z.string().optional(),
  read_gate_rank: z.number().int().positive().max(65536),
  feature_map: z.string().default("elu1"),
  fusion: z.string().default("convex"),
  sink_tokens: size.optional(),
  slot_tokens: size.optional(),
  window_tokens: size.optional(),
  segment_tokens: size.optional(),
});

/** Is an opened adapter. */
export interface Adapter {
  readonly name: string;
  /** The checkpoint it was trained for, as its maker wrote it. */
  readonly baseModel: string | undefined;
  readonly variant: "paper";
  /** R. */
  readonly readGateRank: number;
  /** The settings it was trained with, as far as it says. */
  readonly context: Partial<ContextSettings>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  close(): Promise<void>;
}

function parseConfig(where: string, json: unknown): z.infer<typeof configSchema> {
  const parsed = configSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new InvalidModelError({
      where,
      what: `field ${issue?.path.join(".") || "(root)"}: ${issue?.message ?? "does not fit"}`,
      remedy: "Is this an EdgeInfinite adapter?",
      cause: parsed.error,
    });
  }
  return parsed.data;
}

function refuseUnknown(where: string, field: string, got: string, known: readonly string[]): void {
  if (!known.includes(got)) {
    throw new UnsupportedError({
      where,
      what: `this version does not run ${field}`,
      got,
      expected: known.join(" or "),
    });
  }
}

function trainedContext(config: z.infer<typeof configSchema>): Partial<ContextSettings> {
  return {
    ...(config.sink_tokens !== undefined && { sinkTokens: config.sink_tokens }),
    ...(config.slot_tokens !== undefined && { slotTokens: config.slot_tokens }),
    ...(config.window_tokens !== undefined && { windowTokens: config.window_tokens }),
    ...(config.segment_tokens !== undefined && { segmentTokens: config.segment_tokens }),
  };
}

/**
 * Opens an adapter; its tensors are not read yet.
 * @throws {@link FileError} when a file is missing.
 * @throws {@link InvalidModelError} when a file is damaged.
 * @throws {@link UnsupportedError} for a variant that this version does not run.
 */
export async function openAdapter(folder: ModelFolder, signal?: AbortSignal): Promise<Adapter> {
  const where = `${folder.name}/adapter_config.json`;
  const config = parseConfig(where, await folder.readJson("adapter_config.json", signal));
  refuseUnknown(where, "variant", config.variant, ["paper"]);
  refuseUnknown(where, "feature_map", config.feature_map, ["elu1"]);
  refuseUnknown(where, "fusion", config.fusion, ["convex"]);
  const source = await folder.open("adapter_model.safetensors", signal);
  const { tensors } = await parseSafetensorsHeader(source, signal);
  return {
    name: folder.name,
    baseModel: config.base_model_name_or_path,
    variant: "paper",
    readGateRank: config.read_gate_rank,
    context: trainedContext(config),
    tensors,
    close: () => source.close(),
  };
}
