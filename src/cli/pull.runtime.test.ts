import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import {
  createTemporaryFolder,
  parseJsonLines,
  runCommand,
  type TemporaryFolder,
} from "../../test/support/command-terminal.ts";
import { type HubServer, startHubServer } from "../../test/support/hub-server.ts";
import { createTinyModelFolder } from "../testing/index.ts";

let server: HubServer;
let folder: TemporaryFolder;

beforeAll(async () => {
  const tiny = createTinyModelFolder();
  const files: Record<string, Uint8Array> = {};
  for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]) {
    const source = await tiny.open(name);
    files[name] = await source.read(0, source.sizeBytes);
  }
  const commit = "0123456789abcdef0123456789abcdef01234567";
  server = await startHubServer({ "org/tiny": { commit, files, large: ["model.safetensors"] } });
});

afterAll(() => server.close());

beforeEach(async () => {
  folder = await createTemporaryFolder();
  vi.stubEnv("HF_ENDPOINT", server.endpoint);
  vi.stubEnv("HF_HUB_CACHE", folder.path);
  vi.stubEnv("HF_HUB_OFFLINE", undefined);
  server.requests.length = 0;
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await folder[Symbol.asyncDispose]();
});

describe("edgeinfinite pull", () => {
  it("downloads a model into the hub cache and prints its folder, where it is found again", async () => {
    const { status, stdout, stderr } = await runCommand(["pull", "org/tiny"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(existsSync(join(stdout.trim(), "model.safetensors"))).toBe(true);
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    const run = await runCommand(["run", "--model", "org/tiny", "--max-new-tokens", "2", "--quiet", "Hello"]);
    expect(run.status).toBe(0);
  });

  it("prints objects for machines", async () => {
    const { stdout } = await runCommand(["pull", "org/tiny", "--revision", "main", "--json"]);
    const objects = parseJsonLines(stdout);
    expect(objects[0]).toMatchObject({ type: "progress", file: expect.any(String) });
    expect(objects.at(-1)).toMatchObject({ type: "finish", model: "org/tiny" });
  });

  it("shows the progress of each file on a terminal", async () => {
    const { stderr } = await runCommand(["pull", "org/tiny"], { isInteractive: true });
    expect(stderr).toMatch(/\d+% █*░* +[\d.]+ K?B of [\d.]+ K?B {2}\S+\.\w+/);
  });

  it("refuses what is no name, and what the hub does not have", async () => {
    expect(await runCommand(["pull"])).toMatchObject({ status: 2, stdout: "" });
    expect(await runCommand(["pull", "./folder"])).toMatchObject({ status: 2, stdout: "" });
    const missing = await runCommand(["pull", "org/none"]);
    expect(missing).toMatchObject({ status: 5, stdout: "" });
    expect(missing.stderr).toMatch(/^error: [^\n]+\n$/);
  });
});

describe("edgeinfinite inspect of a model on the hub", () => {
  it("reads headers and texts only, and downloads nothing", async () => {
    const { status, stdout } = await runCommand(["inspect", "org/tiny", "--json"]);
    expect(status).toBe(0);
    expect(parseJsonLines(stdout)[0]).toMatchObject({
      modelType: "llama",
      tokenizer: { hasChatTemplate: true },
    });
    expect(await readdir(folder.path)).toEqual([]);
    const weights = server.requests.filter(
      ({ method, path }) => method === "GET" && /safetensors$/.test(path),
    );
    expect(weights.every(({ range }) => range !== undefined)).toBe(true);
  });
});
