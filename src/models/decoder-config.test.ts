import { describe, expect, it } from "vitest";
import { InvalidModelError, UnsupportedError } from "../errors.ts";
import { kindOfLayer } from "../memory/geometry.ts";
import { tinyFamilies } from "../testing/tiny-families.ts";
import type { DecoderConfig } from "./decoder-config.ts";
import { loadModelFamily, modelTypes } from "./registry.ts";

const where = "model/config.json";

const needed = {
  model_type: "llama",
  hidden_size: 48,
  intermediate_size: 100,
  num_hidden_layers: 3,
  num_attention_heads: 6,
  vocab_size: 77,
  max_position_embeddings: 8192,
};

async function read(fields: Readonly<Record<string, unknown>> = {}): Promise<DecoderConfig> {
  const json = { ...needed, ...fields };
  return (await loadModelFamily(where, json)).readConfig(where, json);
}

function frequencies({ geometry }: DecoderConfig): Float64Array {
  return kindOfLayer(geometry, 0).inverseFrequencies;
}

describe("readDecoderConfig", () => {
  it("reads every field", async () => {
    const config = await read({
      num_key_value_heads: 2,
      head_dim: 10,
      rms_norm_eps: 1e-5,
      rope_theta: 1e32,
      tie_word_embeddings: true,
      attention_bias: true,
      mlp_bias: true,
      bos_token_id: 1,
      eos_token_id: [2, 5],
      unknown_field: { kept: "out" },
    });
    expect(config).toEqual({
      modelType: "llama",
      geometry: {
        layerCount: 3,
        queryHeadCount: 6,
        keyValueHeadCount: 2,
        headSize: 10,
        hiddenSize: 48,
        maxPositions: 8192,
        scoreScale: 1 / Math.sqrt(10),
        kinds: [
          {
            inverseFrequencies: Float64Array.from({ length: 5 }, (_, pair) => 1e32 ** (-pair / 5)),
            rotaryScale: 1,
            windowTokens: Number.POSITIVE_INFINITY,
          },
        ],
        layerKinds: [0, 0, 0],
        hasLearnedPositions: false,
      },
      vocabularySize: 77,
      mlpSize: 100,
      normEpsilon: 1e-5,
      tiedEmbeddings: true,
      hasQueryKeyValueBias: true,
      hasOutputBias: true,
      hasMlpBias: true,
      queryKeyNorm: "none",
      activation: "silu",
      normOffset: 0,
      hasEmbeddingNorm: false,
      hasParallelResidual: false,
      embeddingScale: 1,
      residualScale: 1,
      logitScale: 1,
      logitBound: Number.POSITIVE_INFINITY,
      bosTokenId: 1,
      eosTokenIds: [2, 5],
    });
  });

  it("has Hugging Face's defaults for what is absent, and the same for null", async () => {
    const config = await read();
    expect(config).toMatchObject({
      normEpsilon: 1e-6,
      tiedEmbeddings: false,
      hasQueryKeyValueBias: false,
      hasOutputBias: false,
      hasMlpBias: false,
      bosTokenId: undefined,
      eosTokenIds: [],
    });
    expect(config.geometry).toMatchObject({ keyValueHeadCount: 6, headSize: 8 });
    expect(frequencies(config)[1]).toBeCloseTo(10_000 ** (-1 / 4), 15);
    const nullable = [
      "num_key_value_heads",
      "head_dim",
      "rope_theta",
      "rope_scaling",
      "rope_parameters",
      "partial_rotary_factor",
      "rope_interleaved",
      "tie_word_embeddings",
      "attention_bias",
      "mlp_bias",
      "sliding_window",
      "use_sliding_window",
      "bos_token_id",
      "eos_token_id",
      "quantization_config",
    ];
    expect(await read(Object.fromEntries(nullable.map((field) => [field, null])))).toEqual(config);
  });

  it("takes one end-of-text token or several", async () => {
    expect((await read({ eos_token_id: 0 })).eosTokenIds).toEqual([0]);
    expect((await read({ eos_token_id: [] })).eosTokenIds).toEqual([]);
    expect((await read({ eos_token_id: [7, 8, 9] })).eosTokenIds).toEqual([7, 8, 9]);
  });

  it("reads rotary embedding from rope_parameters, as newer checkpoints have it", async () => {
    const rope = { rope_type: "linear", factor: 2, rope_theta: 500 };
    const config = await read({ rope_parameters: rope });
    expect(frequencies(config)[1]).toBeCloseTo(500 ** (-1 / 4) / 2, 15);
    const old = await read({ rope_scaling: { type: "linear", factor: 2 }, rope_theta: 500 });
    expect(frequencies(old)).toEqual(frequencies(config));
  });

  it.each(Object.keys(needed).slice(1))("names the field %s when it is missing", async (field) => {
    await expect(read({ [field]: undefined })).rejects.toThrow(InvalidModelError);
    await expect(read({ [field]: undefined })).rejects.toThrow(`model/config.json: field ${field}: `);
  });

  it.each([
    ["hidden_size", "48"],
    ["hidden_size", 0],
    ["num_hidden_layers", 2.5],
    ["num_hidden_layers", 1e9],
    ["num_attention_heads", -6],
    ["vocab_size", Number.NaN],
    ["vocab_size", 2e9],
    ["rms_norm_eps", 0],
    ["rope_theta", -1],
    ["tie_word_embeddings", "yes"],
    ["sliding_window", 0],
    ["bos_token_id", -1],
    ["eos_token_id", "</s>"],
  ])("refuses %s of %o, naming it", async (field, value) => {
    await expect(read({ [field]: value })).rejects.toThrow(InvalidModelError);
    await expect(read({ [field]: value })).rejects.toThrow(`field ${field}: `);
  });

  it("names a field within another", async () => {
    await expect(read({ rope_scaling: { type: "linear", factor: "8" } })).rejects.toThrow(
      "field rope_scaling.factor: ",
    );
    await expect(read({ eos_token_id: [1, -2] })).rejects.toThrow("field eos_token_id");
  });

  it.each([
    ["hidden_act", "gelu"],
    ["partial_rotary_factor", 0.5],
    ["rope_parameters.partial_rotary_factor", 0.5],
    ["rope_interleaved", true],
    ["quantization_config", { quant_method: "gptq" }],
  ])("refuses %s of %o as a setting that is not run", async (field, value) => {
    const [outer = "", inner] = field.split(".");
    const fields = { [outer]: inner === undefined ? value : { [inner]: value } };
    await expect(read(fields)).rejects.toThrow(UnsupportedError);
    await expect(read(fields)).rejects.toThrow(`this version does not run ${field}`);
  });

  it("refuses heads that form no whole groups, or have an odd or broken width", async () => {
    await expect(read({ num_key_value_heads: 4 })).rejects.toThrow(
      "num_attention_heads is no multiple of num_key_value_heads",
    );
    for (const fields of [{ head_dim: 7 }, { hidden_size: 50 }, { hidden_size: 54 }]) {
      await expect(read(fields)).rejects.toThrow("the head width is not an even whole number");
    }
  });
});

describe("families", () => {
  it("qwen2 has biases on queries, keys and values alone, whatever attention_bias says", async () => {
    for (const attention_bias of [true, false, undefined]) {
      expect(await read({ model_type: "qwen2", attention_bias })).toMatchObject({
        hasQueryKeyValueBias: true,
        hasOutputBias: false,
        queryKeyNorm: "none",
      });
    }
  });

  it("mistral has no biases", async () => {
    expect(await read({ model_type: "mistral", attention_bias: true })).toMatchObject({
      hasQueryKeyValueBias: false,
      hasOutputBias: false,
    });
  });

  it("qwen3 normalises queries and keys, and has the biases that attention_bias says", async () => {
    expect(await read({ model_type: "qwen3" })).toMatchObject({
      queryKeyNorm: "head",
      hasQueryKeyValueBias: false,
    });
    expect(await read({ model_type: "qwen3", attention_bias: true })).toMatchObject({
      hasQueryKeyValueBias: true,
      hasOutputBias: true,
    });
  });

  it.each([
    ["llama", { sliding_window: 100 }, 8192],
    ["mistral", {}, 4096],
    ["mistral", { sliding_window: null }, 8192],
    ["mistral", { sliding_window: 100 }, 100],
    ["mistral", { sliding_window: 10_000 }, 8192],
    ["qwen2", { sliding_window: 100 }, 8192],
    ["qwen2", { sliding_window: 100, use_sliding_window: false }, 8192],
    ["qwen2", { sliding_window: 100, use_sliding_window: true }, 100],
    ["qwen2", { sliding_window: null, use_sliding_window: true }, 8192],
    ["qwen3", { sliding_window: 100 }, 8192],
    ["qwen3", { sliding_window: 100, use_sliding_window: true }, 100],
  ])("%s with %o is exact within %i positions", async (model_type, fields, expected) => {
    expect((await read({ model_type, ...fields })).geometry.maxPositions).toBe(expected);
  });
});

describe("loadModelFamily", () => {
  it("finds every type that is listed", async () => {
    expect(modelTypes).toEqual(Object.keys(tinyFamilies));
    for (const type of modelTypes) {
      expect((await loadModelFamily(where, { model_type: type })).modelType).toBe(type);
    }
  });

  it.each(["gpt1", "Llama", "", "toString", "__proto__"])("refuses model_type %o by name", async (type) => {
    const failure = loadModelFamily(where, { model_type: type });
    await expect(failure).rejects.toThrow(UnsupportedError);
    await expect(failure).rejects.toThrow(
      `model/config.json: this version does not run model_type, got "${type}", expected ${modelTypes.join(", ")}.`,
    );
  });

  it.each([[{}], [null], [[]], ["llama"], [{ model_type: 3 }], [{ model_type: null }]])(
    "says that %o names no model_type",
    async (json) => {
      const failure = loadModelFamily(where, json);
      await expect(failure).rejects.toThrow(InvalidModelError);
      await expect(failure).rejects.toThrow("model/config.json: field model_type is missing");
    },
  );
});
