/**
 * What tests of the training commands learn from: a tiny configuration, and text that follows rules.
 */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** Is a model of some thousand weights. */
export const tinyTrainingConfig: Readonly<Record<string, unknown>> = {
  model_type: "llama",
  hidden_size: 24,
  intermediate_size: 40,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 6,
  vocab_size: 300,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: "silu",
  tie_word_embeddings: true,
};

/** Writes so many sentences; no two are the same. */
export function writeTrainingText(sentenceCount: number): string {
  const [who, where] = [
    ["The cat", "A dog", "The old man", "Her sister"],
    ["hill", "river", "house"],
  ];
  return Array.from({ length: sentenceCount }, (_, index) => {
    const [one, place] = [who[index % who.length], where[index % where.length]];
    return `${one} went to the ${place} at ${index} and came back.${index % 5 === 4 ? "\n\n" : " "}`;
  }).join("");
}

/** Digests files of a folder: equal only where every byte is. */
export async function digestFiles(folder: string, files: readonly string[]): Promise<Record<string, string>> {
  const digests = files.map(async (file) => {
    const bytes = await readFile(join(folder, file));
    return [file, createHash("sha256").update(bytes).digest("hex")] as const;
  });
  return Object.fromEntries(await Promise.all(digests));
}
