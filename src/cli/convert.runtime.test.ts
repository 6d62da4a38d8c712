import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createTemporaryFolder,
  parseJsonLines,
  runCommand,
  type TemporaryFolder,
} from "../../test/support/command-terminal.ts";
import { createTinyModelFolder } from "../testing/index.ts";

let folder: TemporaryFolder;
let model: string;

beforeAll(async () => {
  folder = await createTemporaryFolder();
  model = await folder.writeModel(createTinyModelFolder());
});

afterAll(() => folder[Symbol.asyncDispose]());

describe("edgeinfinite convert", () => {
  it("writes a file of a quarter of the size that the other commands run", async () => {
    const out = join(folder.path, "tiny-q8_0.gguf");
    const { status, stdout, stderr } = await runCommand([
      "convert",
      "--model",
      model,
      "--out",
      out,
      "--json",
    ]);
    expect([status, stderr]).toEqual([0, ""]);
    const [finish] = parseJsonLines(stdout);
    const { size: sizeBytes } = await stat(out);
    expect(finish).toMatchObject({
      type: "finish",
      file: out,
      sizeBytes,
      dtype: "q8",
      preTokenizer: "gpt-2",
    });
    const { size: before } = await stat(join(model, "model.safetensors"));
    expect(sizeBytes).toBeLessThan(0.6 * before);
    const argv = ["run", "--model", out, "--max-new-tokens", "3", "--quiet", "the abc"];
    const answer = await runCommand(argv);
    expect(answer).toMatchObject({ status: 0, stderr: "" });
    const named = await runCommand(["inspect", out, "--json"]);
    expect(parseJsonLines(named.stdout)[0]).toBeDefined();
  });

  it("replaces a file only when it is told to", async () => {
    const out = await folder.writeFile("kept.gguf", "kept");
    const refused = await runCommand(["convert", "--model", model, "--out", out]);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(/the file is there already.*--overwrite/);
    expect(await readFile(out, "utf8")).toBe("kept");
    const done = await runCommand([
      "convert",
      "--model",
      model,
      "--out",
      out,
      "--overwrite",
      "--dtype",
      "f16",
    ]);
    expect(done.status).toBe(0);
    expect(done.stdout).toMatch(/kept\.gguf: .*KB, \d+ tensors, f16\n$/);
  });

  it.each([
    [["--out", "x.gguf"], 2, /--model is missing/],
    [["--model", "M"], 2, /--out is no \.gguf file/],
    [["--model", "M", "--out", "x.bin"], 2, /--out is no \.gguf file, got "x\.bin"/],
    [["--model", "M", "--out", "/no/such/folder/x.gguf"], 5, /the folder of the file to write is missing/],
    [
      ["--model", "M", "--out", "x.gguf", "--dtype", "q4"],
      2,
      /--dtype: unknown, got "q4", expected q8, f16, f32/,
    ],
  ] as const)("refuses %o", async (argv, expected, message) => {
    const { status, stderr } = await runCommand([
      "convert",
      ...argv.map((one) => (one === "M" ? model : one)),
    ]);
    expect(stderr).toMatch(message);
    expect(status).toBe(expected);
  });
});
