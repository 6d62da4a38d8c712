/**
 * Attention geometries for tests of the memory: tiny, with plain rotary frequencies.
 */

import type { AttentionGeometry } from "../../src/memory/geometry.ts";

/** Makes a geometry; what is left out is tiny. Frequencies are 100^(-2i/D). */
export function tinyGeometry(
  sizes: Partial<Omit<AttentionGeometry, "inverseFrequencies">> = {},
): AttentionGeometry {
  const { queryHeadCount = 4, keyValueHeadCount = 2, headSize = 4 } = sizes;
  const half = headSize / 2;
  return {
    layerCount: 2,
    hiddenSize: 6,
    maxPositions: 512,
    ...sizes,
    queryHeadCount,
    keyValueHeadCount,
    headSize,
    inverseFrequencies: Float64Array.from({ length: half }, (_, pair) => 100 ** (-pair / half)),
  };
}
