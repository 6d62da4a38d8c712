/**
 * The model families by `model_type`, loaded when they are asked for.
 */

import { InvalidModelError, UnsupportedError } from "../errors.ts";
import type { ModelFamily } from "./family.ts";

const families: Readonly<Record<string, () => Promise<ModelFamily>>> = {
  llama: async () => (await import("./llama.ts")).llama,
  mistral: async () => (await import("./mistral.ts")).mistral,
  qwen2: async () => (await import("./qwen2.ts")).qwen2,
  qwen3: async () => (await import("./qwen3.ts")).qwen3,
  smollm3: async () => (await import("./smollm3.ts")).smollm3,
  olmo2: async () => (await import("./olmo2.ts")).olmo2,
  granite: async () => (await import("./granite.ts")).granite,
  phi3: async () => (await import("./phi3.ts")).phi3,
  gemma3_text: async () => (await import("./gemma3-text.ts")).gemma3Text,
  gpt_neox: async () => (await import("./gpt-neox.ts")).gptNeox,
  gpt2: async () => (await import("./gpt2.ts")).gpt2,
  BlueLM: async () => (await import("./bluelm.ts")).bluelm,
};

/** Lists the `model_type`s that can be run. */
export const modelTypes: readonly string[] = Object.keys(families);

/**
 * Finds the family of a `config.json`.
 * @param where names the file in messages.
 * @throws {@link InvalidModelError} when it names no type; {@link UnsupportedError} when that one is not run.
 */
export async function loadModelFamily(where: string, config: unknown): Promise<ModelFamily> {
  const type =
    typeof config === "object" && config !== null && "model_type" in config ? config.model_type : undefined;
  if (typeof type !== "string") {
    throw new InvalidModelError({
      where,
      what: "field model_type is missing",
      expected: "a Hugging Face config.json",
    });
  }
  const load = Object.hasOwn(families, type) ? families[type] : undefined;
  if (load === undefined) {
    throw new UnsupportedError({
      where,
      what: "this version does not run model_type",
      got: type,
      expected: modelTypes.join(", "),
    });
  }
  return load();
}
