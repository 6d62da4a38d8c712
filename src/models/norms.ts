/**
 * The ways to normalise the last axis.
 */

import type { DecoderArchitecture } from "./architecture.ts";

type WriteNorm = DecoderArchitecture["writeNorm"];

/** Writes RMS normalisation (arXiv 1910.07467); some families add 1 to its weights. */
export const writeRmsNorm: WriteNorm = ({ builder, config, weights }, x, prefix, size) => {
  const weight = weights.take(builder, `${prefix}.weight`, [size]);
  const scale = config.normOffset === 0 ? weight : builder.add(weight, builder.scalar(config.normOffset));
  return builder.rmsNorm(x, scale, config.normEpsilon);
};

/** Writes layer normalisation with a bias (arXiv 1607.06450). */
export const writeLayerNorm: WriteNorm = ({ builder, config, weights }, x, prefix, size) => {
  const weight = weights.take(builder, `${prefix}.weight`, [size]);
  const bias = weights.take(builder, `${prefix}.bias`, [size]);
  return builder.layerNorm(x, weight, bias, config.normEpsilon);
};
