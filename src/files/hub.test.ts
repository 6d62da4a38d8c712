import { describe, expect, it } from "vitest";
import { fetchHubListing, hubFileUrl, isHubId, parseHubAddress, resolveHubFile } from "./hub.ts";
import { matchesPattern, selectModelFiles, shardsOfIndex } from "./hub-model-files.ts";

const sha = "a".repeat(40);

/** Answers every request with one response, and records what was asked. */
function answering(body: string, init: ResponseInit = {}) {
  const asked: string[] = [];
  const fetch = async (url: string) => {
    asked.push(url);
    return new Response(body === "" ? null : body, init);
  };
  return { asked, options: { fetch, retryDelayMs: 1 } };
}

describe("isHubId", () => {
  it("accepts names of the hub", () => {
    for (const id of ["org/name", "HuggingFaceTB/SmolLM2-135M-Instruct", "a/b", "01-ai/Yi-1.5_x"]) {
      expect(isHubId(id)).toBe(true);
    }
  });
  it.each([
    "name",
    "a/b/c",
    "../name",
    "org/..",
    "org/na..me",
    "org/-x",
    "org/a b",
    "/name",
    "org/",
    "a--b/c",
    "o/n?x",
  ])("refuses %j", async (id) => {
    expect(isHubId(id)).toBe(false);
    await expect(fetchHubListing(id)).rejects.toMatchObject({ code: "invalid-request" });
  });
});

describe("fetchHubListing", () => {
  it("asks for a revision by its whole name", async () => {
    const { asked, options } = answering(JSON.stringify({ sha, siblings: [{ rfilename: "a/b.json" }] }));
    const listing = await fetchHubListing("org/name", { ...options, revision: "refs/pr/1" });
    expect(listing).toMatchObject({ commit: sha, files: ["a/b.json"], hashes: new Map() });
    expect(asked).toEqual(["https://huggingface.co/api/models/org/name/revision/refs%2Fpr%2F1"]);
  });

  it("asks for the hashes of large files when they are wanted, and takes nothing else for one", async () => {
    const siblings = [
      { rfilename: "large", lfs: { sha256: "a".repeat(64), size: 9 } },
      { rfilename: "odd", lfs: { sha256: "nonsense" } },
      { rfilename: "small" },
    ];
    const { asked, options } = answering(JSON.stringify({ sha, siblings }));
    const { files, hashes } = await fetchHubListing("org/name", { ...options, hashes: true });
    expect(files).toEqual(["large", "odd", "small"]);
    expect([...hashes]).toEqual([["large", "a".repeat(64)]]);
    expect(asked).toEqual(["https://huggingface.co/api/models/org/name/revision/main?blobs=true"]);
  });

  it.each([
    ["text", "nonsense", /not JSON/],
    ["null", "null", /commit is malformed/],
    ["a commit that climbs out", { sha: "../x", siblings: [] }, /commit is malformed/],
    ["no list of files", { sha }, /list of files is malformed/],
    [
      "a file that climbs out",
      { sha, siblings: [{ rfilename: "../x" }] },
      /file's name is malformed, got "..\/x"/,
    ],
    ["a file without a name", { sha, siblings: [null] }, /file's name is malformed/],
  ])("refuses %s for an answer", async (_case, answer, message) => {
    const { options } = answering(typeof answer === "string" ? answer : JSON.stringify(answer));
    await expect(fetchHubListing("org/name", options)).rejects.toThrow(message);
  });

  it.each(["../x", "/x", "", "a\\b"])("refuses the revision %j", async (revision) => {
    await expect(fetchHubListing("org/name", { revision })).rejects.toMatchObject({
      code: "invalid-request",
    });
  });

  it("refuses an endpoint that is no URL", async () => {
    await expect(fetchHubListing("org/name", { endpoint: "hub" })).rejects.toThrow(/HF_ENDPOINT/);
  });

  it.each([
    [401, "", undefined, /private or gated, or does not exist.*HF_TOKEN/],
    [401, "", "bad", /token \(HF_TOKEN\) is not valid here/],
    [403, "GatedRepo", undefined, /gated: ask for access/],
    [403, "", "good", /gated: ask for access/],
    [404, "RevisionNotFound", undefined, /no such model or revision.*Check the revision/],
    [404, "", undefined, /org\/name@main: the hub has no such model/],
  ])("says what status %d %s means with token %s", async (status, code, token, message) => {
    const { asked, options } = answering("no", {
      status,
      headers: code === "" ? {} : { "x-error-code": code },
    });
    await expect(fetchHubListing("org/name", { ...options, token })).rejects.toThrow(message);
    expect(asked).toHaveLength(1);
  });
});

describe("resolveHubFile", () => {
  it("prefers the linked file's hash and size over the redirect's own", async () => {
    const headers = {
      location: "https://storage.example/x",
      "x-repo-commit": sha,
      "x-linked-etag": `"${"b".repeat(64)}"`,
      "x-linked-size": "123",
      etag: '"other"',
      "content-length": "9",
    };
    const { asked, options } = answering("", { status: 302, headers });
    expect(await resolveHubFile("org/name", "a b/c.safetensors", options)).toEqual({
      url: "https://huggingface.co/org/name/resolve/main/a%20b/c.safetensors",
      commit: sha,
      etag: "b".repeat(64),
      sizeBytes: 123,
    });
    expect(asked).toHaveLength(1);
  });

  it("reads a small file's hash and size, weak marks stripped", async () => {
    const { options } = answering("", { headers: { etag: `W/"${sha}"`, "x-repo-commit": sha } });
    expect(await resolveHubFile("org/name", "c.json", options)).toMatchObject({
      etag: sha,
      sizeBytes: undefined,
    });
  });

  it("refuses an etag that is missing or names another folder", async () => {
    await expect(resolveHubFile("org/name", "c", answering("").options)).rejects.toThrow(/etag is malformed/);
    const { options } = answering("", { headers: { etag: '"../../x"' } });
    await expect(resolveHubFile("org/name", "c", options)).rejects.toThrow(/etag is malformed/);
  });

  it("names repository, revision and file that the hub does not have", async () => {
    const { options } = answering("", { status: 404 });
    await expect(resolveHubFile("org/name", "c.json", { ...options, revision: "v1" })).rejects.toThrow(
      /^org\/name@v1\/c\.json: the hub has no such file/,
    );
  });

  it("stops following redirects in circles", async () => {
    const { options } = answering("", { status: 307, headers: { location: "/again" } });
    await expect(resolveHubFile("org/name", "c", options)).rejects.toThrow(/redirects in circles/);
  });

  it("sends the token to the hub's origin only", async () => {
    const seen: [string, string | null][] = [];
    const fetch = async (url: string, init: RequestInit) => {
      seen.push([new URL(url).host, new Headers(init.headers).get("authorization")]);
      return url.includes("elsewhere")
        ? new Response(null, { headers: { etag: '"x"' } })
        : new Response(null, {
            status: 302,
            headers: { location: url.includes("renamed") ? "https://elsewhere.example/x" : "/org/renamed" },
          });
    };
    await resolveHubFile("org/name", "c", { fetch, token: "secret" });
    expect(seen).toEqual([
      ["huggingface.co", "Bearer secret"],
      ["huggingface.co", "Bearer secret"],
      ["elsewhere.example", null],
    ]);
  });
});

describe("hubFileUrl", () => {
  it("escapes names and revisions", () => {
    expect(hubFileUrl("o/n", "a/b#c.json", "refs/pr/1", "http://h")).toBe(
      "http://h/o/n/resolve/refs%2Fpr%2F1/a/b%23c.json",
    );
  });
});

describe("parseHubAddress", () => {
  it("reads a repository, or a GGUF file of one", () => {
    expect(parseHubAddress("org/name")).toEqual({ id: "org/name" });
    expect(parseHubAddress("org/name/m-Q8_0.gguf")).toEqual({ id: "org/name", file: "m-Q8_0.gguf" });
    expect(parseHubAddress("org/name/sub/m.gguf")).toEqual({ id: "org/name", file: "sub/m.gguf" });
    for (const text of ["name", "org/name/m.bin", "org/name/../m.gguf", "./org/name/m.gguf"])
      expect(parseHubAddress(text)).toBeUndefined();
  });
});

describe("selectModelFiles", () => {
  const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

  it("takes small files first, and never PyTorch's own", () => {
    const listed = ["model.safetensors", "pytorch_model.bin", "README.md", "config.json", "tokenizer.json"];
    expect(selectModelFiles(listed)).toEqual(["config.json", "tokenizer.json", "model.safetensors"]);
    expect(selectModelFiles(listed, ["*"])).not.toContain("pytorch_model.bin");
  });

  it("takes the shards and their index only without a whole file", () => {
    const listed = [...shards, "config.json", "model.safetensors.index.json"];
    expect(selectModelFiles(listed)).toEqual(["config.json", "model.safetensors.index.json", ...shards]);
    expect(selectModelFiles([...listed, "model.safetensors"])).toEqual(["config.json", "model.safetensors"]);
  });

  it("takes the only GGUF model where there are no safetensors, with all its parts", () => {
    const parts = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"];
    expect(selectModelFiles(["config.json", ...parts])).toEqual(["config.json", ...parts]);
    expect(selectModelFiles(["m.gguf", "model.safetensors"])).toEqual(["model.safetensors"]);
    expect(selectModelFiles(["a.gguf", "b.gguf"])).toEqual([]);
  });

  it("takes an adapter", () => {
    const listed = ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"];
    expect(selectModelFiles(listed)).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  });

  it("matches patterns within one folder", () => {
    expect(matchesPattern("a.gguf", "*.gguf")).toBe(true);
    expect(matchesPattern("x/a.gguf", "*.gguf")).toBe(false);
    expect(matchesPattern("x/a.gguf", "x/*")).toBe(true);
    expect(matchesPattern("aXgguf", "a.gguf")).toBe(false);
  });

  it("finds an index's shards, skipping names that climb out", () => {
    expect(shardsOfIndex({ weight_map: { a: "x.safetensors", b: "../y.safetensors", c: 3 } })).toEqual([
      "x.safetensors",
    ]);
    for (const index of [null, 3, {}, { weight_map: null }]) expect(shardsOfIndex(index)).toEqual([]);
  });
});
