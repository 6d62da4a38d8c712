/**
 * The oracle of Llama and what differs little from it: biases and norms of queries and keys where the weights have
 * them, an output head where there is one; in SmolLM3 layers without rotary embedding; in Granite four factors; in
 * BlueLM a norm on the embeddings and its frequencies.
 */

import { finder, type MakeOracle, type OracleConfig, type OracleDecoder, rowOf } from "./decoder.ts";
import {
  add,
  layerNorm,
  multiply,
  plainFrequencies,
  rmsNorm,
  rotate,
  scale,
  silu,
  splitHeads,
} from "./dense.ts";

/** Is what the kin of Llama change. */
export interface LlamaChanges {
  readonly frequencies?: readonly number[];
  readonly isRotated?: (layer: number) => boolean;
  readonly scoreScale?: number;
  readonly embeddingScale?: number;
  readonly residualScale?: number;
  readonly logitDivisor?: number;
  readonly embeddingNorm?: boolean;
}

/** Makes the oracle with changes. */
export function makeLlamaOracle(changesOf: (config: OracleConfig) => LlamaChanges): MakeOracle {
  return (config, weights): OracleDecoder => {
    const changes = changesOf(config);
    const { residualScale = 1, isRotated = () => true } = changes;
    const weight = finder(weights);
    const headSize = config.number("head_dim");
    const epsilon = config.number("rms_norm_eps");
    const width = config.number("hidden_size");
    const frequencies = changes.frequencies ?? plainFrequencies(config.number("rope_theta"), headSize);
    const project = (prefix: string, x: readonly number[]): number[] =>
      multiply(weight(`${prefix}.weight`), x, weights.get(`${prefix}.bias`));
    const heads = (prefix: string, name: string, x: readonly number[]): number[][] => {
      const split = splitHeads(project(`${prefix}.${name}_proj`, x), headSize);
      const norm = weights.get(`${prefix}.${name}_norm.weight`);
      return norm === undefined ? split : split.map((head) => rmsNorm(head, norm, epsilon));
    };
    return {
      layerCount: config.number("num_hidden_layers"),
      queryHeadCount: config.number("num_attention_heads"),
      keyValueHeadCount: config.number("num_key_value_heads"),
      headSize,
      scoreScale: changes.scoreScale ?? 1 / Math.sqrt(headSize),
      windowTokens: () => Number.POSITIVE_INFINITY,
      rotate: (layer, head, position) => (isRotated(layer) ? rotate(head, position, frequencies) : [...head]),
      embed(tokenId) {
        const embedded = scale(
          rowOf(weight("model.embed_tokens.weight"), tokenId, width),
          changes.embeddingScale ?? 1,
        );
        if (changes.embeddingNorm !== true) return embedded;
        const prefix = "model.embed_layer_norm";
        return layerNorm(embedded, weight(`${prefix}.weight`), weight(`${prefix}.bias`), epsilon);
      },
      runLayer(layer, x, attend) {
        const prefix = `model.layers.${layer}`;
        const attention = `${prefix}.self_attn`;
        const h = rmsNorm(x, weight(`${prefix}.input_layernorm.weight`), epsilon);
        const attended = attend(
          heads(attention, "q", h),
          heads(attention, "k", h),
          heads(attention, "v", h),
          h,
        );
        const middle = add(x, scale(project(`${attention}.o_proj`, attended.flat()), residualScale));
        const n = rmsNorm(middle, weight(`${prefix}.post_attention_layernorm.weight`), epsilon);
        const up = project(`${prefix}.mlp.up_proj`, n);
        const inner = project(`${prefix}.mlp.gate_proj`, n).map(
          (value, i) => silu(value) * (up[i] ?? Number.NaN),
        );
        return add(middle, scale(project(`${prefix}.mlp.down_proj`, inner), residualScale));
      },
      logits(x) {
        const last = rmsNorm(x, weight("model.norm.weight"), epsilon);
        const head = weights.get("lm_head.weight") ?? weight("model.embed_tokens.weight");
        return scale(multiply(head, last), 1 / (changes.logitDivisor ?? 1));
      },
    };
  };
}

/** SmolLM3: `no_rope_layers` has a 1 for layers with rotary embedding. */
export const smollm3Oracle: MakeOracle = makeLlamaOracle((config) => {
  const given = config.has("no_rope_layers") ? config.numbers("no_rope_layers") : undefined;
  const interval = config.has("no_rope_layer_interval") ? config.number("no_rope_layer_interval") : 4;
  return { isRotated: (layer) => (given === undefined ? (layer + 1) % interval !== 0 : given[layer] === 1) };
});

/** Granite: `attention_multiplier` in place of 1/sqrt(D), `logits_scaling` divides. */
export const graniteOracle: MakeOracle = makeLlamaOracle((config) => ({
  scoreScale: config.number("attention_multiplier"),
  embeddingScale: config.number("embedding_multiplier"),
  residualScale: config.number("residual_multiplier"),
  logitDivisor: config.number("logits_scaling"),
}));

/** BlueLM: `inv_freq / exp(a * arange(1, D/2 + 1) ** power)` with `a = log(int(factor)) / (D/2) ** power`. */
export const bluelmOracle: MakeOracle = makeLlamaOracle((config) => {
  const embeddingNorm = config.flag("use_stable_embedding", true);
  if (!config.has("rope_scaling")) return { embeddingNorm };
  const scaling = config.within("rope_scaling");
  const size = config.number("head_dim");
  const power = scaling.number("power");
  const a = Math.log(Math.trunc(scaling.number("factor"))) / (size / 2) ** power;
  const frequencies = plainFrequencies(config.number("rope_theta"), size).map(
    (frequency, pair) => frequency / Math.exp(a * (pair + 1) ** power),
  );
  return { embeddingNorm, frequencies };
});
