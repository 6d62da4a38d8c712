/**
 * Static shapes of host tensors: sizes, strides and printing. Symbolic shapes belong to graph/.
 */

/** Lists the extents of a tensor's dimensions, outermost first. */
export type StaticShape = readonly number[];

/** Returns the number of elements of a shape; 1 for a scalar (`[]`). */
export function elementCount(shape: StaticShape): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Returns row-major strides, in elements. */
export function rowMajorStrides(shape: StaticShape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis] ?? 1;
  }
  return strides;
}

/** Prints a shape as `[2, 3]`. */
export function formatShape(shape: readonly (number | string)[]): string {
  return `[${shape.join(", ")}]`;
}

/** Tells whether two shapes are the same. */
export function sameShape(a: readonly (number | string)[], b: readonly (number | string)[]): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}
