/**
 * Lists the tensors of the GPT families' checkpoints, which share neither names nor parts with Llama's.
 */

import { type DecoderSizes, planMatrix, type TensorPlan } from "../models/decoder-tensors.ts";

function withBias(matrix: TensorPlan, size: number): TensorPlan[] {
  return [matrix, { name: matrix.name.replace(/weight$/, "bias"), shape: [size], role: "bias" }];
}

function planLayerNorm(name: string, size: number): TensorPlan[] {
  return [
    { name: `${name}.weight`, shape: [size], role: "norm" },
    { name: `${name}.bias`, shape: [size], role: "bias" },
  ];
}

/** Lists the tensors of a GPT-NeoX; E is H * D, and every head has a key and a value of its own. */
export function planGptNeoxTensors(sizes: DecoderSizes): TensorPlan[] {
  const { layerCount, hiddenSize: E, mlpSize: F, vocabularySize: V } = sizes;
  const layers = Array.from({ length: layerCount }, (_, layer) => {
    const prefix = `gpt_neox.layers.${layer}`;
    return [
      ...planLayerNorm(`${prefix}.input_layernorm`, E),
      ...planLayerNorm(`${prefix}.post_attention_layernorm`, E),
      ...withBias(planMatrix(`${prefix}.attention.query_key_value`, 3 * E, E), 3 * E),
      ...withBias(planMatrix(`${prefix}.attention.dense`, E, E), E),
      ...withBias(planMatrix(`${prefix}.mlp.dense_h_to_4h`, F, E), F),
      ...withBias(planMatrix(`${prefix}.mlp.dense_4h_to_h`, E, F), E),
    ];
  });
  return [
    { name: "gpt_neox.embed_in.weight", shape: [V, E], role: "embedding" },
    ...layers.flat(),
    ...planLayerNorm("gpt_neox.final_layer_norm", E),
    planMatrix("embed_out", V, E),
  ];
}

/** Lists the tensors of a GPT-2 with P positions; matrices are `[inSize, outSize]`. */
export function planGpt2Tensors(sizes: DecoderSizes, P: number, tied: boolean): TensorPlan[] {
  const { layerCount, hiddenSize: E, mlpSize: F, vocabularySize: V } = sizes;
  const layers = Array.from({ length: layerCount }, (_, layer) => {
    const prefix = `h.${layer}`;
    return [
      ...planLayerNorm(`${prefix}.ln_1`, E),
      ...withBias(planMatrix(`${prefix}.attn.c_attn`, E, 3 * E), 3 * E),
      ...withBias(planMatrix(`${prefix}.attn.c_proj`, E, E), E),
      ...planLayerNorm(`${prefix}.ln_2`, E),
      ...withBias(planMatrix(`${prefix}.mlp.c_fc`, E, F), F),
      ...withBias(planMatrix(`${prefix}.mlp.c_proj`, F, E), E),
    ];
  });
  return [
    { name: "wte.weight", shape: [V, E], role: "embedding" },
    { name: "wpe.weight", shape: [P, E], role: "embedding" },
    ...layers.flat(),
    ...planLayerNorm("ln_f", E),
    ...(tied ? [] : [planMatrix("lm_head", V, E)]),
  ];
}
