/**
 * The oracle of OLMo 2: norms behind attention and MLP, queries and keys normalised as whole vectors.
 */

import { finder, type MakeOracle, rowOf } from "./decoder.ts";
import { add, multiply, plainFrequencies, rmsNorm, rotate, silu, splitHeads } from "./dense.ts";

/** Makes the oracle of an OLMo 2. */
export const olmo2Oracle: MakeOracle = (config, weights) => {
  const weight = finder(weights);
  const headSize = config.number("head_dim");
  const epsilon = config.number("rms_norm_eps");
  const frequencies = plainFrequencies(config.number("rope_theta"), headSize);
  return {
    layerCount: config.number("num_hidden_layers"),
    queryHeadCount: config.number("num_attention_heads"),
    keyValueHeadCount: config.number("num_key_value_heads"),
    headSize,
    scoreScale: headSize ** -0.5,
    windowTokens: () => Number.POSITIVE_INFINITY,
    rotate: (_layer, head, position) => rotate(head, position, frequencies),
    embed: (tokenId) => rowOf(weight("model.embed_tokens.weight"), tokenId, config.number("hidden_size")),
    runLayer(layer, x, attend) {
      const tensor = (name: string): Float64Array => weight(`model.layers.${layer}.${name}.weight`);
      const query = rmsNorm(multiply(tensor("self_attn.q_proj"), x), tensor("self_attn.q_norm"), epsilon);
      const key = rmsNorm(multiply(tensor("self_attn.k_proj"), x), tensor("self_attn.k_norm"), epsilon);
      const value = multiply(tensor("self_attn.v_proj"), x);
      const heads = attend(
        splitHeads(query, headSize),
        splitHeads(key, headSize),
        splitHeads(value, headSize),
        x,
      );
      const attended = multiply(tensor("self_attn.o_proj"), heads.flat());
      const middle = add(x, rmsNorm(attended, tensor("post_attention_layernorm"), epsilon));
      const gate = multiply(tensor("mlp.gate_proj"), middle);
      const up = multiply(tensor("mlp.up_proj"), middle);
      const inner = gate.map((value_, i) => silu(value_) * (up[i] ?? Number.NaN));
      const changed = multiply(tensor("mlp.down_proj"), inner);
      return add(middle, rmsNorm(changed, tensor("post_feedforward_layernorm"), epsilon));
    },
    logits: (x) =>
      multiply(
        weights.get("lm_head.weight") ?? weight("model.embed_tokens.weight"),
        rmsNorm(x, weight("model.norm.weight"), epsilon),
      ),
  };
};
