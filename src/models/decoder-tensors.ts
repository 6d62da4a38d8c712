/**
 * Lists the tensors of a decoder checkpoint, with the names and shapes that Hugging Face gives them.
 */

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

/** Says what a decoder has besides what all have, and what it has in another way. */
export interface DecoderExtras {
  /** Whether the output projection is the embedding. */
  readonly tied: boolean;
  readonly hasQueryKeyValueBias?: boolean;
  /** Norms of queries and keys: of each head, or of all heads as one vector. */
  readonly queryKeyNorm?: "head" | "projection";
  /** Names the norms of a layer: those before attention, behind it, and behind or around the MLP. */
  readonly norms?: readonly string[];
  /** What is added to the weights of norms; default 0. */
  readonly normOffset?: 0 | 1;
  /** Whether queries, keys and values are one matrix, and gate and up too. */
  readonly isFused?: boolean;
  /** Whether a layer norm follows the embedding. */
  readonly hasEmbeddingNorm?: boolean;
}

const llamaNorms: readonly string[] = ["input_layernorm", "post_attention_layernorm"];

/** Describes one tensor of a checkpoint. */
export interface TensorPlan {
  readonly name: string;
  readonly shape: readonly number[];
  readonly role: "embedding" | "projection" | "bias" | "norm" | "offset-norm";
}

/** Plans a matrix `[out, from]`. */
export function planMatrix(name: string, out: number, from: number): TensorPlan {
  return { name: `${name}.weight`, shape: [out, from], role: "projection" };
}

function planProjections(prefix: string, sizes: DecoderSizes, extras: DecoderExtras): TensorPlan[] {
  const { hiddenSize: E, queryHeadCount: H, keyValueHeadCount: K, headSize: D } = sizes;
  if (extras.isFused === true) return [planMatrix(`${prefix}.qkv_proj`, (H + 2 * K) * D, E)];
  const heads = [["q", H] as const, ["k", K] as const, ["v", K] as const];
  const plans = heads.map(([name, count]) => planMatrix(`${prefix}.${name}_proj`, count * D, E));
  if (extras.hasQueryKeyValueBias === true) {
    for (const [name, count] of heads)
      plans.push({ name: `${prefix}.${name}_proj.bias`, shape: [count * D], role: "bias" });
  }
  if (extras.queryKeyNorm !== undefined) {
    for (const [name, count] of heads.slice(0, 2)) {
      const size = extras.queryKeyNorm === "head" ? D : count * D;
      plans.push(planNorm(`${prefix}.${name}_norm`, size, extras));
    }
  }
  return plans;
}

function planNorm(name: string, size: number, { normOffset = 0 }: DecoderExtras): TensorPlan {
  return { name: `${name}.weight`, shape: [size], role: normOffset === 0 ? "norm" : "offset-norm" };
}

function planLayer(prefix: string, sizes: DecoderSizes, extras: DecoderExtras): TensorPlan[] {
  const { hiddenSize: E, queryHeadCount: H, headSize: D, mlpSize: F } = sizes;
  const [first = "", ...others] = (extras.norms ?? llamaNorms).map((name) =>
    planNorm(`${prefix}.${name}`, E, extras),
  );
  const mlp = `${prefix}.mlp`;
  const gateAndUp =
    extras.isFused === true
      ? [planMatrix(`${mlp}.gate_up_proj`, 2 * F, E)]
      : [planMatrix(`${mlp}.gate_proj`, F, E), planMatrix(`${mlp}.up_proj`, F, E)];
  return [
    ...(first === "" ? [] : [first]),
    ...planProjections(`${prefix}.self_attn`, sizes, extras),
    planMatrix(`${prefix}.self_attn.o_proj`, E, H * D),
    ...others,
    ...gateAndUp,
    planMatrix(`${mlp}.down_proj`, E, F),
  ];
}

/** Lists the tensors of a checkpoint named as Llama's, in the order of its layers. */
export function planDecoderTensors(sizes: DecoderSizes, extras: DecoderExtras): TensorPlan[] {
  const { layerCount, hiddenSize: E, vocabularySize: V } = sizes;
  const layers = Array.from({ length: layerCount }, (_, layer) =>
    planLayer(`model.layers.${layer}`, sizes, extras),
  );
  const embeddingNorm: TensorPlan[] = [
    { name: "model.embed_layer_norm.weight", shape: [E], role: "norm" },
    { name: "model.embed_layer_norm.bias", shape: [E], role: "bias" },
  ];
  return [
    { name: "model.embed_tokens.weight", shape: [V, E], role: "embedding" },
    ...(extras.hasEmbeddingNorm === true ? embeddingNorm : []),
    ...layers.flat(),
    planNorm("model.norm", E, extras),
    ...(extras.tied ? [] : [planMatrix("lm_head", V, E)]),
  ];
}
