/**
 * The oracle of GPT-2: learned positions, layer norms, and matrices `[inSize, outSize]` that multiply from the right.
 */

import { finder, type MakeOracle, rowOf } from "./decoder.ts";
import { add, at, geluTanh, layerNorm, multiply, splitHeads } from "./dense.ts";

/** Computes `x W + b`, as Conv1D does. */
function multiplyFromRight(x: readonly number[], matrix: Float64Array, bias: Float64Array): number[] {
  const width = bias.length;
  return Array.from({ length: width }, (_, column) =>
    x.reduce((sum, value, row) => sum + value * at(matrix, row * width + column), at(bias, column)),
  );
}

/** Makes the oracle of a GPT-2 with approximate GELU. */
export const gpt2Oracle: MakeOracle = (config, weights) => {
  const prefix = weights.has("transformer.wte.weight") ? "transformer." : "";
  const weight = finder(weights);
  const tensor = (name: string): Float64Array => weight(`${prefix}${name}`);
  const width = config.number("n_embd");
  const H = config.number("n_head");
  const D = width / H;
  const norm = (x: readonly number[], name: string): number[] =>
    layerNorm(x, tensor(`${name}.weight`), tensor(`${name}.bias`), config.number("layer_norm_epsilon"));
  const project = (x: readonly number[], name: string): number[] =>
    multiplyFromRight(x, tensor(`${name}.weight`), tensor(`${name}.bias`));
  return {
    layerCount: config.number("n_layer"),
    queryHeadCount: H,
    keyValueHeadCount: H,
    headSize: D,
    scoreScale: config.flag("scale_attn_weights", true) ? 1 / Math.sqrt(D) : 1,
    windowTokens: () => Number.POSITIVE_INFINITY,
    rotate: (_layer, head) => [...head],
    embed: (tokenId, position) =>
      add(rowOf(tensor("wte.weight"), tokenId, width), rowOf(tensor("wpe.weight"), position, width)),
    runLayer(layer, x, attend) {
      const h = norm(x, `h.${layer}.ln_1`);
      const qkv = project(h, `h.${layer}.attn.c_attn`);
      const cut = (part: number): number[][] => splitHeads(qkv.slice(part * width, (part + 1) * width), D);
      const middle = add(x, project(attend(cut(0), cut(1), cut(2), h).flat(), `h.${layer}.attn.c_proj`));
      const inner = project(norm(middle, `h.${layer}.ln_2`), `h.${layer}.mlp.c_fc`).map(geluTanh);
      return add(middle, project(inner, `h.${layer}.mlp.c_proj`));
    },
    logits: (x) => multiply(weights.get("lm_head.weight") ?? tensor("wte.weight"), norm(x, "ln_f")),
  };
};
