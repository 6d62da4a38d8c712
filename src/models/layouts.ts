/**
 * The ways to put a layer together from norms, attention and MLP. x is the residual stream, `[T, E]`.
 */

import type { LayerLayout } from "./architecture.ts";

/**
 * Makes the layout of Llama and most others: x += attention(norm(x)), x += mlp(norm(x)).
 * @param first names the norm before attention, `second` the one before the MLP.
 */
export function makePreNormLayout(
  first: string = "input_layernorm",
  second: string = "post_attention_layernorm",
): LayerLayout {
  return ({ norm, attend, feedForward, join }, x) => {
    const attended = join(x, attend(norm(first, x)));
    return join(attended, feedForward(norm(second, attended)));
  };
}

/** Is the layout of OLMo 2: x += norm(attention(x)), x += norm(mlp(x)). */
export const postNormLayout: LayerLayout = ({ norm, attend, feedForward, join }, x) => {
  const attended = join(x, norm("post_attention_layernorm", attend(x)));
  return join(attended, norm("post_feedforward_layernorm", feedForward(attended)));
};

/** Is the layout of Gemma 3, with norms on both sides: x += norm(attention(norm(x))), x += norm(mlp(norm(x))). */
export const sandwichLayout: LayerLayout = ({ norm, attend, feedForward, join }, x) => {
  const attended = join(x, norm("post_attention_layernorm", attend(norm("input_layernorm", x))));
  const changed = feedForward(norm("pre_feedforward_layernorm", attended));
  return join(attended, norm("post_feedforward_layernorm", changed));
};

/** Is the layout of GPT-NeoX with a parallel residual: x += attention(norm(x)) + mlp(norm'(x)). */
export const parallelLayout: LayerLayout = ({ norm, attend, feedForward, join }, x) => {
  const change = feedForward(norm("post_attention_layernorm", x));
  return join(join(x, attend(norm("input_layernorm", x))), change);
};
