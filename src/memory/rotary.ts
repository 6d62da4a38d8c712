/**
 * Rotary position embedding on the host: tables of cosines and sines, and rotation of stored keys.
 *
 * Angles are computed in float64, so that positions of hundreds of millions stay exact to float32. Pairs are
 * (i, i + n) of n frequencies, as Hugging Face stores them. Rotary embedding: Su et al., arXiv 2104.09864.
 */

import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import type { AttentionKind } from "./geometry.ts";

/** Is what of a kind of layers the tables depend on. */
export type RotaryKind = Pick<AttentionKind, "inverseFrequencies" | "rotaryScale">;

/** Is a pair of tables `[1, tokens, n]` for n frequencies, float32. */
export interface RotaryTables {
  readonly cos: HostTensor<"float32">;
  readonly sin: HostTensor<"float32">;
}

/** Positions of a block. */
const blockRows = 64;
/** Most cosines that are kept of the same frequencies: 2 MiB with the sines. */
const mostKeptPairs = 2 ** 17;

/** Holds cosines and sines of a block of positions, float64 `[blockRows, n]`. */
interface RotaryBlock {
  readonly cos: Float64Array;
  readonly sin: Float64Array;
}

/**
 * Blocks of the frequencies of a model, the longest unused first. A commit needs the positions of all that it keeps
 * anew, all of which but one segment the commit before has needed too.
 */
const keptBlocks = new WeakMap<Float64Array, Map<number, RotaryBlock>>();

/** Returns a new block, or the oldest of a full house: what grows old and is left behind keeps the collector busy. */
function takeBlock(blocks: Map<number, RotaryBlock>, half: number): RotaryBlock {
  const length = blockRows * half;
  const [oldest] = blocks;
  if (oldest === undefined || (blocks.size + 1) * length <= mostKeptPairs)
    return { cos: new Float64Array(length), sin: new Float64Array(length) };
  blocks.delete(oldest[0]);
  return oldest[1];
}

function fillBlock({ cos, sin }: RotaryBlock, inverseFrequencies: Float64Array, index: number): void {
  const half = inverseFrequencies.length;
  for (let row = 0; row < blockRows; row++) {
    for (let pair = 0; pair < half; pair++) {
      const angle = (index * blockRows + row) * (inverseFrequencies[pair] ?? 0);
      cos[row * half + pair] = Math.cos(angle);
      sin[row * half + pair] = Math.sin(angle);
    }
  }
}

/** Gives a block; it holds until the next is asked for. */
function blockOf(inverseFrequencies: Float64Array, index: number): RotaryBlock {
  const blocks = keptBlocks.get(inverseFrequencies) ?? new Map<number, RotaryBlock>();
  keptBlocks.set(inverseFrequencies, blocks);
  const known = blocks.get(index);
  const block = known ?? takeBlock(blocks, inverseFrequencies.length);
  if (known === undefined) fillBlock(block, inverseFrequencies, index);
  else blocks.delete(index);
  blocks.set(index, block);
  return block;
}

/**
 * Gives the tables of `count` consecutive positions.
 * @param direction 1 rotates and scales, -1 undoes both.
 */
export function rotaryTables(
  { inverseFrequencies, rotaryScale }: RotaryKind,
  firstPosition: number,
  count: number,
  direction: 1 | -1 = 1,
): RotaryTables {
  const half = inverseFrequencies.length;
  const scale = rotaryScale ** direction;
  const cos = new Float32Array(count * half);
  const sin = new Float32Array(count * half);
  for (let done = 0; done < count; ) {
    const index = Math.floor((firstPosition + done) / blockRows);
    const block = blockOf(inverseFrequencies, index);
    const row = firstPosition + done - index * blockRows;
    const rows = Math.min(blockRows - row, count - done);
    const [from, to] = [row * half, done * half];
    for (let at = 0; at < rows * half; at++) {
      cos[to + at] = scale * (block.cos[from + at] ?? 0);
      sin[to + at] = direction * scale * (block.sin[from + at] ?? 0);
    }
    done += rows;
  }
  const shape = [1, count, half];
  return { cos: hostTensor("float32", shape, cos), sin: hostTensor("float32", shape, sin) };
}

/** Views the tables of the last `count` positions of others. */
export function lastPositions({ cos, sin }: RotaryTables, count: number): RotaryTables {
  const [, rows = 0, half = 0] = cos.shape;
  const view = ({ data }: HostTensor<"float32">): HostTensor<"float32"> =>
    hostTensor("float32", [1, count, half], data.subarray((rows - count) * half));
  return { cos: view(cos), sin: view(sin) };
}

/**
 * Rotates rows `[n, D]` by one and the same number of positions, without scaling.
 * @param from rows to rotate; may be `to` itself.
 */
export function rotateRows(
  from: Float32Array,
  to: Float32Array,
  inverseFrequencies: Float64Array,
  positions: number,
  headSize: number,
): void {
  const half = inverseFrequencies.length;
  to.set(from);
  for (let pair = 0; pair < half; pair++) {
    const angle = positions * (inverseFrequencies[pair] ?? 0);
    const cos = Math.cos(angle);
    const sin = Math.sin(angle);
    for (let row = 0; row < from.length; row += headSize) {
      const a = from[row + pair] ?? 0;
      const b = from[row + pair + half] ?? 0;
      to[row + pair] = a * cos - b * sin;
      to[row + pair + half] = b * cos + a * sin;
    }
  }
}
