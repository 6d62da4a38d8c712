/**
 * Draws random values for the tensors of a checkpoint.
 *
 * They are uniform, with a spread that keeps activations near 1 through any number of layers.
 */

import type { RandomGenerator } from "pure-rand/types/RandomGenerator";
import type { TensorPlan } from "../models/decoder-tensors.ts";

/** Draws numbers between `center - spread` and `center + spread`, to the precision of 32 bits. */
export function drawUniform(
  generator: RandomGenerator,
  length: number,
  center: number,
  spread: number,
): Float32Array {
  const values = new Float32Array(length);
  const scale = spread / 2 ** 31;
  for (let index = 0; index < length; index++) values[index] = center + generator.next() * scale;
  return values;
}

/** Draws the values of a tensor: projections and embeddings of a spread that hands on activations near 1. */
export function drawTensor(generator: RandomGenerator, { shape, role }: TensorPlan): Float32Array {
  const [rows = 1, columns = 1] = shape;
  switch (role) {
    case "norm":
      return drawUniform(generator, rows, 1, 0.3);
    case "offset-norm":
      return drawUniform(generator, rows, 0, 0.3);
    case "bias":
      return drawUniform(generator, rows, 0, 0.5);
    case "embedding":
      // Smaller than what the layers add, so that tied embeddings do not just repeat the last token.
      return drawUniform(generator, rows * columns, 0, 0.25);
    case "projection":
      // A uniform draw within +-sqrt(3/n) has variance 1/n; a little more keeps attention from being flat.
      return drawUniform(generator, rows * columns, 0, 1.3 * Math.sqrt(3 / columns));
  }
}
