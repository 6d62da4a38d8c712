/** Examples of operators on quantised weights. */

import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import type { QuantizedAttributes } from "../../../src/graph/ops/quantized.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host-tensor.ts";
import { elementCount, type StaticShape } from "../../../src/tensor/shape.ts";
import { type Examples, type ExampleWriter, f32, i64, random } from "./example.ts";

function randomBytes(seed: number, shape: StaticShape): HostTensor<"uint8"> {
  const generator = xoroshiro128plus(seed);
  return hostTensor(
    "uint8",
    shape,
    Uint8Array.from({ length: elementCount(shape) }, () => uniformInt(generator, 0, 255)),
  );
}

function bytes(shape: StaticShape, values: readonly number[]): HostTensor<"uint8"> {
  return hostTensor("uint8", shape, Uint8Array.from(values));
}

const positive = [0.01, 0.1] as const;

/** Multiplies 5 rows by 7 quantised ones of 64 elements; weights are constants, as runtimes expect. */
function product({ b, feed }: ExampleWriter, bits: 4 | 8, withZeroPoints: boolean) {
  const x = feed(random(1, [5, 64]), ["T", 64]);
  const data = b.constant("data", randomBytes(2, [7, 2, 4 * bits]));
  const scales = b.constant("scales", random(3, [7, 2], positive));
  const zeroPoints = withZeroPoints ? [b.constant("zero_points", random(4, [7, 2], [2, 12]))] : [];
  return b.matMulNBits(x, [data, scales, ...zeroPoints], {
    bits,
    blockSize: 32,
    innerSize: 64,
    accuracyLevel: 1,
  });
}

/** Examples of operators on quantised weights. */
export const quantizedExamples: Examples<QuantizedAttributes> = {
  MatMulNBits: [
    {
      title: "a known product of 8 bits: 128 stands for zero",
      write: ({ b, feed }) => {
        const quanta = [...Array<number>(16).fill(128), ...Array<number>(15).fill(129), 127];
        const data = b.constant("data", bytes([2, 1, 16], quanta));
        const scales = b.constant("scales", f32([2, 1], [3, 0.5]));
        const x = feed(f32([1, 16], Array<number>(16).fill(2)));
        return [
          b.matMulNBits(x, [data, scales], { bits: 8, blockSize: 16, innerSize: 16, accuracyLevel: 1 }),
        ];
      },
      expected: [f32([1, 2], [0, 14])],
    },
    {
      title: "a known product of 4 bits: the low half of a byte comes first, 8 stands for zero",
      write: ({ b, feed }) => {
        const data = b.constant("data", bytes([1, 1, 8], [0x89, ...Array<number>(7).fill(0x88)]));
        const scales = b.constant("scales", f32([1, 1], [2]));
        const x = feed(f32([1, 16], [1, 10, ...Array<number>(14).fill(100)]));
        return [
          b.matMulNBits(x, [data, scales], { bits: 4, blockSize: 16, innerSize: 16, accuracyLevel: 1 }),
        ];
      },
      expected: [f32([1, 1], [2])],
    },
    { title: "8 bits", write: (writer) => [product(writer, 8, false)] },
    { title: "4 bits", write: (writer) => [product(writer, 4, false)] },
    { title: "4 bits with float zero points", write: (writer) => [product(writer, 4, true)] },
  ],
  GatherBlockQuantized: [
    ...([4, 8] as const).map((bits) => ({
      title: `rows of a table of ${bits} bits`,
      write: ({ b, feed }: ExampleWriter) => {
        const data = b.constant("data", randomBytes(1, [6, 8 * bits]));
        const scales = b.constant("scales", random(2, [6, 2], positive));
        const indices = feed(i64([3], [4, 0, 4]), ["T"]);
        return [b.gatherBlockQuantized(data, indices, scales, { bits, blockSize: 32, innerSize: 64 })];
      },
    })),
  ],
};
