import { expect } from "vitest";
import { decodeBfloat16, decodeFloat16 } from "../../../src/tensor/half-float.ts";
import { type HostTensor, hasDType } from "../../../src/tensor/host-tensor.ts";

/**
 * How far results may lie apart, relative to 1 + |expected|. The examples sum at most 64 terms below 4, in any
 * order, so float32 loses a few of its 24 bits; exponentials are polynomials good to about 1e-6.
 */
const tolerances: Partial<Record<HostTensor["dtype"], number>> = { float32: 1e-5, float64: 1e-12 };

function valuesOf(tensor: HostTensor): readonly (number | bigint)[] {
  if (hasDType(tensor, "float16")) return [...decodeFloat16(tensor.data)];
  if (hasDType(tensor, "bfloat16")) return [...decodeBfloat16(tensor.data)];
  return [...tensor.data];
}

/** Expects a tensor to have a type and, within its dtype's tolerance, the elements of another. */
export function expectClose(actual: HostTensor | undefined, expected: HostTensor | undefined): void {
  expect({ dtype: actual?.dtype, shape: actual?.shape }).toEqual({
    dtype: expected?.dtype,
    shape: expected?.shape,
  });
  if (actual === undefined || expected === undefined) return;
  const tolerance = tolerances[expected.dtype] ?? 0;
  const values = valuesOf(actual);
  const wanted = valuesOf(expected);
  const near = wanted.map((value, index) => {
    const got = values[index];
    if (typeof value === "bigint" || typeof got !== "number") return value;
    return Math.abs(got - value) <= tolerance * (1 + Math.abs(value)) ? got : value;
  });
  expect(values.map((value) => (value === 0 ? 0 : value))).toEqual(near.map((v) => (v === 0 ? 0 : v)));
}
