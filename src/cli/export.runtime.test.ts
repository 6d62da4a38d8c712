import { access } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createTemporaryFolder,
  parseJsonLines,
  runCommand,
  type TemporaryFolder,
} from "../../test/support/command-terminal.ts";
import { readExportManifest } from "../engine/export/node-export.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../testing/index.ts";

let folder: TemporaryFolder;
let model: string;
let adapter: string;

beforeAll(async () => {
  folder = await createTemporaryFolder();
  model = await folder.writeModel(createTinyModelFolder());
  adapter = await folder.writeModel(createTinyAdapterFolder());
});

afterAll(() => folder[Symbol.asyncDispose]());

const sizes = ["--sinks", "3", "--window", "21", "--segment", "13"];

describe("edgeinfinite export", () => {
  it("writes what it says, with the sizes asked for", async () => {
    const out = join(folder.path, "npu");
    const { status, stdout } = await runCommand([
      ...["export", "--model", model, "--adapter", adapter, "--out", out],
      ...sizes,
    ]);
    expect(status).toBe(0);
    expect(stdout).toContain("policy paper (sinks 3, window 21, segment 13)");
    const manifest = await readExportManifest(out);
    for (const { file, tokenCount } of manifest.graphs) {
      expect(stdout).toMatch(new RegExp(`${file} +${tokenCount} .*onnx 17`));
      await access(join(out, file));
    }
  });

  it("prints the manifest's facts for machines, and notices", async () => {
    const out = join(folder.path, "json");
    const { stdout } = await runCommand(["export", "--model", model, "--out", out, "--json", ...sizes]);
    const lines = parseJsonLines(stdout);
    expect(lines.map(({ type }) => type)).toEqual(["notice", "finish"]);
    expect(lines[1]).toMatchObject({ folder: out, manifest: { policy: "streaming", version: 1 } });
  });

  it("prints nothing when quiet", async () => {
    const out = join(folder.path, "quiet");
    const { stdout, stderr } = await runCommand([
      "export",
      "--model",
      model,
      "--out",
      out,
      "--quiet",
      ...sizes,
    ]);
    expect({ stdout, stderr }).toEqual({ stdout: "", stderr: "" });
  });

  it.each([
    ["no model", () => ["--out", "x"], /--model is missing/, 2],
    ["no folder", () => ["--model", model], /--out is missing/, 2],
    ["an argument too many", () => ["--model", model, "--out", "x", "y"], /without an option/, 2],
    [
      "the policy full",
      () => ["--model", model, "--out", join(folder.path, "full"), "--policy", "full"],
      /grows/,
      4,
    ],
    ["a folder with something else", () => ["--model", model, "--out", model], /something else is there/, 2],
  ])("refuses %s", async (_, argv, message, expected) => {
    const { status, stderr } = await runCommand(["export", ...argv()]);
    expect(stderr).toMatch(message);
    expect(status).toBe(expected);
  });
});
