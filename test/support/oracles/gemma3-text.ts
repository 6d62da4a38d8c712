/**
 * The oracle of Gemma 3: norms with 1 + weight on both sides, embeddings times sqrt(E), tanh-GELU, and local layers
 * that attend within a window, rotated with a base of their own.
 */

import { finder, type MakeOracle, type OracleConfig, rowOf } from "./decoder.ts";
import { add, geluTanh, multiply, plainFrequencies, rmsNorm, rotate, scale, splitHeads } from "./dense.ts";

/** Tells of each layer whether it is local: by `layer_types`, or all but every n-th. */
function localLayers(config: OracleConfig): (layer: number) => boolean {
  if (config.has("layer_types")) {
    const types = config.words("layer_types");
    return (layer) => types[layer] === "sliding_attention";
  }
  const pattern = config.has("sliding_window_pattern") ? config.number("sliding_window_pattern") : 6;
  return (layer) => (layer + 1) % pattern !== 0;
}

/** Makes the oracle of a Gemma 3. */
export const gemma3TextOracle: MakeOracle = (config, weights) => {
  const weight = finder(weights);
  const headSize = config.number("head_dim");
  const width = config.number("hidden_size");
  const epsilon = config.number("rms_norm_eps");
  const isLocal = localLayers(config);
  const stretch = config.has("rope_scaling") ? config.within("rope_scaling").number("factor") : 1;
  const globalFrequencies = plainFrequencies(config.number("rope_theta"), headSize).map((f) => f / stretch);
  const localFrequencies = plainFrequencies(config.number("rope_local_base_freq"), headSize);
  const norm = (x: readonly number[], name: string): number[] =>
    rmsNorm(x, weight(`${name}.weight`), epsilon, 1);
  return {
    layerCount: config.number("num_hidden_layers"),
    queryHeadCount: config.number("num_attention_heads"),
    keyValueHeadCount: config.number("num_key_value_heads"),
    headSize,
    scoreScale: config.number("query_pre_attn_scalar") ** -0.5,
    windowTokens: (layer) => (isLocal(layer) ? config.number("sliding_window") : Number.POSITIVE_INFINITY),
    rotate: (layer, head, position) =>
      rotate(head, position, isLocal(layer) ? localFrequencies : globalFrequencies),
    embed: (tokenId) => scale(rowOf(weight("model.embed_tokens.weight"), tokenId, width), Math.sqrt(width)),
    runLayer(layer, x, attend) {
      const prefix = `model.layers.${layer}`;
      const project = (name: string, input: readonly number[]): number[] =>
        multiply(weight(`${prefix}.${name}.weight`), input);
      const heads = (name: string, input: readonly number[]): number[][] =>
        splitHeads(project(`self_attn.${name}_proj`, input), headSize);
      const h = norm(x, `${prefix}.input_layernorm`);
      const attended = attend(
        heads("q", h).map((head) => norm(head, `${prefix}.self_attn.q_norm`)),
        heads("k", h).map((head) => norm(head, `${prefix}.self_attn.k_norm`)),
        heads("v", h),
        h,
      );
      const change = norm(project("self_attn.o_proj", attended.flat()), `${prefix}.post_attention_layernorm`);
      const middle = add(x, change);
      const n = norm(middle, `${prefix}.pre_feedforward_layernorm`);
      const up = project("mlp.up_proj", n);
      const inner = project("mlp.gate_proj", n).map((gate, i) => geluTanh(gate) * (up[i] ?? Number.NaN));
      return add(middle, norm(project("mlp.down_proj", inner), `${prefix}.post_feedforward_layernorm`));
    },
    logits(x) {
      const head = weights.get("lm_head.weight") ?? weight("model.embed_tokens.weight");
      const logits = multiply(head, norm(x, "model.norm"));
      if (!config.has("final_logit_softcapping")) return logits;
      const bound = config.number("final_logit_softcapping");
      return logits.map((logit) => bound * Math.tanh(logit / bound));
    },
  };
};
