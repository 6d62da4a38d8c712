/**
 * Holds each family's reading of `config.json` to Hugging Face's: what fields mean, what their absence means, and
 * what is refused by name.
 */

import { describe, expect, it } from "vitest";
import { InvalidModelError, UnsupportedError } from "../errors.ts";
import { kindOfLayer } from "../memory/geometry.ts";
import type { DecoderConfig } from "./decoder-config.ts";
import { loadModelFamily } from "./registry.ts";

const where = "model/config.json";

type Fields = Readonly<Record<string, unknown>>;

const sizes: Fields = {
  hidden_size: 48,
  intermediate_size: 100,
  num_hidden_layers: 6,
  num_attention_heads: 6,
  vocab_size: 77,
  max_position_embeddings: 8192,
};

async function read(model_type: string, fields: Fields = {}): Promise<DecoderConfig> {
  const json = { ...sizes, model_type, ...fields };
  return (await loadModelFamily(where, json)).readConfig(where, json);
}

/** Returns the angle of each layer's second pair, undefined where nothing is rotated. */
function secondFrequencies({ geometry }: DecoderConfig): (number | undefined)[] {
  return geometry.layerKinds.map((_, layer) => kindOfLayer(geometry, layer).inverseFrequencies[1]);
}

function windows({ geometry }: DecoderConfig): number[] {
  return geometry.layerKinds.map((_, layer) => kindOfLayer(geometry, layer).windowTokens);
}

const all = Number.POSITIVE_INFINITY;

async function expectRefusal(
  reading: Promise<unknown>,
  kind: typeof UnsupportedError | typeof InvalidModelError,
  what: string,
) {
  await expect(reading).rejects.toThrow(kind);
  await expect(reading).rejects.toThrow(`${where}: ${what}`);
}

describe("smollm3", () => {
  it("leaves every fourth layer without rotation, ties embeddings and has a base of 2 million by default", async () => {
    const config = await read("smollm3");
    const frequency = 2_000_000 ** (-1 / 4);
    expect(secondFrequencies(config)).toEqual([
      frequency,
      frequency,
      frequency,
      undefined,
      frequency,
      frequency,
    ]);
    expect(config).toMatchObject({ tiedEmbeddings: true, normEpsilon: 1e-6, hasQueryKeyValueBias: false });
    expect((await read("smollm3", { tie_word_embeddings: false })).tiedEmbeddings).toBe(false);
  });

  it("takes the layers from no_rope_layers, or their distance from no_rope_layer_interval", async () => {
    const rotated = async (fields: Fields): Promise<boolean[]> =>
      secondFrequencies(await read("smollm3", fields)).map((frequency) => frequency !== undefined);
    expect(await rotated({ no_rope_layers: [0, 1, 1, 0, 0, 1] })).toEqual([
      false,
      true,
      true,
      false,
      false,
      true,
    ]);
    expect(await rotated({ no_rope_layers: null, no_rope_layer_interval: 3 })).toEqual([
      true,
      true,
      false,
      true,
      true,
      false,
    ]);
  });

  it("refuses too few layers and a sliding window", async () => {
    await expectRefusal(
      read("smollm3", { no_rope_layers: [1, 0] }),
      InvalidModelError,
      "field no_rope_layers does not fit, got",
    );
    await expectRefusal(
      read("smollm3", { no_rope_layers: [2] }),
      InvalidModelError,
      "field no_rope_layers.0",
    );
    const sliding = { use_sliding_window: true, sliding_window: 100 };
    await expectRefusal(
      read("smollm3", sliding),
      UnsupportedError,
      "this version does not run use_sliding_window",
    );
    expect(windows(await read("smollm3", { ...sliding, use_sliding_window: false }))[0]).toBe(all);
  });
});

describe("olmo2", () => {
  it("normalises queries and keys as whole vectors, with an epsilon of 1e-5 by default", async () => {
    expect(await read("olmo2")).toMatchObject({
      queryKeyNorm: "projection",
      normEpsilon: 1e-5,
      tiedEmbeddings: false,
    });
    expect(await read("olmo2", { attention_bias: true })).toMatchObject({
      hasQueryKeyValueBias: true,
      hasOutputBias: true,
      hasMlpBias: false,
    });
  });
});

describe("granite", () => {
  it("has factors of 1 by default, of which the one on scores replaces 1/sqrt(D)", async () => {
    const config = await read("granite");
    expect(config).toMatchObject({ embeddingScale: 1, residualScale: 1, logitScale: 1 });
    expect(config.geometry.scoreScale).toBe(1);
  });

  it("divides logits by logits_scaling, and multiplies by the others", async () => {
    const config = await read("granite", {
      embedding_multiplier: 12,
      attention_multiplier: 0.015625,
      residual_multiplier: 0.22,
      logits_scaling: 8,
    });
    expect(config).toMatchObject({ embeddingScale: 12, residualScale: 0.22, logitScale: 1 / 8 });
    expect(config.geometry.scoreScale).toBe(0.015625);
  });

  it.each(["embedding_multiplier", "attention_multiplier", "residual_multiplier", "logits_scaling"])(
    "refuses a %s of 0",
    async (field) => {
      await expectRefusal(read("granite", { [field]: 0 }), InvalidModelError, `field ${field}: `);
    },
  );
});

describe("phi3", () => {
  const scaling = { type: "longrope", short_factor: [1, 2, 4, 8], long_factor: [9, 9, 9, 9] };

  it("has plain rotation and an epsilon of 1e-5 by default", async () => {
    const config = await read("phi3");
    expect(config).toMatchObject({ normEpsilon: 1e-5, hasQueryKeyValueBias: false, hasMlpBias: false });
    expect(config.geometry).toMatchObject({ maxPositions: 8192 });
    expect(secondFrequencies(config)[0]).toBeCloseTo(10_000 ** (-1 / 4), 15);
  });

  it("rotates by the short factors, within the original length alone", async () => {
    const fields = { rope_scaling: scaling, original_max_position_embeddings: 2048 };
    for (const type of ["longrope", "su"]) {
      const { geometry } = await read("phi3", { ...fields, rope_scaling: { ...scaling, type } });
      expect(geometry.maxPositions).toBe(2048);
      expect(kindOfLayer(geometry, 0).inverseFrequencies[1]).toBeCloseTo(10_000 ** (-1 / 4) / 2, 15);
      expect(kindOfLayer(geometry, 0).rotaryScale).toBeCloseTo(
        Math.sqrt(1 + Math.log(4) / Math.log(2048)),
        14,
      );
    }
  });

  it("has an original length of 4096 by default", async () => {
    const { geometry } = await read("phi3", { rope_scaling: scaling });
    expect(geometry.maxPositions).toBe(4096);
  });

  it("rotates a part of each head, from either place of the field", async () => {
    for (const fields of [
      { partial_rotary_factor: 0.5 },
      { rope_parameters: { rope_type: "default", partial_rotary_factor: 0.5 } },
    ]) {
      const { geometry } = await read("phi3", fields);
      expect([...kindOfLayer(geometry, 0).inverseFrequencies]).toEqual([1, 10_000 ** (-1 / 2)]);
    }
    for (const part of [0.2, 0.4, 2, 0]) {
      await expectRefusal(
        read("phi3", { partial_rotary_factor: part }),
        InvalidModelError,
        "the rotated part of a head is not an even whole number",
      );
    }
  });

  it("is exact within its sliding window", async () => {
    expect((await read("phi3", { sliding_window: 2047 })).geometry.maxPositions).toBe(2047);
    expect((await read("phi3", { sliding_window: 262_144 })).geometry.maxPositions).toBe(8192);
  });
});

describe("gemma3_text", () => {
  it("has Hugging Face's defaults for what is absent", async () => {
    const config = await read("gemma3_text", { num_attention_heads: 8 });
    expect(config).toMatchObject({
      activation: "gelu-tanh",
      normOffset: 1,
      tiedEmbeddings: true,
      queryKeyNorm: "head",
      normEpsilon: 1e-6,
      logitBound: all,
    });
    expect(config.embeddingScale).toBeCloseTo(Math.sqrt(48), 14);
    expect(config.geometry).toMatchObject({ headSize: 256, keyValueHeadCount: 4, scoreScale: 1 / 16 });
    expect(windows(config)).toEqual([4096, 4096, 4096, 4096, 4096, all]);
    const [local, global] = [10_000 ** (-1 / 128), 1e6 ** (-1 / 128)];
    const expected = [local, local, local, local, local, global];
    secondFrequencies(config).forEach((frequency, layer) => {
      expect(frequency).toBeCloseTo(expected[layer] ?? Number.NaN, 14);
    });
  });

  const own = { num_key_value_heads: 2, head_dim: 8 };

  it("takes the layers from layer_types, or their distance from sliding_window_pattern", async () => {
    const types = ["full_attention", "sliding_attention"];
    const layer_types = [0, 1, 1, 0, 1, 0].map((type) => types[type]);
    const told = await read("gemma3_text", { ...own, layer_types, sliding_window: 512 });
    expect(windows(told)).toEqual([all, 512, 512, all, 512, all]);
    const patterned = await read("gemma3_text", { ...own, sliding_window_pattern: 2, sliding_window: 512 });
    expect(windows(patterned)).toEqual([512, all, 512, all, 512, all]);
  });

  it("stretches the rotation of global layers alone, from either form of the fields", async () => {
    const old = await read("gemma3_text", {
      ...own,
      rope_theta: 1e6,
      rope_local_base_freq: 1e4,
      rope_scaling: { rope_type: "linear", factor: 8 },
    });
    expect(secondFrequencies(old)[0]).toBeCloseTo(1e4 ** (-1 / 4), 14);
    expect(secondFrequencies(old)[5]).toBeCloseTo(1e6 ** (-1 / 4) / 8, 14);
    const rope_parameters = {
      full_attention: { rope_type: "linear", factor: 8, rope_theta: 1e6 },
      sliding_attention: { rope_type: "default", rope_theta: 1e4 },
    };
    expect((await read("gemma3_text", { ...own, rope_parameters })).geometry).toEqual(old.geometry);
  });

  it("scales scores by query_pre_attn_scalar and bounds logits by final_logit_softcapping", async () => {
    const config = await read("gemma3_text", {
      ...own,
      query_pre_attn_scalar: 64,
      final_logit_softcapping: 30,
    });
    expect(config.geometry.scoreScale).toBe(1 / 8);
    expect(config.logitBound).toBe(30);
  });

  it("refuses what it does not run, by name", async () => {
    const refused: readonly (readonly [string, unknown])[] = [
      ["attn_logit_softcapping", 50],
      ["use_bidirectional_attention", true],
      ["hidden_activation", "relu"],
    ];
    for (const [field, value] of refused) {
      const reading = read("gemma3_text", { ...own, [field]: value });
      await expectRefusal(reading, UnsupportedError, `this version does not run ${field}`);
    }
    await expectRefusal(
      read("gemma3_text", { ...own, layer_types: ["full_attention"] }),
      InvalidModelError,
      "field layer_types does not fit",
    );
    await expectRefusal(
      read("gemma3_text", { ...own, layer_types: new Array(6).fill("chunked_attention") }),
      InvalidModelError,
      "field layer_types.0",
    );
  });
});

describe("gpt_neox", () => {
  it("has Hugging Face's defaults for what is absent", async () => {
    const config = await read("gpt_neox", { head_dim: 16 });
    expect(config).toMatchObject({
      activation: "gelu",
      normEpsilon: 1e-5,
      tiedEmbeddings: false,
      hasParallelResidual: true,
      hasQueryKeyValueBias: true,
      hasOutputBias: true,
      hasMlpBias: true,
    });
    // A quarter of 16 elements: two pairs.
    expect([...kindOfLayer(config.geometry, 0).inverseFrequencies]).toEqual([1, 1 / 100]);
    expect(config.geometry.keyValueHeadCount).toBe(6);
  });

  it("reads the fields by their own names", async () => {
    const config = await read("gpt_neox", {
      rotary_pct: 1,
      rotary_emb_base: 500,
      layer_norm_eps: 1e-3,
      use_parallel_residual: false,
      attention_bias: false,
      hidden_act: "gelu_new",
    });
    expect(config).toMatchObject({
      activation: "gelu-tanh",
      normEpsilon: 1e-3,
      hasParallelResidual: false,
      hasQueryKeyValueBias: false,
      hasOutputBias: false,
      hasMlpBias: true,
    });
    expect(secondFrequencies(config)[0]).toBeCloseTo(500 ** (-1 / 4), 15);
    await expectRefusal(
      read("gpt_neox", { rotary_pct: 1, layer_norm_eps: 0 }),
      InvalidModelError,
      "field layer_norm_eps: ",
    );
  });

  it("refuses another activation by name", async () => {
    await expectRefusal(
      read("gpt_neox", { rotary_pct: 1, hidden_act: "relu" }),
      UnsupportedError,
      "this version does not run hidden_act",
    );
  });
});

describe("BlueLM", () => {
  it("normalises embeddings unless told otherwise", async () => {
    expect(await read("BlueLM")).toMatchObject({
      hasEmbeddingNorm: true,
      normEpsilon: 1e-6,
      tiedEmbeddings: false,
    });
    expect((await read("BlueLM", { use_stable_embedding: false })).hasEmbeddingNorm).toBe(false);
  });

  it("has positions for the whole of the stretched length", async () => {
    const rope_scaling = { type: "ntkmixed", factor: 16, power: 0.3 };
    const { geometry } = await read("BlueLM", { rope_scaling, max_position_embeddings: 2048 });
    expect(geometry.maxPositions).toBe(32_768);
  });
});

describe("gpt2", () => {
  const own = { n_embd: 48, n_layer: 3, n_head: 6, n_positions: 100, vocab_size: 77, model_type: "gpt2" };
  const readOwn = async (fields: Fields = {}): Promise<DecoderConfig> => {
    const json = { ...own, ...fields };
    return (await loadModelFamily(where, json)).readConfig(where, json);
  };

  it("reads the fields by their own names, with Hugging Face's defaults for what is absent", async () => {
    const config = await readOwn();
    expect(config).toMatchObject({
      activation: "gelu-tanh",
      normEpsilon: 1e-5,
      tiedEmbeddings: true,
      mlpSize: 4 * 48,
      hasQueryKeyValueBias: true,
      hasOutputBias: true,
      hasMlpBias: true,
    });
    expect(config.geometry).toMatchObject({
      layerCount: 3,
      queryHeadCount: 6,
      keyValueHeadCount: 6,
      hiddenSize: 48,
      maxPositions: 100,
      hasLearnedPositions: true,
    });
    expect(config.geometry.scoreScale).toBeCloseTo(8 ** -0.5, 15);
    expect(secondFrequencies(config)).toEqual([undefined, undefined, undefined]);
  });

  it("takes the width of the MLP from n_inner, and scores as they are with scale_attn_weights false", async () => {
    const config = await readOwn({ n_inner: 100, scale_attn_weights: false, activation_function: "gelu" });
    expect(config).toMatchObject({ mlpSize: 100, activation: "gelu" });
    expect(config.geometry.scoreScale).toBe(1);
    expect((await readOwn({ n_inner: null })).mlpSize).toBe(4 * 48);
  });

  it("refuses what it does not run, by name", async () => {
    for (const [field, value] of [
      ["scale_attn_by_inverse_layer_idx", true],
      ["add_cross_attention", true],
      ["activation_function", "relu"],
    ] as const) {
      const refusal = `this version does not run ${field}`;
      await expectRefusal(readOwn({ [field]: value }), UnsupportedError, refusal);
    }
    await expectRefusal(readOwn({ n_head: 0 }), InvalidModelError, "field n_head: ");
    await expectRefusal(readOwn({ n_embd: undefined }), InvalidModelError, "field n_embd: ");
  });
});
