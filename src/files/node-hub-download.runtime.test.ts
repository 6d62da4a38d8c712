import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type HubRepository,
  type HubServer,
  hubEtag,
  sameBytes,
  startHubServer,
} from "../../test/support/hub-server.ts";
import { openHubFolder } from "./hub-folder.ts";
import { type DownloadProgress, downloadHubModel, type HubDownloadOptions } from "./node-hub-download.ts";
import { openNodeModelFolder } from "./node-model-folder.ts";

const commit = "0123456789abcdef0123456789abcdef01234567";
const weights = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 31) % 256);
const id = "org/model";
const repository: HubRepository = {
  commit,
  files: {
    "config.json": "{}",
    "README.md": "readme",
    "model.safetensors": weights,
    "pytorch_model.bin": "no",
  },
  large: ["model.safetensors"],
};
const weightsEtag = hubEtag(weights, true);

let folder = "";
let server: HubServer;
let options: HubDownloadOptions;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hub-download-"));
  await start({ [id]: repository });
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

async function start(repositories: Record<string, HubRepository>, token?: string): Promise<void> {
  await server?.close();
  server = await startHubServer(repositories, token);
  options = { endpoint: server.endpoint, cacheDir: folder, environment: {}, retryDelayMs: 1, retryLimit: 2 };
}

const repositoryDir = (): string => join(folder, "models--org--model");
const blob = (etag: string): string => join(repositoryDir(), "blobs", etag);
const requestsOf = (method: string, end: string) =>
  server.requests.filter((request) => request.method === method && request.path.endsWith(end));

async function put(path: string, content: Uint8Array | string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

describe("downloadHubModel", () => {
  it("lays the files of a model out as Hugging Face's tools do", async () => {
    const snapshot = await downloadHubModel(id, options);
    expect(snapshot).toBe(join(repositoryDir(), "snapshots", commit));
    expect((await readdir(snapshot)).sort()).toEqual(["config.json", "model.safetensors"]);
    expect(sameBytes(await readFile(join(snapshot, "model.safetensors")), weights)).toBe(true);
    expect(await readlink(join(snapshot, "model.safetensors"))).toBe(`../../blobs/${weightsEtag}`);
    expect(await readlink(join(snapshot, "config.json"))).toBe(`../../blobs/${hubEtag("{}", false)}`);
    expect(await readFile(join(repositoryDir(), "refs", "main"), "utf8")).toBe(commit);
    expect(await readdir(join(repositoryDir(), "blobs"))).toHaveLength(2);
    expect(await readdir(join(folder, ".locks", "models--org--model"))).toEqual([]);
  });

  it("tells the progress of each file up to its length", async () => {
    const seen = new Map<string, DownloadProgress[]>();
    const onProgress = (progress: DownloadProgress) => {
      seen.set(progress.file, [...(seen.get(progress.file) ?? []), progress]);
    };
    await downloadHubModel(id, { ...options, onProgress });
    expect([...seen.keys()]).toEqual(["config.json", "model.safetensors"]);
    const counts = seen.get("model.safetensors")?.map(({ receivedBytes }) => receivedBytes) ?? [];
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
    expect(seen.get("model.safetensors")?.at(-1)).toMatchObject({
      receivedBytes: 300_000,
      totalBytes: 300_000,
    });
  });

  it("fetches nothing twice", async () => {
    await downloadHubModel(id, options);
    server.requests.length = 0;
    await downloadHubModel(id, options);
    expect(server.requests.map(({ path }) => path)).toEqual(["/api/models/org/model/revision/main"]);
    server.requests.length = 0;
    await downloadHubModel(id, { ...options, revision: commit });
    expect(server.requests).toEqual([]);
  });

  it("goes on in the same file when the connection drops, several times", async () => {
    server.fault({
      path: "model.safetensors",
      origin: "storage",
      kind: "drop",
      afterBytes: 70_000,
      times: 4,
    });
    server.requests.length = 0;
    const snapshot = await downloadHubModel(id, options);
    expect(sameBytes(await readFile(join(snapshot, "model.safetensors")), weights)).toBe(true);
    const ranges = requestsOf("GET", "model.safetensors").map(({ range }) => range);
    expect(ranges.some((range) => /^bytes=[1-9]\d*-$/.test(range ?? ""))).toBe(true);
  });

  it("resumes the bytes of an earlier run, and starts over when they are too many", async () => {
    await put(`${blob(weightsEtag)}.incomplete`, weights.subarray(0, 123_456));
    await downloadHubModel(id, options);
    expect(requestsOf("GET", "model.safetensors").at(-1)?.range).toBe("bytes=123456-");
    expect(sameBytes(await readFile(blob(weightsEtag)), weights)).toBe(true);
    await rm(repositoryDir(), { recursive: true });
    await put(`${blob(weightsEtag)}.incomplete`, new Uint8Array(300_001));
    await downloadHubModel(id, options);
    expect(sameBytes(await readFile(blob(weightsEtag)), weights)).toBe(true);
  });

  it("starts over when the server ignores the range", async () => {
    await put(`${blob(weightsEtag)}.incomplete`, weights.subarray(0, 1000));
    server.fault({ path: "model.safetensors", origin: "storage", kind: "ignore-range" });
    await downloadHubModel(id, options);
    expect(sameBytes(await readFile(blob(weightsEtag)), weights)).toBe(true);
  });

  it("removes a partial file whose beginning was wrong, and succeeds from nothing", async () => {
    await put(`${blob(weightsEtag)}.incomplete`, new Uint8Array(1000).fill(1));
    await downloadHubModel(id, options);
    expect(sameBytes(await readFile(blob(weightsEtag)), weights)).toBe(true);
  });

  it("tells both hashes when the content is wrong twice, and keeps none of it", async () => {
    for (const [file, etag] of [
      ["model.safetensors", weightsEtag],
      ["config.json", hubEtag("{}", false)],
    ] as const) {
      const origin = file === "config.json" ? "hub" : "storage";
      server.fault({ path: file, method: "GET", origin, kind: "wrong-bytes", times: 2 });
      const wrong = file === "config.json" ? Buffer.from("{}") : Buffer.from(weights);
      const wrongEtag = hubEtag(
        wrong.map((byte) => byte ^ 0xff),
        file !== "config.json",
      );
      await expect(downloadHubModel(id, { ...options, files: [file] })).rejects.toThrow(
        new RegExp(`${file}: the content's .* is wrong, twice, got "${wrongEtag}", expected ${etag}`),
      );
      expect(await readdir(join(repositoryDir(), "blobs"))).toEqual([]);
      await start({ [id]: repository });
    }
  });

  it("refuses more bytes than the server announced", async () => {
    server.fault({ path: "model.safetensors", origin: "storage", kind: "extra-bytes", times: 2 });
    await expect(downloadHubModel(id, options)).rejects.toThrow(/more bytes than it announced.*300000/);
  });

  it("keeps the partial file on abort, and goes on from it", async () => {
    const controller = new AbortController();
    server.fault({ path: "model.safetensors", origin: "storage", kind: "stall", afterBytes: 100_000 });
    const onProgress = ({ receivedBytes }: DownloadProgress) => {
      if (receivedBytes >= 100_000) controller.abort(new Error("stop"));
    };
    const download = downloadHubModel(id, { ...options, onProgress, signal: controller.signal });
    await expect(download).rejects.toThrow("stop");
    expect((await lstat(`${blob(weightsEtag)}.incomplete`)).size).toBe(100_000);
    expect(await readdir(join(folder, ".locks", "models--org--model"))).toEqual([]);
    await downloadHubModel(id, options);
    expect(requestsOf("GET", "model.safetensors").at(-1)?.range).toBe("bytes=100000-");
    expect(sameBytes(await readFile(blob(weightsEtag)), weights)).toBe(true);
  });

  it("downloads once when two ask at the same time", async () => {
    const other = { ...repository, commit: "f".repeat(40) };
    await start({ [id]: repository, "org/other": other });
    const snapshots = await Promise.all([downloadHubModel(id, options), downloadHubModel(id, options)]);
    expect(snapshots[0]).toBe(snapshots[1]);
    expect(sameBytes(await readFile(blob(weightsEtag)), weights)).toBe(true);
    expect(requestsOf("GET", "model.safetensors").filter(({ origin }) => origin === "storage")).toHaveLength(
      1,
    );
  });

  it("leaves a partial file alone to which another tool may be writing", async () => {
    await put(`${blob(weightsEtag)}.incomplete`, "theirs");
    await put(join(folder, ".locks", "models--org--model", `${weightsEtag}.lock`), "");
    await downloadHubModel(id, options);
    expect(await readFile(`${blob(weightsEtag)}.incomplete`, "utf8")).toBe("theirs");
    expect(sameBytes(await readFile(blob(weightsEtag)), weights)).toBe(true);
  });

  it("says that the disk is full", async () => {
    await mkdir(join(repositoryDir(), "blobs"), { recursive: true });
    await symlink("/dev/full", `${blob(weightsEtag)}.incomplete`);
    await expect(downloadHubModel(id, options)).rejects.toMatchObject({
      code: "file",
      message: expect.stringMatching(/a full disk \(ENOSPC\).*Free some space/),
    });
  });

  it("sends the token to the hub, and never to another host", async () => {
    await start({ [id]: repository }, "secret");
    await expect(downloadHubModel(id, options)).rejects.toThrow(/org\/model@main.*HF_TOKEN/);
    await downloadHubModel(id, { ...options, environment: { HF_TOKEN: "secret" } });
    const web = openHubFolder(id, { ...options, token: "secret" });
    const source = await web.open("model.safetensors");
    expect(await source.read(1, 3)).toEqual(weights.subarray(1, 4));
    const authorizations = (origin: string) =>
      new Set(
        server.requests.filter((seen) => seen.origin === origin).map(({ authorization }) => authorization),
      );
    expect(authorizations("storage")).toEqual(new Set([undefined]));
    expect(authorizations("hub")).toEqual(new Set([undefined, "Bearer secret"]));
  });

  it("downloads the shards that the index names, and only the files asked for", async () => {
    const index = { weight_map: { a: "part-a.safetensors", b: "model-00001-of-00001.safetensors" } };
    const files = {
      "config.json": "{}",
      "model.safetensors.index.json": JSON.stringify(index),
      "part-a.safetensors": "a",
      "model-00001-of-00001.safetensors": "b",
      "unrelated.safetensors": "c",
      "q.gguf": "d",
    };
    await start({ [id]: { commit, files, revisions: ["main", "refs/pr/7"] } });
    const ggufOnly = await downloadHubModel(id, { ...options, files: ["*.gguf"] });
    expect(await readdir(ggufOnly)).toEqual(["q.gguf"]);
    const snapshot = await downloadHubModel(id, { ...options, revision: "refs/pr/7" });
    expect((await readdir(snapshot)).sort()).toEqual([
      "config.json",
      "model-00001-of-00001.safetensors",
      "model.safetensors.index.json",
      "part-a.safetensors",
      "q.gguf",
    ]);
    expect(await readFile(join(repositoryDir(), "refs", "refs", "pr", "7"), "utf8")).toBe(commit);
  });

  it("downloads a GGUF model alone, by its file or as the only one, and finds it offline", async () => {
    const one = { commit, files: { "README.md": "readme", "m-Q8_0.gguf": weights }, large: ["m-Q8_0.gguf"] };
    const several = { ...one, files: { ...one.files, "m-Q4_0.gguf": weights, "config.json": "{}" } };
    await start({ "org/one": one, "org/several": several });
    for (const model of ["org/one", "org/several/m-Q8_0.gguf"]) {
      const opened = await openNodeModelFolder(model, options);
      expect(await readdir(opened.path ?? "")).toEqual(["m-Q8_0.gguf"]);
      expect(opened.file).toBe(model === "org/one" ? undefined : "m-Q8_0.gguf");
      const again = await openNodeModelFolder(model, { ...options, offline: true });
      expect([again.path, await again.list()]).toEqual([opened.path, ["m-Q8_0.gguf"]]);
    }
    await expect(openNodeModelFolder("org/several", options)).rejects.toMatchObject({
      code: "invalid-request",
      message: expect.stringContaining('several GGUF models, got ["m-Q4_0.gguf", "m-Q8_0.gguf"]'),
    });
    await expect(openNodeModelFolder("org/several/none.gguf", options)).rejects.toThrow(/expected none.gguf/);
  });

  it("refuses a repository without any file of a model", async () => {
    await start({ [id]: { commit, files: { "README.md": "" } } });
    await expect(downloadHubModel(id, options)).rejects.toThrow(
      /none of the files of a model, got \["README.md"\]/,
    );
  });
});

describe("the hub cache", () => {
  async function fillCache(files: Record<string, Uint8Array | string>): Promise<string> {
    const snapshot = join(repositoryDir(), "snapshots", commit);
    for (const [name, content] of Object.entries(files)) {
      await put(blob(`blob-${name}`), content);
      await mkdir(snapshot, { recursive: true });
      await symlink(`../../blobs/blob-${name}`, join(snapshot, name));
    }
    await put(join(repositoryDir(), "refs", "main"), commit);
    return snapshot;
  }

  it("serves what another tool downloaded, with the network off or out of reach", async () => {
    const snapshot = await fillCache({ "config.json": "{}", "model.safetensors": weights });
    const fetch = () => Promise.reject(new TypeError("fetch failed"));
    expect(await downloadHubModel(id, { ...options, fetch, offline: true })).toBe(snapshot);
    const environment = { HF_HUB_OFFLINE: "1", HF_HUB_CACHE: folder };
    expect(await downloadHubModel(id, { fetch, environment })).toBe(snapshot);
    expect(await downloadHubModel(id, { ...options, fetch })).toBe(snapshot);
    expect(await downloadHubModel(id, { ...options, fetch, revision: commit })).toBe(snapshot);
    const model = await openNodeModelFolder(id, { ...options, fetch });
    const source = await model.open("model.safetensors");
    expect(source.path).toBe(await realpath(blob("blob-model.safetensors")));
    await source.close();
  });

  it("says what an incomplete snapshot lacks", async () => {
    await fillCache({ "config.json": "{}" });
    await expect(downloadHubModel(id, { ...options, offline: true })).rejects.toThrow(
      /not complete in the hub cache.*got "a snapshot without model\.safetensors".*HF_HUB_OFFLINE/,
    );
    const index = { weight_map: { a: "model-1.safetensors" } };
    await fillCache({ "model.safetensors.index.json": JSON.stringify(index) });
    await expect(downloadHubModel(id, { ...options, offline: true })).rejects.toThrow(
      /without model-1\.safetensors/,
    );
    await expect(downloadHubModel(id, { ...options, offline: true, files: ["*.gguf"] })).rejects.toThrow(
      /without \*\.gguf/,
    );
  });

  it("completes it when the network is on", async () => {
    const snapshot = await fillCache({ "config.json": "{}" });
    expect(await downloadHubModel(id, options)).toBe(snapshot);
    expect((await readdir(snapshot)).sort()).toEqual(["config.json", "model.safetensors"]);
    expect(await readlink(join(snapshot, "config.json"))).toBe("../../blobs/blob-config.json");
  });

  it("does not hide a refusal behind what is cached", async () => {
    await fillCache({ "config.json": "{}", "model.safetensors": weights });
    await start({ [id]: repository }, "secret");
    await expect(downloadHubModel(id, options)).rejects.toThrow(/the hub refuses access/);
  });
});
