/**
 * What local attention is fed in a run, and what the caches take in of it: rotary tables, masks, past keys and values.
 */

import { InternalError } from "../errors.ts";
import type { NamedTensors } from "../runtime/runtime.ts";
import type { Tensor } from "../runtime/tensor-memory.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import type { AttentionGeometry } from "./geometry.ts";
import {
  inputsOfKind,
  kindName,
  masked,
  newKeysName,
  newValuesName,
  pastKeysName,
  pastMaskName,
  pastValuesName,
  positionsName,
} from "./local-attention.ts";
import type { LocalCache } from "./local-cache.ts";
import { rotaryTables } from "./rotary.ts";

/** Is what masks a run: which places are empty, and which tokens come later. */
interface Masks {
  readonly usedTokens: number;
  /** `[P]`. */
  readonly past: HostTensor<"float32">;
  /** `[T, P + T]`. */
  readonly causal: HostTensor<"float32">;
}

/** The masks of each cache's last run, by window: whole segments follow one another with the same ones. */
const lastMasks = new WeakMap<LocalCache, Map<number, Masks>>();

/** The place of a token in the cache is its position, so that a window hides the places before it. */
function createMasks({ places, usedTokens }: LocalCache, tokenCount: number, windowTokens: number): Masks {
  const hiddenBefore = (position: number): number => Math.max(0, position + 1 - windowTokens);
  const past = new Float32Array(places).fill(masked, usedTokens);
  past.fill(masked, 0, Math.min(usedTokens, hiddenBefore(usedTokens)));
  const width = places + tokenCount;
  const causal = new Float32Array(tokenCount * width);
  for (let row = 0; row < tokenCount; row++) {
    const start = row * width;
    const hidden = hiddenBefore(usedTokens + row);
    causal.fill(masked, start, start + Math.min(usedTokens, hidden));
    causal.fill(masked, start + usedTokens, start + places);
    causal.fill(masked, start + places, start + places + Math.max(0, hidden - usedTokens));
    causal.fill(masked, start + places + row + 1, start + width);
  }
  return {
    usedTokens,
    past: hostTensor("float32", [places], past),
    causal: hostTensor("float32", [tokenCount, width], causal),
  };
}

function masksFor(cache: LocalCache, tokenCount: number, windowTokens: number): Masks {
  const known = lastMasks.get(cache) ?? new Map<number, Masks>();
  const last = known.get(windowTokens);
  const isSame =
    last?.usedTokens === cache.usedTokens &&
    last.past.shape[0] === cache.places &&
    last.causal.shape[0] === tokenCount;
  if (isSame) return last;
  const masks = createMasks(cache, tokenCount, windowTokens);
  lastMasks.set(cache, known.set(windowTokens, masks));
  return masks;
}

/** Gives the inputs that choose, for a run of so many tokens, which parts of the inference graph are evaluated. */
export function localSwitches(tokenCount: number): Record<string, HostTensor> {
  return { is_single_token: hostTensor("bool", [], Uint8Array.of(tokenCount === 1 ? 1 : 0)) };
}

/** Gives the cache that holds a layer. */
export type CacheOf = (layer: number) => LocalCache;

/**
 * Gives what local attention is fed.
 * @param firstPosition rotary position of the first new token.
 */
export function localAttentionFeeds(
  geometry: AttentionGeometry,
  cacheOf: CacheOf,
  firstPosition: number,
  tokenCount: number,
): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = localSwitches(tokenCount);
  if (geometry.hasLearnedPositions) {
    const positions = BigInt64Array.from({ length: tokenCount }, (_, row) => BigInt(firstPosition + row));
    feeds[positionsName] = hostTensor("int64", [tokenCount], positions);
  }
  geometry.kinds.forEach((kind, index) => {
    const { rotary, mask, places } = inputsOfKind(geometry, kind);
    const cache = cacheOf(geometry.layerKinds.indexOf(index));
    if (places === index) {
      const sizes = BigInt64Array.of(BigInt(cache.places), BigInt(tokenCount));
      feeds[kindName("split_sizes", index)] = hostTensor("int64", [2], sizes);
    }
    if (rotary === index) {
      const { cos, sin } = rotaryTables(kind, firstPosition, tokenCount);
      feeds[kindName("rotary_cos", index)] = cos;
      feeds[kindName("rotary_sin", index)] = sin;
    }
    if (mask === index) {
      const masks = masksFor(cache, tokenCount, kind.windowTokens);
      feeds[kindName(pastMaskName, index)] = masks.past;
      feeds[kindName("mask", index)] = masks.causal;
    }
  });
  for (let layer = 0; layer < geometry.layerCount; layer++) {
    feeds[pastKeysName(layer)] = cacheOf(layer).keys(layer);
    feeds[pastValuesName(layer)] = cacheOf(layer).values(layer);
  }
  return feeds;
}

/** Writes the new keys and values of a run into the cache of each layer. */
export function absorbLocal(
  geometry: AttentionGeometry,
  cacheOf: CacheOf,
  outputs: NamedTensors,
  tokenCount: number,
): void {
  const caches = new Set(geometry.layerKinds.map((_, layer) => cacheOf(layer)));
  for (const cache of caches) cache.reserve(tokenCount);
  for (let layer = 0; layer < geometry.layerCount; layer++) {
    const [keys, values] = [outputs[newKeysName(layer)], outputs[newValuesName(layer)]];
    if (keys === undefined || values === undefined) {
      throw new InternalError({ where: `layer ${layer}`, what: "no new rows came out" });
    }
    cacheOf(layer).write(layer, keys, values, tokenCount);
  }
  for (const cache of caches) cache.advance(tokenCount);
}
