/**
 * Symmetric quantisation of weights in blocks: rows of small integers with a float scale per block.
 *
 *   q = round(w / scale) + 2^(bits-1),   w' = (q - 2^(bits-1)) * scale
 *
 * With 8 bits the scale is the one that just fits the largest weight; with 4 it is searched for the least
 * squared error.
 * Elements of 4 bits lie two to a byte, the first in the low half (ONNX Runtime's MatMulNBits).
 */

import { ShapeError } from "../errors.ts";

/** Says how weights are held in blocks. */
export interface BlockFormat {
  readonly bits: 4 | 8;
  /** Elements of a row that share a scale: a power of two, at least 16. */
  readonly blockSize: number;
}

/** Is a matrix in blocks: rows of `columns / blockSize` blocks. */
export interface QuantizedRows {
  /** uint8 `[rows, columns * bits / 8]`. */
  readonly data: Uint8Array;
  /** float32 `[rows, columns / blockSize]`. */
  readonly scales: Float32Array;
  /** float32 `[rows, columns / blockSize]`, added to every element of a block; all zero where undefined. */
  readonly offsets?: Float32Array | undefined;
}

/**
 * Quanta that the largest weight is tried to have, for 4 bits: 7 and 8 just fit it, beyond 8 it is clipped, and the
 * others gain.
 */
const triedPeaks: readonly number[] = [7, 7.3, 7.6, 8, 8.4, 8.8, 9.2, 9.6, 10.2];

/**
 * Rounds steps to a quantum, `half` standing for zero. Truncation rounds, since what is not clipped is positive;
 * Math.round takes several times as long.
 */
function toQuantum(steps: number, half: number): number {
  const quantum = (steps + half + 0.5) | 0;
  if (quantum < 0) return 0;
  return quantum < 2 * half ? quantum : 2 * half - 1;
}

/** Returns the value of the largest magnitude. */
function findPeak(values: Float32Array, start: number, end: number): number {
  let peak = 0;
  for (let index = start; index < end; index++) {
    const value = values[index] ?? 0;
    if (Math.abs(value) > Math.abs(peak)) peak = value;
  }
  return peak;
}

/**
 * Searches the scale of a block of 4 bits. For given quanta q the best scale is x.q / q.q, and the squared error
 * it leaves is x.x - (x.q)^2 / q.q: the candidate with the largest second term wins.
 */
function searchScale(values: Float32Array, start: number, end: number, peak: number): number {
  let best = peak / -8;
  let most = 0;
  for (const tried of triedPeaks) {
    const inverse = -tried / peak;
    let xq = 0;
    let qq = 0;
    for (let index = start; index < end; index++) {
      const value = values[index] ?? 0;
      const quantum = toQuantum(value * inverse, 8) - 8;
      xq += value * quantum;
      qq += quantum * quantum;
    }
    if (qq > 0 && xq * xq > most * qq) {
      most = (xq * xq) / qq;
      best = xq / qq;
    }
  }
  return best;
}

function chooseScale(values: Float32Array, start: number, end: number, bits: BlockFormat["bits"]): number {
  const peak = findPeak(values, start, end);
  if (peak === 0) return 0;
  // The negative side has one quantum more: with 4 bits the peak takes it, whatever its sign.
  return bits === 8 ? Math.abs(peak) / 127 : searchScale(values, start, end, peak);
}

/**
 * Quantises a matrix row by row.
 * @param values float32 `[rows, columns]`, row-major; columns is a multiple of the block size.
 */
export function quantizeRows(
  values: Float32Array,
  columns: number,
  { bits, blockSize }: BlockFormat,
): QuantizedRows {
  if (columns % blockSize !== 0) {
    const expected = `a multiple of ${blockSize}`;
    throw new ShapeError({
      where: "quantizeRows",
      what: "rows are no whole blocks",
      got: `${columns} columns`,
      expected,
    });
  }
  const blockCount = values.length / blockSize;
  const data = new Uint8Array((values.length * bits) / 8);
  const scales = new Float32Array(blockCount);
  const half = 2 ** (bits - 1);
  for (let block = 0; block < blockCount; block++) {
    const start = block * blockSize;
    const scale = Math.fround(chooseScale(values, start, start + blockSize, bits));
    scales[block] = scale;
    const inverse = scale === 0 ? 0 : 1 / scale;
    for (let index = start; index < start + blockSize; index++) {
      const quantum = toQuantum((values[index] ?? 0) * inverse, half);
      if (bits === 8) data[index] = quantum;
      else data[index >> 1] = (data[index >> 1] ?? 0) | (index % 2 === 0 ? quantum : quantum << 4);
    }
  }
  return { data, scales };
}
