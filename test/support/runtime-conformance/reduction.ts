import type { ReductionAttributes } from "../../../src/graph/ops/reduction.ts";
import { type Example, type Examples, f32, i64, random, tensor } from "./example.ts";

const six = [1, 5, -3, 4, 2, 6];

/** `rows` reduces axis 1 of [[1, 5, -3], [4, 2, 6]], `columns` axis 0, `whole` both. */
function reduce(
  op: "ReduceSum" | "ReduceMean" | "ReduceMax",
  { rows, columns, whole }: { rows: number[]; columns: number[]; whole: number },
): Example[] {
  return [
    {
      title: "known results: one axis, from the end, all, none, kept or not",
      write: ({ b, feed }) => {
        const x = feed(f32([2, 3], six), ["T", 3]);
        const over = (axes: number[], keepDims: boolean) => b.apply(op, [x], { axes, keepDims });
        return [
          over([1], true),
          over([1], false),
          over([-2], false),
          over([0, 1], true),
          over([0, -1], false),
          over([], false),
        ].flat();
      },
      expected: [
        f32([2, 1], rows),
        f32([2], rows),
        f32([3], columns),
        f32([1, 1], [whole]),
        f32([], [whole]),
        f32([2, 3], six),
      ],
    },
    {
      title: "ranks 1 to 4, axes apart from one another",
      write: ({ b, feed }) =>
        [
          b.apply(op, [feed(random(1, [5]))], { axes: [0], keepDims: false }),
          b.apply(op, [feed(random(2, [2, 3, 4]))], { axes: [1], keepDims: false }),
          b.apply(op, [feed(random(3, [2, 3, 2, 5]))], { axes: [0, 2], keepDims: true }),
          b.apply(op, [feed(random(4, [2, 3, 2, 5]))], { axes: [-1, 1], keepDims: false }),
          b.apply(op, [feed(random(4, [1, 3, 1]))], { axes: [0, 2], keepDims: false }),
        ].flat(),
    },
    {
      title: "no results",
      write: ({ b, feed }) => b.apply(op, [feed(f32([0, 3], []), ["T", 3])], { axes: [1], keepDims: false }),
      expected: [f32([0], [])],
    },
  ];
}

/** The mean of nothing has no example: it is undefined, and ONNX Runtime says 0. */
function reduceNothing(op: "ReduceSum" | "ReduceMax", result: number): Example {
  return {
    title: "the reduction of nothing",
    write: ({ b, feed }) => b.apply(op, [feed(f32([2, 0], []))], { axes: [1], keepDims: false }),
    expected: [f32([2], [result, result])],
  };
}

/** Examples of reductions. */
export const reductionExamples: Examples<ReductionAttributes> = {
  ReduceSum: [
    ...reduce("ReduceSum", { rows: [3, 12], columns: [5, 7, 3], whole: 15 }),
    reduceNothing("ReduceSum", 0),
    {
      title: "int64 and int32",
      write: ({ b, feed }) => [
        b.reduceSum(feed(i64([3], [1, 2, -5])), [0], true),
        b.reduceSum(feed(tensor("int32", [1, 2])), [0], false),
      ],
    },
  ],
  ReduceMean: reduce("ReduceMean", { rows: [1, 4], columns: [2.5, 3.5, 1.5], whole: 2.5 }),
  ReduceMax: [
    ...reduce("ReduceMax", { rows: [5, 6], columns: [4, 5, 6], whole: 6 }),
    reduceNothing("ReduceMax", Number.NEGATIVE_INFINITY),
    { title: "int64", write: ({ b, feed }) => [b.reduceMax(feed(i64([3], [-1, -2, -5])), [0], true)] },
  ],
  Softmax: [
    {
      title: "known results, large and infinite logits",
      write: ({ b, feed }) => {
        const x = feed(f32([3, 2], [0, Math.log(3), 1000, 1000, Number.NEGATIVE_INFINITY, 5]), ["T", 2]);
        return [b.softmax(x, -1)];
      },
      expected: [f32([3, 2], [0.25, 0.75, 0.5, 0.5, 0, 1])],
    },
    {
      title: "each axis of ranks 1 to 4",
      write: ({ b, feed }) => [
        b.softmax(feed(random(1, [5])), 0),
        b.softmax(feed(random(2, [2, 3])), 0),
        b.softmax(feed(random(3, [2, 3, 4])), 1),
        b.softmax(feed(random(4, [2, 3, 4, 5])), -3),
      ],
    },
    {
      title: "no rows",
      write: ({ b, feed }) => [b.softmax(feed(f32([0, 2], []), ["T", 2]), -1)],
      expected: [f32([0, 2], [])],
    },
  ],
  LogSoftmax: [
    {
      title: "known results, large and very low logits",
      write: ({ b, feed }) => {
        const x = feed(f32([3, 2], [0, Math.log(3), 1000, 1000, -1e30, 5]), ["T", 2]);
        return [b.logSoftmax(x, -1)];
      },
      expected: [f32([3, 2], [-Math.log(4), Math.log(0.75), -Math.LN2, -Math.LN2, -1e30, 0])],
    },
    {
      title: "each axis of ranks 1 to 4, and no rows",
      write: ({ b, feed }) => [
        b.logSoftmax(feed(random(1, [5])), 0),
        b.logSoftmax(feed(random(2, [2, 3])), 0),
        b.logSoftmax(feed(random(3, [2, 3, 4])), 1),
        b.logSoftmax(feed(random(4, [2, 3, 4, 5])), -3),
        b.logSoftmax(feed(f32([0, 2], []), ["T", 2]), -1),
      ],
    },
  ],
  LayerNormalization: [
    {
      title: "a known row",
      write: ({ b, feed }) => {
        const x = feed(f32([1, 4], [1, 3, 5, 7]), ["T", 4]);
        return [b.layerNorm(x, feed(f32([4], [1, 1, 1, 2])), feed(f32([4], [0, 0, 10, 0])), 4)];
      },
      expected: [f32([1, 4], [-1, -1 / 3, 10 + 1 / 3, 2])], // mean 4, variance 5, plus 4: divided by 3
    },
    {
      title: "ranks 1 to 4, a small epsilon",
      write: ({ b, feed }) => {
        const [weight, bias] = [feed(random(9, [8])), feed(random(10, [8]))];
        return [[8], [3, 8], [2, 3, 8], [1, 2, 3, 8]].map((shape, seed) =>
          b.layerNorm(feed(random(seed, shape)), weight, bias, 1e-5),
        );
      },
    },
    {
      title: "no rows",
      write: ({ b, feed }) => {
        const x = feed(f32([0, 2], []), ["T", 2]);
        return [b.layerNorm(x, feed(f32([2], [1, 2])), feed(f32([2], [1, 2])), 1e-5)];
      },
      expected: [f32([0, 2], [])],
    },
  ],
  RMSNormalization: [
    {
      title: "a known row",
      write: ({ b, feed }) => [b.rmsNorm(feed(f32([1, 2], [3, 4]), ["T", 2]), feed(f32([2], [1, 2])), 3.5)],
      expected: [f32([1, 2], [0.75, 2])], // mean of squares 12.5, plus 3.5: divided by 4
    },
    {
      title: "ranks 1 to 4, a small epsilon",
      write: ({ b, feed }) => {
        const weight = feed(random(9, [8]));
        return [[8], [3, 8], [2, 3, 8], [1, 2, 3, 8]].map((shape, seed) =>
          b.rmsNorm(feed(random(seed, shape)), weight, 1e-5),
        );
      },
    },
    {
      title: "no rows",
      write: ({ b, feed }) => [b.rmsNorm(feed(f32([0, 2], []), ["T", 2]), feed(f32([2], [1, 2])), 1e-5)],
      expected: [f32([0, 2], [])],
    },
  ],
};
