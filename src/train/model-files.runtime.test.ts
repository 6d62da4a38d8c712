import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadModel } from "../../test/support/tiny-sessions.ts";
import { parseSafetensorsHeader, readTensor } from "../files/safetensors.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { makeModelFiles } from "./model-files.ts";
import { prepareOutputFolder, writeOutputFiles } from "./node-output-folder.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "model-files-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const tokenizer = await trainByteLevelBpe(["the cat sat on the mat and the cat sat on the hat"], {
  vocabularySize: 270,
});

/** The tiny model's tensors, with rows for the tokens of the new tokenizer. */
async function takeTensors(): Promise<{ config: Record<string, unknown>; tensors: Map<string, HostTensor> }> {
  const tiny = createTinyModelFolder();
  const config = Object.assign({}, await tiny.readJson("config.json"));
  const source = await tiny.open("model.safetensors");
  const tensors = new Map<string, HostTensor>();
  for (const [name, entry] of (await parseSafetensorsHeader(source)).tensors)
    tensors.set(name, await readTensor(entry));
  const rows = tokenizer.vocabularySize;
  const embedding = Float32Array.from({ length: rows * 64 }, (_, index) => Math.sin(index));
  tensors.set("model.embed_tokens.weight", hostTensor("float32", [rows, 64], embedding));
  return { config: { ...config, vocab_size: rows }, tensors };
}

describe("makeModelFiles", () => {
  it("writes a folder that loadModel runs: weights, tokenizer, chat template, ends", async () => {
    const path = join(folder, "model");
    const { config, tensors } = await takeTensors();
    await prepareOutputFolder(path, "refuse");
    await writeOutputFiles(path, makeModelFiles({ config, tensors, tokenizer }));
    await using model = await loadModel(path, { threads: 1 });
    expect(model.tokenizer?.vocabSize).toBe(tokenizer.vocabularySize);
    const session = model.createSession();
    await session.append("the cat sat");
    expect(session.logits?.length).toBe(tokenizer.vocabularySize);
    expect(session.lengthTokens).toBe(model.tokenizer?.encode("the cat sat").length);
    const events = [];
    for await (const event of session.chat([{ role: "user", content: "the hat?" }], { maxNewTokens: 2 })) {
      events.push(event.type);
    }
    expect(events).toContain("finish");
  });

  it("refuses a model without rows for all tokens", async () => {
    const { config, tensors } = await takeTensors();
    expect(() => makeModelFiles({ config: { ...config, vocab_size: 100 }, tensors, tokenizer })).toThrow(
      /vocab_size: the model has fewer tokens than its tokenizer, got 100/,
    );
  });
});
