/**
 * Holding a checkpoint in float16: its matrices, which are multiplied in float16 then. Norms and biases are float32
 * in the graph, as ever.
 *
 * What float16 cannot hold is refused, never made infinite. Why products and nothing else: docs/adr/0009.
 */

import { UnsupportedError } from "../errors.ts";
import { readTensor, type TensorEntry } from "../files/safetensors.ts";
import type { WeightEntry } from "../graph/weights.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { bfloat16ToFloat16, encodeFloat16, findNonFiniteFloat16 } from "../tensor/half-float.ts";
import type { HeldWeight } from "./held-weights.ts";
import { isWeight, widenTensor } from "./quantized-weights.ts";

const remedy = 'Choose dtype "q8" or "f32".';

/**
 * Checks that a runtime multiplies in float16.
 * @throws {@link UnsupportedError} naming what is missing.
 */
export async function assertComputesFloat16({ name, computesFloat16 }: Runtime): Promise<void> {
  if (await computesFloat16?.()) return;
  const isGpu = computesFloat16 !== undefined;
  throw new UnsupportedError({
    where: "dtype",
    what: isGpu
      ? `the adapter of this GPU lacks the feature shader-f16 (${name})`
      : `${name} does not multiply in float16`,
    got: "f16",
    expected: 'device "webgpu" on a GPU with shader-f16',
    remedy,
  });
}

/**
 * Checks that rounding to float16 left numbers.
 * @param widen gives the numbers as they were.
 * @throws {@link UnsupportedError} naming the tensor and the number.
 */
function assertFinite(name: string, halves: Uint16Array, widen: () => Float32Array): Uint16Array {
  const index = findNonFiniteFloat16(halves);
  if (index < 0) return halves;
  throw new UnsupportedError({
    where: `tensor ${name}`,
    what: "float16 cannot hold a weight",
    got: widen()[index],
    expected: "magnitudes up to 65504",
    remedy,
  });
}

/** Rounds a weight to float16. @throws {@link UnsupportedError} when float16 cannot hold it. */
export function narrowValues(name: string, values: Float32Array): Uint16Array {
  return assertFinite(name, encodeFloat16(values), () => values);
}

async function readHalf(entry: TensorEntry, signal: AbortSignal | undefined): Promise<Uint16Array> {
  const tensor = await readTensor(entry, signal);
  const { data, dtype } = tensor;
  const widen = (): Float32Array => widenTensor(tensor, entry.name);
  if (!(data instanceof Uint16Array)) return narrowValues(entry.name, widen());
  return dtype === "float16" ? data : assertFinite(entry.name, bfloat16ToFloat16(data), widen);
}

function isMatrix({ shape }: { readonly shape: readonly number[] }): boolean {
  return shape.length === 2;
}

/** Plans how a checkpoint is held: matrices in float16. Undefined where its files have them so. */
export function holdMatricesInHalf(
  tensors: ReadonlyMap<string, TensorEntry>,
): readonly HeldWeight[] | undefined {
  const weights = [...tensors.values()].filter(isWeight);
  if (weights.every((entry) => !isMatrix(entry) || entry.dtype === "float16")) return undefined;
  return weights.map((entry): HeldWeight => {
    const { name, shape } = entry;
    const common = { name, shape, hasOffsets: false };
    if (isMatrix(entry)) return { ...common, format: "float16", read: (signal) => readHalf(entry, signal) };
    const read = async (signal?: AbortSignal) => widenTensor(await readTensor(entry, signal), name);
    return { ...common, format: "float32", read };
  });
}

/** Says of matrices held in float16 that they are multiplied in it. */
export function multiplyInHalf(entries: ReadonlyMap<string, WeightEntry>): ReadonlyMap<string, WeightEntry> {
  const mark = (entry: WeightEntry): WeightEntry =>
    "dtype" in entry && entry.dtype === "float16" && isMatrix(entry)
      ? { ...entry, productDType: "float16" }
      : entry;
  return new Map([...entries].map(([name, entry]) => [name, mark(entry)]));
}
