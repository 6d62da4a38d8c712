/**
 * Writes a checkpoint of SmolLM2-135M's shape with random weights: config.json and model.safetensors (269 MB).
 *
 *   npx tsx scripts/write-random-checkpoint.ts OUT_DIR [--seed N]
 *
 * Each file appears whole or not at all.
 */

import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "../src/files/node-atomic-write.ts";
import { smolLm2Config135M, streamRandomCheckpoint } from "../src/testing/index.ts";

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
  const file = join(folder, "model.safetensors");
  await writeFileAtomic(file, weights);
  const sizeBytes = (await stat(file)).size;
  const config = `${JSON.stringify(smolLm2Config135M, null, 2)}\n`;
  await writeFileAtomic(join(folder, "config.json"), new TextEncoder().encode(config));
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${folder}: ${(sizeBytes / 1e6).toFixed(0)} MB in ${seconds} s`);
}

await main();
