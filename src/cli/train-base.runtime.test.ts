import { symlinkSync, unlinkSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createTemporaryFolder,
  interruptAt,
  parseJsonLines,
  runCommand,
  type TemporaryFolder,
} from "../../test/support/command-terminal.ts";
import { loadModel } from "../../test/support/tiny-sessions.ts";
import { digestFiles, tinyTrainingConfig, writeTrainingText } from "../../test/support/training-files.ts";

let folder: TemporaryFolder;
let config: string;
let data: string;

beforeAll(async () => {
  folder = await createTemporaryFolder();
  config = await folder.writeFile("config.json", JSON.stringify(tinyTrainingConfig));
  data = await folder.writeFile("data.txt", writeTrainingText(400));
});

afterAll(() => folder[Symbol.asyncDispose]());

const modelFiles = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];

/** Gives the arguments of a training of a second; later ones take precedence. */
function argue(out: string, ...more: readonly string[]): string[] {
  const sizes = ["--steps", "12", "--tokens-per-step", "64", "--lengths", "32", "--threads", "1"];
  return [
    "train",
    "base",
    "--config",
    config,
    "--data",
    data,
    "--out",
    join(folder.path, out),
    ...sizes,
    ...more,
  ];
}

describe("edgeinfinite train base", () => {
  it("trains a tokenizer and a model that loadModel runs, and says how it went", async () => {
    const { status, stdout, stderr } = await runCommand(
      argue("whole", "--lengths", "32,64@0.5", "--learning-rate", "0.02", "--steps", "40"),
    );
    expect(stderr).toContain("training  ");
    expect(stdout).toMatch(/whole: 40 steps, loss \d\.\d+ in the last/);
    expect(status).toBe(0);
    const out = join(folder.path, "whole");
    await using model = await loadModel(out, { threads: 1 });
    const tokens = model.tokenizer?.encode("The cat went to the hill") ?? [];
    // A tokenizer of this text has words: bytes alone would be 24.
    expect(tokens.length).toBeLessThan(16);
    expect(model.config).toMatchObject({ modelType: "llama", vocabularySize: 300 });
    await model.createSession().append(tokens);
    const log = parseJsonLines(await readFile(join(out, "training", "log.jsonl"), "utf8"));
    expect(log.map(({ step }) => step)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    expect(Number(log.at(-1)?.loss)).toBeLessThan(Number(log[0]?.loss) - 1);
    expect(await readFile(join(out, "training", "loss.svg"), "utf8")).toContain("<svg");
    const written: unknown = JSON.parse(await readFile(join(out, "config.json"), "utf8"));
    expect(written).toMatchObject({ architectures: ["LlamaForCausalLM"], eos_token_id: 1 });
  });

  it("stops at Ctrl-C with a checkpoint, and resumes to the same model bit for bit", async () => {
    expect((await runCommand(argue("straight"))).status).toBe(0);
    const stopped = await runCommand(argue("stopped", "--json"), { onStdout: interruptAt('"step":5,') });
    expect(stopped.status).toBe(130);
    expect(stopped.stderr).toMatch(/step 5 of 12 is saved: the same command with --resume goes on/);
    const resumed = await runCommand(argue("stopped", "--resume", "--json"));
    expect(resumed.status).toBe(0);
    const steps = parseJsonLines(resumed.stdout).filter(({ type }) => type === "step");
    expect(steps.map(({ step }) => step)).toEqual([6, 7, 8, 9, 10, 11, 12]);
    const digests = await digestFiles(join(folder.path, "straight"), modelFiles);
    expect(await digestFiles(join(folder.path, "stopped"), modelFiles)).toEqual(digests);
  });

  it("moves matrices by another optimizer when asked, and goes on with no other", async () => {
    const options = ["--optimizer", "muon", "--learning-rate", "0.02"];
    expect((await runCommand(argue("muon", ...options))).status).toBe(0);
    const stopped = await runCommand(argue("muon-stopped", ...options, "--json"), {
      onStdout: interruptAt('"step":5,'),
    });
    expect(stopped.status).toBe(130);
    const other = await runCommand(argue("muon-stopped", ...options, "--optimizer", "adamw", "--resume"));
    expect(other.status).toBe(2);
    expect(other.stderr).toMatch(/cannot be resumed: optimizer differs/);
    expect(other.stderr).not.toContain("--resume goes on");
    expect((await runCommand(argue("muon-stopped", ...options, "--resume"))).status).toBe(0);
    const digests = await digestFiles(join(folder.path, "muon"), modelFiles);
    expect(await digestFiles(join(folder.path, "muon-stopped"), modelFiles)).toEqual(digests);
    const unknown = await runCommand(argue("unknown", "--optimizer", "sgd"));
    expect(unknown.status).toBe(2);
    expect(unknown.stderr).toMatch(/optimizer.*sgd.*adamw, muon/s);
  });

  it("takes options from a recipe, which flags override, and mixes recall documents in", async () => {
    const recall = await folder.writeFile(
      "recall.json",
      JSON.stringify({
        ranges: [{ share: 1, factCount: [1, 1], questionCount: [1, 1], placement: "end", kinds: ["age"] }],
        weights: { answer: 3 },
      }),
    );
    const recipe = await folder.writeFile(
      "recipe.json",
      JSON.stringify({ steps: 50, lengths: [256], "recall-share": 0.5, recall, seed: 3, json: true }),
    );
    const flags = [
      "train",
      "base",
      "--config",
      config,
      "--data",
      data,
      "--threads",
      "1",
      "--recipe-file",
      recipe,
    ];
    const out = join(folder.path, "recipe");
    const { status, stdout } = await runCommand([
      ...flags,
      "--out",
      out,
      "--steps",
      "2",
      "--tokens-per-step",
      "1",
    ]);
    expect(status).toBe(0);
    const events = parseJsonLines(stdout);
    expect(events.map(({ type }) => type)).toEqual(["start", "step", "step", "finish"]);
    expect(events.at(-1)).toMatchObject({ step: 2, tokenCount: 512 });
  });

  it("begins with a model that was trained before, and refuses one of another configuration", async () => {
    const first = argue(
      "begun",
      "--steps",
      "30",
      "--learning-rate",
      "0.02",
      "--repeated-share",
      "0.2",
      "--lengths",
      "64",
    );
    expect((await runCommand(first)).status).toBe(0);
    const before = join(folder.path, "begun");
    const log = async (out: string): Promise<number[]> =>
      parseJsonLines(await readFile(join(folder.path, out, "training", "log.jsonl"), "utf8")).map(
        ({ loss }) => Number(loss),
      );
    // Of these texts a new tokenizer would be another one.
    const more = await folder.writeFile(
      "more.txt",
      `${writeTrainingText(300)} Zebras quiz jovial oxen.`.repeat(2),
    );
    const gone = argue(
      "gone-on",
      "--init",
      before,
      "--steps",
      "2",
      "--beta2",
      "0.99",
      "--data",
      `${data},${more}`,
    );
    expect((await runCommand(gone)).status).toBe(0);
    // The tokenizer is the same, and the first loss is one of a trained model.
    expect((await log("gone-on"))[0]).toBeLessThan(((await log("begun"))[0] ?? 0) - 1);
    const tokenizers = [before, join(folder.path, "gone-on")].map((out) =>
      readFile(join(out, "tokenizer.json")),
    );
    const [own, inherited] = await Promise.all(tokenizers);
    expect(inherited).toEqual(own);

    const wide = { ...tinyTrainingConfig, intermediate_size: 48 };
    const other = await folder.writeFile("wide.json", JSON.stringify(wide));
    const refused = await runCommand(argue("other", "--config", other, "--init", before));
    expect(refused.stderr).toMatch(/begun, model\.layers\.0\.mlp\..*another configuration.*\[40, 24\]/);
    expect(refused.status).toBe(3);
  });

  it.each(["f32", "q8"])("begins with a GGUF file of %s, and takes its tokenizer out", async (dtype) => {
    const before = join(folder.path, `packed-${dtype}`);
    const longer = ["--steps", "30", "--learning-rate", "0.02"];
    expect((await runCommand(argue(`packed-${dtype}`, ...longer))).status).toBe(0);
    const file = join(folder.path, `${dtype}.gguf`);
    const packed = await runCommand(["convert", "--model", before, "--dtype", dtype, "--out", file]);
    expect(packed.stderr).toBe("");
    const first = async (out: string, init: string): Promise<number> => {
      const result = await runCommand(argue(out, "--init", init, "--steps", "1", "--json"));
      expect(result).toMatchObject({ status: 0 });
      return Number(parseJsonLines(result.stdout).find(({ type }) => type === "step")?.loss);
    };
    const loss = await first(`from-${dtype}`, file);
    expect(Math.abs(loss - (await first(`of-${dtype}`, before)))).toBeLessThan(dtype === "f32" ? 1e-6 : 0.05);
    const readOwn = async (out: string, name: string): Promise<object> =>
      JSON.parse(await readFile(join(folder.path, out, name), "utf8"));
    const [own, got] = [`packed-${dtype}`, `from-${dtype}`];
    expect(await readOwn(got, "tokenizer.json")).toEqual(await readOwn(own, "tokenizer.json"));
    // These tokens are marked as special in tokenizer.json.
    const { additional_special_tokens: _, ...settings } = Object.assign(
      { additional_special_tokens: [] },
      await readOwn(own, "tokenizer_config.json"),
    );
    expect(await readOwn(got, "tokenizer_config.json")).toEqual(settings);
    const other = await folder.writeFile(
      "deep.json",
      JSON.stringify({ ...tinyTrainingConfig, intermediate_size: 48 }),
    );
    const refused = await runCommand(argue(`bad-${dtype}`, "--config", other, "--init", file));
    expect(refused.stderr).toMatch(/\.gguf, .*mlp\..*another configuration.*\[40, 24\]/);
    expect(refused.status).toBe(3);
  });

  it("refuses to begin with a GGUF file that is cut, and leaves no folder", async () => {
    const file = await folder.writeFile("cut.gguf", "GGUF");
    const refused = await runCommand(argue("from-cut", "--init", file));
    expect(refused.stderr).toMatch(/cut\.gguf/);
    expect(refused.status).toBe(3);
    expect(await readdir(folder.path)).not.toContain("from-cut");
  });

  it("refuses a memory of squared gradients that never fades", async () => {
    const refused = await runCommand(argue("endless", "--beta2", "1"));
    expect(refused.stderr).toMatch(/--beta2: out of range, got 1, expected/);
    expect(refused.status).toBe(2);
  });

  it("takes a tokenizer that is given", async () => {
    await runCommand(argue("first", "--steps", "1"));
    const own = ["--tokenizer", join(folder.path, "first"), "--steps", "1"];
    expect((await runCommand(argue("second", ...own))).status).toBe(0);
    const digests = await digestFiles(join(folder.path, "first"), [
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    expect(await digestFiles(join(folder.path, "second"), Object.keys(digests))).toEqual(digests);
  });

  it("refuses a folder without a tokenizer before the outcome has one", async () => {
    const refused = await runCommand(argue("without", "--tokenizer", join(folder.path, "nowhere")));
    expect(refused.stderr).toMatch(/nowhere: there is no tokenizer in it.*tokenizer\.json/);
    expect(refused.status).toBe(3);
    expect(await readdir(folder.path)).not.toContain("without");
  });

  it("refuses a folder with an earlier outcome, unless it may be replaced or is resumed alike", async () => {
    await runCommand(argue("taken", "--steps", "1"));
    const again = await runCommand(argue("taken", "--steps", "1"));
    expect(again.stderr).toMatch(/the output folder is not empty.*--resume.*--overwrite/);
    expect(again.status).toBe(2);
    const other = await runCommand(argue("taken", "--steps", "1", "--seed", "9", "--resume"));
    expect(other.stderr).toMatch(/the run cannot be resumed: data\.[\w.]*seed differs, got .?9.?, expected/);
    expect((await runCommand(argue("taken", "--steps", "1", "--overwrite"))).status).toBe(0);
  });

  it("says when the disk is full, and keeps what was saved", async () => {
    let isFull = false;
    const log = join(folder.path, "full", "training", "log.jsonl");
    const { status, stderr } = await runCommand(argue("full", "--json", "--checkpoint-every", "4"), {
      onStdout(text) {
        if (isFull || !text.includes('"step":6,')) return;
        isFull = true;
        unlinkSync(log);
        symlinkSync("/dev/full", log);
      },
    });
    expect(stderr).toMatch(/step 4 of 12 is saved/);
    expect(stderr).toMatch(/error: .*the log cannot be written, got "a full disk \(ENOSPC\)"/);
    expect(status).toBe(5);
    unlinkSync(log);
    expect((await runCommand(argue("full", "--resume", "--checkpoint-every", "4"))).status).toBe(0);
  });

  it("ends when losses stay no numbers", async () => {
    const { status, stderr } = await runCommand(
      argue("wild", "--learning-rate", "1e38", "--schedule", "constant", "--warmup", "0", "--steps", "40"),
    );
    expect(stderr).toContain("was skipped");
    expect(stderr).toMatch(/error: training: the loss or its gradients were no numbers 10 steps in a row/);
    expect(status).toBe(2);
  });

  it.each<[string, () => Promise<string[]>, RegExp, number]>([
    [
      "a malformed line",
      async () => ["--data", await folder.writeFile("bad.jsonl", '{"text": "good"}\n{"text": }\n')],
      /bad\.jsonl, line 2: the line is not JSON/,
      2,
    ],
    [
      "an empty file",
      async () => ["--data", await folder.writeFile("empty.jsonl", "")],
      /no text in the file/,
      2,
    ],
    ["data that are not there", async () => ["--data", "/no/such"], /cannot be opened.*Check the path/, 5],
    ["no configuration", async () => ["--config", ""], /--config is missing/, 2],
    [
      "a family that is not pre-trained",
      async () => [
        "--config",
        await folder.writeFile(
          "gemma.json",
          JSON.stringify({ ...tinyTrainingConfig, model_type: "granite" }),
        ),
      ],
      /does not pre-train the family, got "granite"/,
      4,
    ],
    [
      "a model larger than the machine",
      async () => [
        "--config",
        await folder.writeFile(
          "large.json",
          JSON.stringify({ ...tinyTrainingConfig, hidden_size: 1_000_000, vocab_size: 1_000_000 }),
        ),
      ],
      /too large to train here.*fewer layers or a smaller vocabulary/,
      6,
    ],
    [
      "documents longer than the model has positions",
      async () => ["--lengths", "512"],
      /more|longer than/,
      2,
    ],
    ["lengths that are none", async () => ["--lengths", "32@x"], /--lengths: not a number/, 2],
    ["a rate out of range", async () => ["--learning-rate", "0"], /peakRate: out of range/, 2],
    ["decay out of range", async () => ["--weight-decay", "2"], /weight decay with decay: out of range/, 2],
    ["two ways with an earlier outcome", async () => ["--resume", "--overwrite"], /exclude each other/, 2],
    [
      "an unknown option in a recipe",
      async () => ["--recipe-file", await folder.writeFile("odd.json", '{"speed": 3}')],
      /unknown option, got "speed"/,
      2,
    ],
    [
      "recall documents that are described but not asked for",
      async () => ["--recall", await folder.writeFile("none.json", "{}")],
      /none are asked for/,
      2,
    ],
  ])("refuses %s", async (name, more, message, expected) => {
    const out = name.replaceAll(" ", "-");
    const { status, stderr } = await runCommand(argue(out, ...(await more())));
    expect(stderr).toMatch(message);
    expect(stderr.split("\n").filter((line) => line.startsWith("error: "))).toHaveLength(1);
    expect(status).toBe(expected);
  });

  it("is told apart from a command of one word", async () => {
    const { status, stderr } = await runCommand(["train"]);
    expect(stderr).toMatch(/second word, expected train base or train gate/);
    expect(status).toBe(2);
    expect((await runCommand(["train", "base", "--help"])).stdout).toMatch(
      /^Usage: edgeinfinite train base /,
    );
  });
});
