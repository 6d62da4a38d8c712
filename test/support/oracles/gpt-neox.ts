/**
 * The oracle of GPT-NeoX: layer norms, `query_key_value` with query, key and value of each head in turn, rotary
 * embedding of the first part of each head, and attention and MLP side by side or one after the other.
 */

import { finder, type MakeOracle, rowOf } from "./decoder.ts";
import { add, gelu, geluTanh, layerNorm, multiply, plainFrequencies, rotate } from "./dense.ts";

/** Makes the oracle of a GPT-NeoX with exact or approximate GELU. */
export const gptNeoxOracle: MakeOracle = (config, weights) => {
  const activate = config.word("hidden_act") === "gelu" ? gelu : geluTanh;
  const weight = finder(weights);
  const width = config.number("hidden_size");
  const H = config.number("num_attention_heads");
  const D = width / H;
  const rotated = Math.trunc(D * (config.has("rotary_pct") ? config.number("rotary_pct") : 0.25));
  const frequencies = plainFrequencies(config.number("rotary_emb_base"), rotated);
  const norm = (x: readonly number[], name: string): number[] =>
    layerNorm(x, weight(`${name}.weight`), weight(`${name}.bias`), config.number("layer_norm_eps"));
  const project = (x: readonly number[], name: string): number[] =>
    multiply(weight(`${name}.weight`), x, weights.get(`${name}.bias`));
  return {
    layerCount: config.number("num_hidden_layers"),
    queryHeadCount: H,
    keyValueHeadCount: H,
    headSize: D,
    scoreScale: 1 / Math.sqrt(D),
    windowTokens: () => Number.POSITIVE_INFINITY,
    rotate: (_layer, head, position) => rotate(head, position, frequencies),
    embed: (tokenId) => rowOf(weight("gpt_neox.embed_in.weight"), tokenId, width),
    runLayer(layer, x, attend) {
      const prefix = `gpt_neox.layers.${layer}`;
      const h = norm(x, `${prefix}.input_layernorm`);
      const qkv = project(h, `${prefix}.attention.query_key_value`);
      const cut = (part: number): number[][] =>
        Array.from({ length: H }, (_, head) => {
          const start = (3 * head + part) * D;
          return qkv.slice(start, start + D);
        });
      const attended = project(attend(cut(0), cut(1), cut(2), h).flat(), `${prefix}.attention.dense`);
      const change = (input: readonly number[]): number[] => {
        const normed = norm(input, `${prefix}.post_attention_layernorm`);
        const inner = project(normed, `${prefix}.mlp.dense_h_to_4h`).map(activate);
        return project(inner, `${prefix}.mlp.dense_4h_to_h`);
      };
      if (config.flag("use_parallel_residual", true)) return add(add(x, attended), change(x));
      const middle = add(x, attended);
      return add(middle, change(middle));
    },
    logits: (x) => multiply(weight("embed_out.weight"), norm(x, "gpt_neox.final_layer_norm")),
  };
};
