import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createTemporaryFolder,
  runCommand,
  type TemporaryFolder,
} from "../../test/support/command-terminal.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../testing/index.ts";

const sizes = ["--slots", "16", "--window", "64", "--segment", "32"];
let folder: TemporaryFolder;
let model: string;
let adapter: string;

beforeAll(async () => {
  folder = await createTemporaryFolder();
  model = await folder.writeModel(createTinyModelFolder());
  adapter = await folder.writeModel(createTinyAdapterFolder({ variant: "plus" }));
});

afterAll(() => folder[Symbol.asyncDispose]());

describe("edgeinfinite demo", () => {
  it("shows that memory stays flat, and wrong answers as wrong", async () => {
    const argv = [
      "demo",
      "--model",
      model,
      "--adapter",
      adapter,
      ...sizes,
      "--tokens",
      "3000",
      "--facts",
      "3",
    ];
    const { status, stdout, stderr } = await runCommand(argv);
    expect([status, stderr]).toEqual([0, ""]);
    const [header, ...rows] = stdout.split("\n").filter((line) => /^ {2}(tokens|[\d,]+) /.test(line));
    expect(header).toMatch(/tokens +state +full cache +process +tokens\/s/);
    expect(rows.length).toBe(5);
    expect(new Set(rows.map((row) => row.trim().split(/ {2,}/)[1])).size).toBe(1);
    // The tiny model's weights are random: it knows nothing.
    expect(stdout.match(/^ {2}WRONG {2}.*\?.*\n.*, but it is .+$/gm)?.length).toBe(3);
    expect(stdout).toMatch(/^0 of 3 right\.$/m);
    expect(stdout).toMatch(/policy plus/);
    expect(stdout).toMatch(/edgeinfinite run --model/);
  });

  it("runs the package's own model, with its memory and without", async () => {
    const { status, stdout } = await runCommand(["demo", "--tokens", "2000", "--facts", "2"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^default\/edgeinfinite-3m-q8_0\.gguf/);
    expect(stdout).toMatch(/^[012] of 2 right\.$/m);
    expect(stdout).toMatch(/^The same model with its window alone, without memory: \d of 2\.$/m);
  });

  it("hides the same facts for the same seed only, far before the questions", async () => {
    const ask = async (seed: string) => {
      const argv = ["demo", "--model", model, ...sizes.slice(2), "--tokens", "2000", "--facts", "2"];
      const { stdout } = await runCommand([...argv, "--seed", seed]);
      for (const [, told = ""] of stdout.matchAll(/told ([\d,]+) tokens before/g))
        expect(Number(told.replace(",", ""))).toBeGreaterThan(200);
      return stdout.match(/^.*tokens before\)$/gm);
    };
    expect(await ask("1")).toEqual(await ask("1"));
    expect(await ask("2")).not.toEqual(await ask("1"));
  });

  it("refuses a document that has no room for what is hidden", async () => {
    const { status, stderr } = await runCommand(["demo", "--model", model, "--tokens", "50"]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/lengthTokens: out of range, got 50/);
  });
});
