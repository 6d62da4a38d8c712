/**
 * Which files of a repository make up a model: configuration, tokenizer, weights in safetensors or GGUF, adapter.
 *
 * PyTorch's own files are never among them: loading one can run code.
 */

import { ggufPartNames } from "./gguf-parts.ts";
import { isContainedFile } from "./model-folder.ts";

/** The small files of a model or adapter: configuration, tokenizer and the index of shards. */
const modelTextFiles: readonly string[] = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "chat_template.json",
  "adapter_config.json",
  "model.safetensors.index.json",
];

const wholeWeights = "model.safetensors";
const adapterWeights = "adapter_model.safetensors";
const picklePattern = /\.(?:bin|pt|pth|ckpt|pkl|pickle)$/;
const shardPattern = /^model-\d{5,6}-of-\d{5,6}\.safetensors$/;

/** Tells whether a name fits a pattern, in which `*` stands for any characters but `/`. */
export function matchesPattern(file: string, pattern: string): boolean {
  const source = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${source.join("[^/]*")}$`).test(file);
}

/** Lists the GGUF models among files by their first parts; those in folders are not looked at. */
export function listGgufModels(listed: readonly string[]): string[] {
  const files = listed.filter((file) => file.endsWith(".gguf") && !file.includes("/"));
  return [...new Set(files.map((file) => ggufPartNames(file)[0] ?? file))].sort();
}

/** Tells whether a repository has weights in safetensors, a model's or an adapter's. */
export function hasSafetensors(listed: readonly string[]): boolean {
  return listed.some((file) => file === wholeWeights || file === adapterWeights || shardPattern.test(file));
}

/**
 * Chooses the files to fetch. Without safetensors it is the GGUF model, if there is just one.
 * @param listed - what the repository has.
 * @param patterns - names or patterns with `*`, instead of a model's usual files.
 * @returns names out of `listed`: small files first, so that a wrong model shows before its weights come.
 */
export function selectModelFiles(listed: readonly string[], patterns?: readonly string[]): string[] {
  if (patterns !== undefined) {
    const wanted = listed.filter((file) => patterns.some((pattern) => matchesPattern(file, pattern)));
    return wanted.filter((file) => !picklePattern.test(file));
  }
  const isWhole = listed.includes(wholeWeights);
  const texts = modelTextFiles.filter(
    (file) => listed.includes(file) && !(isWhole && file === "model.safetensors.index.json"),
  );
  const weights = listed.filter(
    (file) => file === wholeWeights || file === adapterWeights || (!isWhole && shardPattern.test(file)),
  );
  const [model, ...others] = listGgufModels(listed);
  if (weights.length > 0 || model === undefined || others.length > 0) return [...texts, ...weights.sort()];
  return [...texts, ...ggufPartNames(model).filter((file) => listed.includes(file))];
}

/** Returns the shards that an index names; none for a malformed index, which the loader will refuse. */
export function shardsOfIndex(index: unknown): string[] {
  if (typeof index !== "object" || index === null || !("weight_map" in index)) return [];
  const weightMap: unknown = index.weight_map;
  if (typeof weightMap !== "object" || weightMap === null) return [];
  const shards = new Set(Object.values(weightMap).filter((file) => typeof file === "string"));
  return [...shards].filter((file) => isContainedFile(file) && file.endsWith(".safetensors")).sort();
}
