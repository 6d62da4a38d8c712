/**
 * The ways to build an MLP, and the functions between its matrices.
 */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import type { DecoderArchitecture } from "./architecture.ts";
import type { Activation } from "./decoder-config.ts";
import { writeLinears } from "./layers.ts";

type WriteMlp = DecoderArchitecture["writeMlp"];

const activations: { readonly [Name in Activation]: (b: GraphBuilder, x: Value) => Value } = {
  silu: (b, x) => b.silu(x),
  gelu: (b, x) => b.gelu(x, "none"),
  "gelu-tanh": (b, x) => b.gelu(x, "tanh"),
};

/** Writes the gated MLP of Llama: down(f(gate x) * up x), `gate_proj` and `up_proj` `[F, E]`, `down_proj` `[E, F]`. */
export const writeGatedMlp: WriteMlp = (context, prefix, x) => {
  const { builder, config, architecture } = context;
  const { mlpSize: F, hasMlpBias } = config;
  const E = config.geometry.hiddenSize;
  const names = ["gate_proj", "up_proj"].map((name) => ({ prefix: `${prefix}.${name}`, outSize: F }));
  const [gate = x, up = x] = writeLinears(context, x, names, E, hasMlpBias);
  const inner = builder.mul(activations[config.activation](builder, gate), up);
  return architecture.writeLinear(context, inner, `${prefix}.down_proj`, E, F, hasMlpBias);
};

/** Writes the gated MLP with its first two matrices as one, `gate_up_proj` `[2F, E]`. */
export const writeFusedGatedMlp: WriteMlp = (context, prefix, x) => {
  const { builder, config, architecture } = context;
  const { mlpSize: F, hasMlpBias } = config;
  const E = config.geometry.hiddenSize;
  const both = architecture.writeLinear(context, x, `${prefix}.gate_up_proj`, 2 * F, E, hasMlpBias);
  const [gate = both, up = both] = builder.split(both, 1, [F, F]);
  const inner = builder.mul(activations[config.activation](builder, gate), up);
  return architecture.writeLinear(context, inner, `${prefix}.down_proj`, E, F, hasMlpBias);
};

/** Makes the writer of an MLP without a gate: second(f(first x)). */
export function makePlainMlp(first: string, second: string): WriteMlp {
  return (context, prefix, x) => {
    const { builder, config, architecture } = context;
    const { mlpSize: F, hasMlpBias } = config;
    const E = config.geometry.hiddenSize;
    const inner = architecture.writeLinear(context, x, `${prefix}.${first}`, F, E, hasMlpBias);
    const active = activations[config.activation](builder, inner);
    return architecture.writeLinear(context, active, `${prefix}.${second}`, E, F, hasMlpBias);
  };
}
