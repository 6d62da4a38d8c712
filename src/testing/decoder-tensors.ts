/**
 * Lists the tensors of a decoder checkpoint, and draws random values for them.
 *
 * Names and shapes are Hugging Face's for Llama, Mistral, Qwen 2 and Qwen 3. Values are uniform, with a spread
 * that keeps activations near 1 through any number of layers. Refuses to know files.
 */

import type { RandomGenerator } from "pure-rand/types/RandomGenerator";

/** Sizes a decoder. */
export interface DecoderSizes {
  /** L. */
  readonly layerCount: number;
  /** E. */
  readonly hiddenSize: number;
  /** H. */
  readonly queryHeadCount: number;
  /** K; H is a multiple of it. */
  readonly keyValueHeadCount: number;
  /** D, even. */
  readonly headSize: number;
  /** F. */
  readonly mlpSize: number;
  /** V. */
  readonly vocabularySize: number;
}

/** Says what a decoder has besides what all have. */
export interface DecoderExtras {
  /** Whether the output projection is the embedding. */
  readonly tied: boolean;
  readonly hasQueryKeyValueBias: boolean;
  readonly hasQueryKeyNorm: boolean;
}

/** Describes one tensor of a checkpoint. */
export interface TensorPlan {
  readonly name: string;
  readonly shape: readonly number[];
  readonly role: "embedding" | "projection" | "bias" | "norm";
}

function planLayer(prefix: string, sizes: DecoderSizes, extras: DecoderExtras): TensorPlan[] {
  const { hiddenSize: E, queryHeadCount: H, keyValueHeadCount: K, headSize: D, mlpSize: F } = sizes;
  const projection = (name: string, out: number, from: number): TensorPlan => ({
    name: `${prefix}.${name}.weight`,
    shape: [out, from],
    role: "projection",
  });
  const vector = (name: string, size: number, role: "bias" | "norm"): TensorPlan => ({
    name: `${prefix}.${name}`,
    shape: [size],
    role,
  });
  const biases = extras.hasQueryKeyValueBias
    ? [["q", H] as const, ["k", K] as const, ["v", K] as const].map(([name, heads]) =>
        vector(`self_attn.${name}_proj.bias`, heads * D, "bias"),
      )
    : [];
  const norms = extras.hasQueryKeyNorm
    ? ["q", "k"].map((name) => vector(`self_attn.${name}_norm.weight`, D, "norm"))
    : [];
  return [
    vector("input_layernorm.weight", E, "norm"),
    projection("self_attn.q_proj", H * D, E),
    projection("self_attn.k_proj", K * D, E),
    projection("self_attn.v_proj", K * D, E),
    ...biases,
    ...norms,
    projection("self_attn.o_proj", E, H * D),
    vector("post_attention_layernorm.weight", E, "norm"),
    projection("mlp.gate_proj", F, E),
    projection("mlp.up_proj", F, E),
    projection("mlp.down_proj", E, F),
  ];
}

/** Lists the tensors of a checkpoint, in the order of its layers. */
export function planDecoderTensors(sizes: DecoderSizes, extras: DecoderExtras): TensorPlan[] {
  const { layerCount, hiddenSize: E, vocabularySize: V } = sizes;
  const layers = Array.from({ length: layerCount }, (_, layer) =>
    planLayer(`model.layers.${layer}`, sizes, extras),
  );
  const head: TensorPlan = { name: "lm_head.weight", shape: [V, E], role: "projection" };
  return [
    { name: "model.embed_tokens.weight", shape: [V, E], role: "embedding" },
    ...layers.flat(),
    { name: "model.norm.weight", shape: [E], role: "norm" },
    ...(extras.tied ? [] : [head]),
  ];
}

/** Draws numbers between `center - spread` and `center + spread`, to the precision of 32 bits. */
export function drawUniform(
  generator: RandomGenerator,
  length: number,
  center: number,
  spread: number,
): Float32Array {
  const values = new Float32Array(length);
  const scale = spread / 2 ** 31;
  for (let index = 0; index < length; index++) values[index] = center + generator.next() * scale;
  return values;
}

/** Draws the values of a tensor: projections and embeddings of a spread that hands on activations near 1. */
export function drawTensor(generator: RandomGenerator, { shape, role }: TensorPlan): Float32Array {
  const [rows = 1, columns = 1] = shape;
  switch (role) {
    case "norm":
      return drawUniform(generator, rows, 1, 0.3);
    case "bias":
      return drawUniform(generator, rows, 0, 0.5);
    case "embedding":
      // Smaller than what the layers add, so that tied embeddings do not just repeat the last token.
      return drawUniform(generator, rows * columns, 0, 0.25);
    case "projection":
      // A uniform draw within +-sqrt(3/n) has variance 1/n; a little more keeps attention from being flat.
      return drawUniform(generator, rows * columns, 0, 1.3 * Math.sqrt(3 / columns));
  }
}
