/**
 * Attention geometries for tests of the memory: tiny, with plain rotary frequencies.
 */

import type { AttentionGeometry } from "../../src/memory/geometry.ts";

/** Makes a geometry; what is left out is tiny. Frequencies are 100^(-2i/D). */
export function tinyGeometry(sizes: Partial<AttentionGeometry> = {}): AttentionGeometry {
  const { layerCount = 2, queryHeadCount = 4, keyValueHeadCount = 2, headSize = 4 } = sizes;
  const half = headSize / 2;
  return {
    layerCount,
    hiddenSize: 6,
    maxPositions: 512,
    scoreScale: 1 / Math.sqrt(headSize),
    kinds: [
      {
        inverseFrequencies: Float64Array.from({ length: half }, (_, pair) => 100 ** (-pair / half)),
        rotaryScale: 1,
        windowTokens: Number.POSITIVE_INFINITY,
      },
    ],
    layerKinds: new Array<number>(layerCount).fill(0),
    hasLearnedPositions: false,
    ...sizes,
    queryHeadCount,
    keyValueHeadCount,
    headSize,
  };
}
