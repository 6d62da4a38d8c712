import { describe, expect, it } from "vitest";
import { InvalidModelError, UnsupportedError } from "../../errors.ts";
import { formatExportManifest, type ManifestContent, parseExportManifest } from "./manifest.ts";

const content: ManifestContent = {
  edgeinfinite: "1.2.3",
  model: { name: "m", modelType: "llama", digest: "00", dtype: "f32" },
  adapter: null,
  policy: "streaming",
  context: { sinkTokens: 0, windowTokens: 5, segmentTokens: 3, capacityTokens: 8 },
  sizes: {
    ...{ layerCount: 1, queryHeadCount: 2, keyValueHeadCount: 1, headSize: 4 },
    ...{ hiddenSize: 8, vocabularySize: 9 },
  },
  attention: {
    kinds: [{ inverseFrequencies: [1, 1 / 3], rotaryScale: 1, windowTokens: null }],
    layerKinds: [0],
    memoryLayers: [],
  },
  maskedValue: -1e30,
  tokens: { bos: null, eos: [1] },
  weights: { file: "weights.bin", sizeBytes: 0, sha256: "" },
  graphs: [
    {
      ...{ name: "decode-base", file: "decode-base.onnx", purpose: "decode", path: "base", tokenCount: 1 },
      opsets: { "": 17 },
      inputs: [{ name: "past_keys.0", dtype: "float32", shape: [1, 8, 4], role: "past-keys", layer: 0 }],
      outputs: [],
    },
  ],
  files: [],
  protocol: [],
  roles: {},
};

describe("an export's manifest", () => {
  it("is read as it was written, frequencies to the last bit", () => {
    const read = parseExportManifest("m", JSON.parse(formatExportManifest(content)));
    expect(read).toEqual({ format: "edgeinfinite-export", version: 1, ...content });
    expect(read.attention.kinds[0]?.inverseFrequencies[1]).toBe(1 / 3);
  });

  it.each<[string, unknown, RegExp]>([
    ["something else", { name: "x" }, /no manifest of an exported model/],
    ["no object", null, /no manifest of an exported model/],
  ])("is refused when it is %s", (_, json, message) => {
    expect(() => parseExportManifest("m", json)).toThrow(message);
    expect(() => parseExportManifest("m", json)).toThrow(InvalidModelError);
  });

  it("is refused in another version", () => {
    const json = { ...JSON.parse(formatExportManifest(content)), version: 2 };
    expect(() => parseExportManifest("m", json)).toThrow(UnsupportedError);
    expect(() => parseExportManifest("m", json)).toThrow(/got 2, expected 1/);
  });

  it("is refused with a field that does not fit, by its name", () => {
    const json = JSON.parse(formatExportManifest(content));
    json.graphs[0].inputs[0].role = "past-lives";
    expect(() => parseExportManifest("m", json)).toThrow(/field graphs\.0\.inputs\.0\.role/);
  });
});
