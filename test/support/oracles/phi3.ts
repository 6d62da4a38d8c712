/**
 * The oracle of Phi-3: `qkv_proj` holds all queries, then all keys, then all values; `gate_up_proj` the gate, then
 * up. Longrope divides frequencies by the short factors and multiplies cosines and sines by the attention factor.
 */

import { finder, type MakeOracle, type OracleConfig, rowOf } from "./decoder.ts";
import { add, multiply, plainFrequencies, rmsNorm, rotate, silu, splitHeads } from "./dense.ts";

function readRotation(config: OracleConfig, size: number): { frequencies: number[]; magnitude: number } {
  const plain = plainFrequencies(config.number("rope_theta"), size);
  if (!config.has("rope_scaling")) return { frequencies: plain, magnitude: 1 };
  const short = config.within("rope_scaling").numbers("short_factor");
  const original = config.number("original_max_position_embeddings");
  const ratio = config.number("max_position_embeddings") / original;
  return {
    frequencies: plain.map((frequency, pair) => frequency / (short[pair] ?? Number.NaN)),
    magnitude: ratio <= 1 ? 1 : Math.sqrt(1 + Math.log(ratio) / Math.log(original)),
  };
}

/** Makes the oracle of a Phi-3. */
export const phi3Oracle: MakeOracle = (config, weights) => {
  const weight = finder(weights);
  const headSize = config.number("head_dim");
  const [H, K] = [config.number("num_attention_heads"), config.number("num_key_value_heads")];
  const epsilon = config.number("rms_norm_eps");
  const part = config.has("partial_rotary_factor") ? config.number("partial_rotary_factor") : 1;
  const rotated = Math.trunc(headSize * part);
  const { frequencies, magnitude } = readRotation(config, rotated);
  return {
    layerCount: config.number("num_hidden_layers"),
    queryHeadCount: H,
    keyValueHeadCount: K,
    headSize,
    scoreScale: headSize ** -0.5,
    windowTokens: () => Number.POSITIVE_INFINITY,
    rotate: (_layer, head, position) =>
      rotate(head, position, frequencies).map((value, i) => (i < rotated ? value * magnitude : value)),
    embed: (tokenId) => rowOf(weight("model.embed_tokens.weight"), tokenId, config.number("hidden_size")),
    runLayer(layer, x, attend) {
      const tensor = (name: string): Float64Array => weight(`model.layers.${layer}.${name}.weight`);
      const h = rmsNorm(x, tensor("input_layernorm"), epsilon);
      const qkv = multiply(tensor("self_attn.qkv_proj"), h);
      const cut = (from: number, to: number): number[][] =>
        splitHeads(qkv.slice(from * headSize, to * headSize), headSize);
      const heads = attend(cut(0, H), cut(H, H + K), cut(H + K, H + 2 * K), h);
      const middle = add(x, multiply(tensor("self_attn.o_proj"), heads.flat()));
      const both = multiply(
        tensor("mlp.gate_up_proj"),
        rmsNorm(middle, tensor("post_attention_layernorm"), epsilon),
      );
      const half = both.length / 2;
      const inner = both.slice(0, half).map((gate, i) => silu(gate) * (both[half + i] ?? Number.NaN));
      return add(middle, multiply(tensor("mlp.down_proj"), inner));
    },
    logits: (x) =>
      multiply(
        weights.get("lm_head.weight") ?? weight("model.embed_tokens.weight"),
        rmsNorm(x, weight("model.norm.weight"), epsilon),
      ),
  };
};
