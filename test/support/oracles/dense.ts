/**
 * Arithmetic of oracles: vectors as plain arrays, matrices row-major, everything in float64 and with loops.
 */

/** Is a checkpoint's tensors in float64. */
export type Weights = ReadonlyMap<string, Float64Array>;

/** Reads an element; NaN beyond the end, so that a mistake shows. */
export const at = (vector: ArrayLike<number>, index: number): number => vector[index] ?? Number.NaN;

/** Adds products of elements. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += at(a, index) * at(b, index);
  return sum;
}

/** Adds vectors. */
export const add = (a: readonly number[], b: readonly number[]): number[] => a.map((x, i) => x + at(b, i));

/** Multiplies a vector by a number. */
export const scale = (x: readonly number[], factor: number): number[] => x.map((value) => value * factor);

/** Computes x / (1 + e^-x). */
export const silu = (x: number): number => x / (1 + Math.exp(-x));

/** Computes GELU as torch's `tanh` approximation does. */
export const geluTanh = (x: number): number =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));

/** Computes GELU, x times the normal distribution, which is integrated by Simpson's rule. */
export function gelu(x: number): number {
  const steps = 400;
  const width = x / steps;
  const density = (t: number): number => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let step = 1; step < steps; step++) sum += (step % 2 === 0 ? 2 : 4) * density(step * width);
  return x * (0.5 + (sum * width) / 3);
}

/** Computes `W x (+ b)` for W `[rows, columns]`. */
export function multiply(matrix: Float64Array, x: readonly number[], bias?: Float64Array): number[] {
  return Array.from({ length: matrix.length / x.length }, (_, row) => {
    const start = row * x.length;
    return dot(matrix.subarray(start, start + x.length), x) + (bias === undefined ? 0 : at(bias, row));
  });
}

/** Computes RMS normalisation; `offset` is added to the weights. */
export function rmsNorm(x: readonly number[], weight: Float64Array, epsilon: number, offset = 0): number[] {
  const factor = 1 / Math.sqrt(dot(x, x) / x.length + epsilon);
  return x.map((value, index) => value * factor * (at(weight, index) + offset));
}

/** Computes layer normalisation with a bias. */
export function layerNorm(
  x: readonly number[],
  weight: Float64Array,
  bias: Float64Array,
  epsilon: number,
): number[] {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  return x.map(
    (value, index) => ((value - mean) / Math.sqrt(variance + epsilon)) * at(weight, index) + at(bias, index),
  );
}

/** Cuts a vector into heads. */
export function splitHeads(flat: readonly number[], headSize: number): number[][] {
  return Array.from({ length: flat.length / headSize }, (_, head) =>
    flat.slice(head * headSize, (head + 1) * headSize),
  );
}

/** Computes `x cos + rotate_half(x) sin` over the first elements of a head, twice as many as there are frequencies. */
export function rotate(x: readonly number[], position: number, frequencies: readonly number[]): number[] {
  const half = frequencies.length;
  return x.map((value, index) => {
    if (index >= 2 * half) return value;
    const angle = position * at(frequencies, index % half);
    const other = index < half ? -at(x, index + half) : at(x, index - half);
    return value * Math.cos(angle) + other * Math.sin(angle);
  });
}

/** Lists theta^(-2i/size). */
export function plainFrequencies(theta: number, size: number): number[] {
  return Array.from({ length: size / 2 }, (_, pair) => theta ** ((-2 * pair) / size));
}
