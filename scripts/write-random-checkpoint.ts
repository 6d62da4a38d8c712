/**
 * Writes a checkpoint of SmolLM2-135M's shape with random weights: config.json and model.safetensors (269 MB).
 *
 *   npx tsx scripts/write-random-checkpoint.ts OUT_DIR [--seed N] [--tokenizer FOLDER] [--gguf q8_0,q4_0,f32,f16]
 *
 * `--tokenizer` adds the tokenizer of that folder; `--gguf` writes the same weights as GGUF files too.
 * Each file appears whole or not at all.
 */

import { copyFile, mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../src/files/node-atomic-write.ts";
import { diskModelFolder } from "../src/files/node-model-folder.ts";
import { smolLm2Config135M, streamRandomCheckpoint } from "../src/testing/index.ts";
import { streamGgufModel } from "../test/support/gguf/gguf-model.ts";
import { type GgufTensorType, ggufTensorTypes } from "../test/support/gguf/gguf-writer.ts";
import { exitWithUsage, parseArguments } from "./parse-arguments.ts";

const usage = `npx tsx scripts/write-random-checkpoint.ts OUT_DIR [--seed N] [--tokenizer FOLDER] [--gguf TYPE,...]
types: ${Object.keys(ggufTensorTypes).join(", ")}`;

function isTensorType(text: string): text is GgufTensorType {
  return Object.hasOwn(ggufTensorTypes, text);
}

async function write(file: string, bytes: AsyncIterable<Uint8Array> | Uint8Array): Promise<void> {
  const start = performance.now();
  await writeFileAtomic(file, bytes);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${file}: ${((await stat(file)).size / 1e6).toFixed(0)} MB in ${seconds} s`);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArguments(
    {
      options: { seed: { type: "string" }, tokenizer: { type: "string" }, gguf: { type: "string" } },
      allowPositionals: true,
    },
    usage,
  );
  const [folder] = positionals;
  const seed = Number(values.seed ?? 1);
  const types = values.gguf === undefined ? [] : values.gguf.split(",");
  if (
    folder === undefined ||
    positionals.length > 1 ||
    !Number.isSafeInteger(seed) ||
    !types.every(isTensorType)
  ) {
    exitWithUsage(usage);
  }
  await mkdir(folder, { recursive: true });
  await write(join(folder, "model.safetensors"), streamRandomCheckpoint(smolLm2Config135M, { seed }));
  const config = `${JSON.stringify(smolLm2Config135M, null, 2)}\n`;
  await write(join(folder, "config.json"), new TextEncoder().encode(config));
  if (values.tokenizer !== undefined) {
    const names = await readdir(values.tokenizer);
    const files = names.filter((name) =>
      /^(tokenizer|special_tokens|chat_template).*\.(json|jinja)$/.test(name),
    );
    for (const file of files) await copyFile(join(values.tokenizer, file), join(folder, file));
  }
  for (const type of types) {
    const weights = streamGgufModel(diskModelFolder(folder), { type, pre: "smollm" });
    await write(join(folder, `model-${type}.gguf`), weights);
  }
}

await main();
