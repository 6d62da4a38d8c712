/**
 * Writes a checkpoint of SmolLM2-135M's shape with random weights: config.json and model.safetensors (269 MB).
 *
 *   npx tsx scripts/write-random-checkpoint.ts OUT_DIR [--seed N]
 *
 * Each file appears whole or not at all.
 */

import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { smolLm2Config135M, streamRandomCheckpoint } from "../src/testing/index.ts";

async function writeAtomic(path: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  const temporary = `${path}.${process.pid}.tmp`;
  let sizeBytes = 0;
  try {
    await using file = await open(temporary, "wx");
    for await (const chunk of chunks) {
      await file.writeFile(chunk);
      sizeBytes += chunk.length;
    }
    await file.sync();
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await rename(temporary, path);
  return sizeBytes;
}

async function* encodeText(text: string): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode(text);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { seed: { type: "string" } },
    allowPositionals: true,
  });
  const [folder] = positionals;
  const seed = Number(values.seed ?? 1);
  if (folder === undefined || positionals.length > 1 || !Number.isSafeInteger(seed)) {
    console.error("usage: npx tsx scripts/write-random-checkpoint.ts OUT_DIR [--seed N]");
    process.exitCode = 2;
    return;
  }
  const start = performance.now();
  await mkdir(folder, { recursive: true });
  const weights = streamRandomCheckpoint(smolLm2Config135M, { seed });
  const sizeBytes = await writeAtomic(join(folder, "model.safetensors"), weights);
  const config = `${JSON.stringify(smolLm2Config135M, null, 2)}\n`;
  await writeAtomic(join(folder, "config.json"), encodeText(config));
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${folder}: ${(sizeBytes / 1e6).toFixed(0)} MB in ${seconds} s`);
}

await main();
