/**
 * Elementwise kernels; shapes broadcast as in numpy.
 */

import { broadcastShapes } from "../../graph/dim.ts";
import type { ElementwiseAttributes } from "../../graph/ops/elementwise.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { StaticShape } from "../../tensor/shape.ts";
import { inputAt, type Kernel, type Kernels } from "./kernel.ts";
import {
  broadcastIndex,
  element,
  int64Of,
  isFloat,
  numbersOf,
  type ReferenceTensor,
  tabulate,
  tabulateInt64,
} from "./reference-tensor.ts";

function broadcast(tensors: readonly ReferenceTensor[]): StaticShape {
  return broadcastShapes("reference", ...tensors.map(({ shape }) => shape)).map(Number);
}

const unary =
  (compute: (x: number) => number): Kernel<unknown> =>
  (inputs) => {
    const x = inputAt(inputs, 0);
    const data = numbersOf(x);
    return [tabulate(x.dtype, x.shape, (index) => compute(element(data, index)))];
  };

const binary =
  (onNumbers: (a: number, b: number) => number, onInt64: (a: bigint, b: bigint) => bigint): Kernel<unknown> =>
  (inputs) => {
    const a = inputAt(inputs, 0);
    const b = inputAt(inputs, 1);
    const shape = broadcast([a, b]);
    const indexA = broadcastIndex(a.shape, shape);
    const indexB = broadcastIndex(b.shape, shape);
    if (a.dtype === "int64") {
      const [left, right] = [int64Of(a), int64Of(b)];
      return [tabulateInt64(shape, (i) => onInt64(element(left, indexA(i)), element(right, indexB(i))))];
    }
    const [left, right] = [numbersOf(a), numbersOf(b)];
    return [tabulate(a.dtype, shape, (i) => onNumbers(element(left, indexA(i)), element(right, indexB(i))))];
  };

function largerInt64(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}

const smallerInt64 = (a: bigint, b: bigint): bigint => -largerInt64(-a, -b);

/** Typed arrays of integers drop the fraction of a quotient, as ONNX wants. */
const binaries = {
  Add: binary(
    (a, b) => a + b,
    (a, b) => a + b,
  ),
  Sub: binary(
    (a, b) => a - b,
    (a, b) => a - b,
  ),
  Mul: binary(
    (a, b) => a * b,
    (a, b) => a * b,
  ),
  Div: binary(
    (a, b) => a / b,
    (a, b) => a / b,
  ),
  Max: binary(Math.max, largerInt64),
  Min: binary(Math.min, smallerInt64),
};

/** Compares numbers; int64 are compared as such, beyond what a number holds. */
function greater(inputs: readonly ReferenceTensor[]): ReferenceTensor {
  const [a, b] = [inputAt(inputs, 0), inputAt(inputs, 1)];
  const shape = broadcast([a, b]);
  const indexA = broadcastIndex(a.shape, shape);
  const indexB = broadcastIndex(b.shape, shape);
  return tabulate("bool", shape, (i) =>
    element<number | bigint>(a.data, indexA(i)) > element<number | bigint>(b.data, indexB(i)) ? 1 : 0,
  );
}

function castNumber(value: number, to: DType): number {
  if (to === "bool") return value === 0 ? 0 : 1;
  return isFloat(to) ? value : Math.trunc(value);
}

function cast(x: ReferenceTensor, to: DType): ReferenceTensor {
  const { data, shape } = x;
  if (data instanceof BigInt64Array) {
    if (to === "int64") return x;
    // Narrowing wraps as in C; a typed array does that for numbers up to 2^53.
    const narrow = (value: bigint): number =>
      Number(isFloat(to) || to === "bool" ? value : BigInt.asIntN(32, value));
    return tabulate(to, shape, (index) => castNumber(narrow(element(data, index)), to));
  }
  if (to !== "int64") return tabulate(to, shape, (index) => castNumber(element(data, index), to));
  return tabulateInt64(shape, (index) => BigInt(Math.trunc(element(data, index))));
}

function where(inputs: readonly ReferenceTensor[]): ReferenceTensor {
  const [condition, yes, no] = [inputAt(inputs, 0), inputAt(inputs, 1), inputAt(inputs, 2)];
  const shape = broadcast([condition, yes, no]);
  const conditions = numbersOf(condition);
  const indexCondition = broadcastIndex(condition.shape, shape);
  const indexYes = broadcastIndex(yes.shape, shape);
  const indexNo = broadcastIndex(no.shape, shape);
  const holds = (index: number): boolean => element(conditions, indexCondition(index)) !== 0;
  if (yes.dtype === "int64") {
    const [left, right] = [int64Of(yes), int64Of(no)];
    return tabulateInt64(shape, (i) => (holds(i) ? element(left, indexYes(i)) : element(right, indexNo(i))));
  }
  const [left, right] = [numbersOf(yes), numbersOf(no)];
  return tabulate(yes.dtype, shape, (i) =>
    holds(i) ? element(left, indexYes(i)) : element(right, indexNo(i)),
  );
}

/** Sums erf(x) = 2/sqrt(pi) e^(-x^2) (x + 2x^3/3 + 4x^5/15 + ...), whose terms have one sign; beyond 6 it is 1. */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let total = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(total); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    total += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * total;
}

const gelus: {
  readonly [Approximation in ElementwiseAttributes["Gelu"]["approximate"]]: (x: number) => number;
} = {
  none: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
  tanh: (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
};

/** Gives the kernel of each elementwise operator. */
export const elementwiseKernels: Kernels<ElementwiseAttributes> = {
  ...binaries,
  Identity: (inputs) => [inputAt(inputs, 0)],
  Greater: (inputs) => [greater(inputs)],
  Neg: unary((x) => -x),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Sqrt: unary(Math.sqrt),
  Sigmoid: unary((x) => 1 / (1 + Math.exp(-x))),
  Tanh: unary(Math.tanh),
  Erf: unary(erf),
  Elu: (inputs, { alpha }, context) => unary((x) => (x > 0 ? x : alpha * Math.expm1(x)))(inputs, {}, context),
  Gelu: (inputs, { approximate }, context) => unary(gelus[approximate])(inputs, {}, context),
  Where: (inputs) => [where(inputs)],
  Cast: (inputs, { to }) => [cast(inputAt(inputs, 0), to)],
};
