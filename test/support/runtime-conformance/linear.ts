import type { LinearAttributes } from "../../../src/graph/ops/linear.ts";
import { encodeFloat16 } from "../../../src/tensor/half-float.ts";
import { hostTensor } from "../../../src/tensor/host-tensor.ts";
import { type Examples, f32, random, tensor } from "./example.ts";

/** Examples of matrix products. */
export const linearExamples: Examples<LinearAttributes> = {
  MatMul: [
    {
      title: "a known product",
      write: ({ b, feed }) => [
        b.matMul(feed(f32([2, 3], [1, 2, 3, 4, 5, 6]), ["T", 3]), feed(f32([3, 2], [1, 0, 0, 1, 2, -1]))),
      ],
      expected: [f32([2, 2], [7, -1, 16, -1])],
    },
    {
      title: "batches broadcast",
      write: ({ b, feed }) => [
        b.matMul(feed(random(1, [2, 1, 3, 4])), feed(random(2, [3, 4, 2]))),
        b.matMul(feed(random(3, [2, 3, 4])), feed(random(4, [4, 5]))),
        b.matMul(feed(random(5, [3, 4])), feed(random(6, [2, 2, 4, 1]))),
        b.matMul(
          feed(random(7, [1, 2, 3, 4]), [1, 2, "T", 4]),
          feed(random(8, [1, 2, 4, 6]), [1, 2, 4, "P+T"]),
        ),
      ],
    },
    {
      title: "an empty inner extent sums to zero",
      write: ({ b, feed }) => [
        b.matMul(feed(f32([2, 0], []), [2, "P"]), feed(f32([0, 2], []), ["P", 2])),
        b.matMul(feed(f32([2, 1, 0], []), [2, 1, "P"]), feed(f32([2, 0, 2], []), [2, "P", 2])),
      ],
      expected: [f32([2, 2], [0, 0, 0, 0]), f32([2, 1, 2], [0, 0, 0, 0])],
    },
    {
      title: "no rows, no columns, no batches",
      write: ({ b, feed }) => [
        b.matMul(feed(f32([0, 3], []), ["T", 3]), feed(random(1, [3, 2]))),
        b.matMul(feed(random(1, [2, 3])), feed(f32([3, 0], []))),
        b.matMul(feed(f32([0, 2, 3], [])), feed(random(1, [3, 2]))),
      ],
      expected: [f32([0, 2], []), f32([2, 0], []), f32([0, 2, 2], [])],
    },
    {
      title: "float16",
      write: ({ b, feed }) => {
        const half = (values: readonly number[]) => b.cast(feed(f32([2, 2], values)), "float16");
        return [b.cast(b.matMul(half([1, 2, 3, 0.5]), half([4, -1, 2, 8])), "float32")];
      },
      expected: [f32([2, 2], [8, 15, 13, 1])],
    },
    {
      title: "float64",
      write: ({ b, feed }) => [
        b.matMul(
          b.reshape(feed(tensor("float64", [1, 2])), [1, 2]),
          b.reshape(feed(tensor("float64", [3, 0.25])), [2, 1]),
        ),
      ],
    },
  ],
  Gemm: [
    {
      title: "known products: a stored weight, a plain one, a bias",
      write: ({ b, feed }) => {
        const x = feed(f32([2, 2], [1, 2, 3, 4]), ["T", 2]);
        const weight = feed(f32([2, 2], [1, -1, 0, 2]));
        return [
          b.linear(x, weight),
          b.linear(x, weight, feed(f32([2], [10, 20]))),
          b.gemm([x, weight], false, false),
        ];
      },
      expected: [f32([2, 2], [-1, 4, -1, 8]), f32([2, 2], [9, 24, 9, 28]), f32([2, 2], [1, 3, 3, 5])],
    },
    {
      title: "a transposed x, with a plain and a stored weight, and a bias",
      write: ({ b, feed }) => {
        const x = feed(f32([2, 3], [1, 2, 3, 4, 5, 6]), [2, "T"]);
        const weight = feed(f32([2, 2], [1, -1, 0, 2]));
        return [b.gemm([x, weight], true, false), b.gemm([x, weight, feed(f32([2], [10, 0]))], true, true)];
      },
      expected: [f32([3, 2], [1, 7, 2, 8, 3, 9]), f32([3, 2], [7, 8, 7, 10, 7, 12])],
    },
    {
      title: "odd sizes",
      write: ({ b, feed }) => [
        b.linear(feed(random(1, [5, 7])), feed(random(2, [3, 7])), feed(random(3, [3]))),
        b.linear(feed(random(4, [1, 33])), feed(random(5, [17, 33]))),
        b.gemm([feed(random(6, [33, 5])), feed(random(7, [33, 17]))], true, false),
      ],
    },
    {
      title: "a weight stored in float16",
      write: ({ b, feed }) => {
        const weight = b.constant("w", hostTensor("float16", [3, 2], encodeFloat16([1, -1, 0, 2, 0.5, 64])));
        const x = feed(f32([2, 2], [1, 2, 3, 4]), ["T", 2]);
        return [b.cast(b.linear(b.cast(x, "float16"), weight), "float32")];
      },
      expected: [f32([2, 3], [-1, 4, 128.5, -1, 8, 257.5])],
    },
    {
      title: "no rows, and an empty inner extent that leaves the bias",
      write: ({ b, feed }) => [
        b.linear(feed(f32([0, 2], []), ["T", 2]), feed(random(1, [3, 2])), feed(random(2, [3]))),
        b.linear(feed(f32([1, 0], [])), feed(f32([2, 0], [])), feed(f32([2], [4, 5]))),
      ],
      expected: [f32([0, 3], []), f32([1, 2], [4, 5])],
    },
  ],
};
