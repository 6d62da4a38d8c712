/**
 * Kernels that move elements: each says from where an element of the result comes.
 */

import { InvalidRequestError, ShapeError } from "../../errors.ts";
import type { MovementAttributes } from "../../graph/ops/movement.ts";
import { elementCount, formatShape, rowMajorStrides, type StaticShape } from "../../tensor/shape.ts";
import { axisOf, inputAt, type Kernels } from "./kernel.ts";
import {
  broadcastIndex,
  coordinates,
  element,
  int64Of,
  integersOf,
  numbersOf,
  type ReferenceTensor,
  select,
  tabulate,
  tabulateInt64,
} from "./reference-tensor.ts";

function reshape(x: ReferenceTensor, shape: StaticShape): ReferenceTensor {
  if (elementCount(shape) !== x.data.length) {
    throw new ShapeError({
      where: "Reshape",
      what: "the shapes hold different numbers of elements",
      got: formatShape(x.shape),
      expected: formatShape(shape),
    });
  }
  return { ...x, shape };
}

function transpose(x: ReferenceTensor, permutation: readonly number[]): ReferenceTensor {
  const strides = rowMajorStrides(x.shape);
  const shape = permutation.map((axis) => element(x.shape, axis));
  return select(x, shape, (index) =>
    coordinates(shape, index).reduce(
      (total, at, axis) => total + at * element(strides, element(permutation, axis)),
      0,
    ),
  );
}

/** Takes `length` places of an axis, from `start`. */
function cut(x: ReferenceTensor, axis: number, start: number, length: number): ReferenceTensor {
  const extent = element(x.shape, axis);
  if (start + length > extent) {
    throw new InvalidRequestError({
      where: "Slice",
      what: `the range does not fit axis ${axis}`,
      got: `${start}..${start + length}`,
      expected: `at most ${extent}`,
    });
  }
  const inner = elementCount(x.shape.slice(axis + 1));
  const run = length * inner;
  return select(x, x.shape.with(axis, length), (index) => {
    const outer = Math.floor(index / run);
    return (outer * extent + start) * inner + (index % run);
  });
}

function concat(inputs: readonly ReferenceTensor[], axis: number): ReferenceTensor {
  const { dtype, shape } = inputAt(inputs, 0);
  const runs = inputs.map((input) => elementCount(input.shape.slice(axis)));
  const outerCount = elementCount(shape.slice(0, axis));
  const total = inputs.reduce((sum, input) => sum + element(input.shape, axis), 0);
  const places: (readonly [input: number, at: number])[] = [];
  for (let outer = 0; outer < outerCount; outer++) {
    runs.forEach((run, input) => {
      for (let at = outer * run; at < (outer + 1) * run; at++) places.push([input, at]);
    });
  }
  const whole = shape.with(axis, total);
  if (dtype === "int64") {
    const parts = inputs.map(int64Of);
    return tabulateInt64(whole, (index) => {
      const [input, at] = element(places, index);
      return element(element(parts, input), at);
    });
  }
  const parts = inputs.map(numbersOf);
  return tabulate(dtype, whole, (index) => {
    const [input, at] = element(places, index);
    return element(element(parts, input), at);
  });
}

function split(x: ReferenceTensor, axis: number, sizes: readonly number[]): ReferenceTensor[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total !== x.shape[axis]) {
    throw new InvalidRequestError({
      where: "Split",
      what: "the sizes do not add up",
      got: sizes,
      expected: `a total of ${x.shape[axis]}`,
    });
  }
  let start = 0;
  return sizes.map((size) => {
    const part = cut(x, axis, start, size);
    start += size;
    return part;
  });
}

function gather(x: ReferenceTensor, indices: ReferenceTensor): ReferenceTensor {
  const [rowCount = 0, ...row] = x.shape;
  const width = elementCount(row);
  const rows = integersOf(indices).map((index) => {
    const resolved = index < 0 ? index + rowCount : index;
    if (resolved >= 0 && resolved < rowCount) return resolved;
    throw new InvalidRequestError({
      where: "Gather",
      what: "an index is out of range",
      got: index,
      expected: `-${rowCount} to ${rowCount - 1}`,
    });
  });
  return select(
    x,
    [...indices.shape, ...row],
    (index) => element(rows, Math.floor(index / width)) * width + (index % width),
  );
}

/** Gives, for each index, where in x `[.., n, ..]` the element lies that it names along the axis. */
function elementPlaces(op: string, x: ReferenceTensor, indices: ReferenceTensor, axis: number): number[] {
  const strides = rowMajorStrides(x.shape);
  const extent = element(x.shape, axis);
  return integersOf(indices).map((given, index) => {
    const resolved = given < 0 ? given + extent : given;
    if (resolved < 0 || resolved >= extent) {
      const expected = `-${extent} to ${extent - 1}`;
      throw new InvalidRequestError({ where: op, what: "an index is out of range", got: given, expected });
    }
    const at = coordinates(indices.shape, index).with(axis, resolved);
    return at.reduce((total, place, i) => total + place * element(strides, i), 0);
  });
}

function gatherElements(x: ReferenceTensor, indices: ReferenceTensor, axis: number): ReferenceTensor {
  const places = elementPlaces("GatherElements", x, indices, axis);
  return select(x, indices.shape, (index) => element(places, index));
}

function scatterAdd(inputs: readonly ReferenceTensor[], axis: number): ReferenceTensor {
  const [x, indices, updates] = [inputAt(inputs, 0), inputAt(inputs, 1), inputAt(inputs, 2)];
  const [data, added] = [numbersOf(x).slice(), numbersOf(updates)];
  elementPlaces("ScatterElements", x, indices, axis).forEach((place, index) => {
    data[place] = element(data, place) + element(added, index);
  });
  return { ...x, data };
}

function expand(x: ReferenceTensor, shape: StaticShape): ReferenceTensor {
  return select(x, shape, broadcastIndex(x.shape, shape));
}

/** Gives the kernel of each movement operator. */
export const movementKernels: Kernels<MovementAttributes> = {
  Reshape: (inputs, { shape }, { evaluateShape }) => [reshape(inputAt(inputs, 0), evaluateShape(shape))],
  Transpose: (inputs, { permutation }) => [transpose(inputAt(inputs, 0), permutation)],
  Concat: (inputs, { axis }) => [concat(inputs, axisOf(inputAt(inputs, 0).shape, axis))],
  Slice: (inputs, { axis, start, end }) => {
    const x = inputAt(inputs, 0);
    return [cut(x, axisOf(x.shape, axis), start, end - start)];
  },
  Split: (inputs, { axis, sizes }, { evaluateShape }) => {
    const x = inputAt(inputs, 0);
    const given = inputs[1];
    const values = given === undefined ? evaluateShape(sizes) : integersOf(given);
    return split(x, axisOf(x.shape, axis), values);
  },
  Gather: (inputs) => [gather(inputAt(inputs, 0), inputAt(inputs, 1))],
  GatherElements: (inputs, { axis }) => {
    const x = inputAt(inputs, 0);
    return [gatherElements(x, inputAt(inputs, 1), axisOf(x.shape, axis))];
  },
  ScatterElements: (inputs, { axis }) => [scatterAdd(inputs, axisOf(inputAt(inputs, 0).shape, axis))],
  Expand: (inputs, { shape }, { evaluateShape }) => {
    const given = inputs[1];
    return [expand(inputAt(inputs, 0), given === undefined ? evaluateShape(shape) : integersOf(given))];
  },
  Shape: (inputs) => {
    const { shape } = inputAt(inputs, 0);
    return [tabulateInt64([shape.length], (axis) => BigInt(element(shape, axis)))];
  },
};
