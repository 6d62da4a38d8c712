import type { ElementwiseAttributes } from "../../../src/graph/ops/elementwise.ts";
import { encodeBfloat16, encodeFloat16 } from "../../../src/tensor/half-float.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host-tensor.ts";
import { bool, type Example, type Examples, f32, i64, random, tensor } from "./example.ts";

const shapes = [[], [3], [2, 3], [2, 1, 3], [2, 2, 1, 3]] as const;

type UnaryOp = "Neg" | "Exp" | "Log" | "Sqrt" | "Sigmoid" | "Tanh" | "Erf";

function unary(op: UnaryOp, points: readonly (readonly [x: number, y: number])[]): Example[] {
  const range: [number, number] = op === "Log" || op === "Sqrt" ? [0.01, 4] : [-4, 4];
  return [
    {
      title: "known points",
      write: ({ b, feed }) =>
        [
          b.apply(
            op,
            [
              feed(
                f32(
                  [points.length],
                  points.map(([x]) => x),
                ),
              ),
            ],
            {},
          ),
        ].flat(),
      expected: [
        f32(
          [points.length],
          points.map(([, y]) => y),
        ),
      ],
    },
    {
      title: "ranks 0 to 4",
      write: ({ b, feed }) =>
        shapes.flatMap((shape, seed) => b.apply(op, [feed(random(seed, shape, range))], {})),
    },
    {
      title: "no elements",
      write: ({ b, feed }) => b.apply(op, [feed(f32([0, 3], []), ["T", 3])], {}),
      expected: [f32([0, 3], [])],
    },
    {
      title: "float64",
      write: ({ b, feed }) => b.apply(op, [feed(tensor("float64", [0.5, 1.5]))], {}),
    },
  ];
}

type BinaryOp = "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min";

/** `results` are those of 7 and 2, -7 and 2, 6 and -3. */
function binary(
  op: BinaryOp,
  results: readonly number[],
  int64Results: readonly number[] = results,
): Example[] {
  const [left, right] = [
    [7, -7, 6],
    [2, 2, -3],
  ];
  return [
    {
      title: "known pairs",
      write: ({ b, feed }) => b.apply(op, [feed(f32([3], left)), feed(f32([3], right))], {}),
      expected: [f32([3], results)],
    },
    {
      title: "int64 and int32",
      write: ({ b, feed }) => [
        ...b.apply(op, [feed(i64([3], left)), feed(i64([3], right))], {}),
        ...b.apply(op, [feed(tensor("int32", left)), feed(tensor("int32", right))], {}),
      ],
      expected: [i64([3], int64Results), tensor("int32", int64Results)],
    },
    {
      title: "ranks 0 to 4",
      write: ({ b, feed }) =>
        shapes.flatMap((shape, seed) =>
          b.apply(op, [feed(random(seed, shape)), feed(random(seed + 9, shape, [0.5, 2]))], {}),
        ),
    },
    {
      title: "both sides broadcast",
      write: ({ b, feed }) => [
        ...b.apply(op, [feed(random(1, [2, 1, 3])), feed(random(2, [4, 1], [0.5, 2]))], {}),
        ...b.apply(op, [feed(random(3, [])), feed(random(4, [2, 2], [0.5, 2]))], {}),
        ...b.apply(op, [feed(random(5, [3, 2]), ["T", 2]), feed(random(6, [1, 1, 2], [0.5, 2]))], {}),
      ],
    },
    {
      title: "no elements, broadcast against one row",
      write: ({ b, feed }) => b.apply(op, [feed(f32([0, 3], []), ["T", 3]), feed(random(1, [1, 3]))], {}),
      expected: [f32([0, 3], [])],
    },
  ];
}

/** The value halfway between two neighbours goes to the even one. */
const halves = [1, -2.5, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 65504, 2 ** -24, 0];
const halvesRounded = [1, -2.5, 1, 1 + 4 * 2 ** -11, 65504, 2 ** -24, 0];

function cast(title: string, from: HostTensor, to: HostTensor): Example {
  return { title, write: ({ b, feed }) => [b.cast(feed(from), to.dtype)], expected: [to] };
}

const f16 = (values: readonly number[]): HostTensor =>
  hostTensor("float16", [values.length], encodeFloat16(values));

/** Examples of the elementwise operators. */
export const elementwiseExamples: Examples<ElementwiseAttributes> = {
  Identity: [
    {
      title: "every dtype",
      write: ({ b, feed }) => [b.named("a", feed(random(1, [2, 3]))), b.named("b", feed(i64([], [5])))],
      expected: [random(1, [2, 3]), i64([], [5])],
    },
  ],
  Add: binary("Add", [9, -5, 3]),
  Sub: binary("Sub", [5, -9, 9]),
  Mul: binary("Mul", [14, -14, -18]),
  Div: binary("Div", [3.5, -3.5, -2], [3, -3, -2]),
  Max: binary("Max", [7, 2, 6]),
  Min: binary("Min", [2, -7, -3]),
  Greater: [
    {
      title: "known pairs, equal ones too, of floats and integers, one side broadcast",
      write: ({ b, feed }) => [
        b.greater(feed(f32([3], [7, -7, 2]), ["T"]), feed(f32([3], [2, 2, 2]), ["T"])),
        b.greater(feed(i64([2, 1], [3, 1])), feed(i64([2], [1, 3]))),
      ],
      expected: [bool([3], [true, false, false]), bool([2, 2], [true, false, false, false])],
    },
  ],
  Neg: unary("Neg", [
    [1.5, -1.5],
    [-2, 2],
  ]),
  Exp: unary("Exp", [
    [0, 1],
    [1, Math.E],
    [-1000, 0],
    [Number.NEGATIVE_INFINITY, 0],
  ]),
  Log: unary("Log", [
    [1, 0],
    [Math.E, 1],
    [0, Number.NEGATIVE_INFINITY],
  ]),
  Sqrt: unary("Sqrt", [
    [0, 0],
    [2.25, 1.5],
  ]),
  Sigmoid: unary("Sigmoid", [
    [0, 0.5],
    [Math.log(3), 0.75],
    [-200, 0],
    [200, 1],
  ]),
  // ONNX Runtime has it for float32 only.
  Erf: unary("Erf", [
    [0, 0],
    [0.5, 0.5204998778130465],
    [-2, -0.9953222650189527],
    [9, 1],
  ]).filter(({ title }) => title !== "float64"),
  Tanh: unary("Tanh", [
    [0, 0],
    [Math.log(3) / 2, 0.5],
    [-50, -1],
  ]),
  Gelu: [
    {
      title: "known points, by the error function and by tanh",
      write: ({ b, feed }) => {
        const x = feed(f32([5], [0, 1, -1, 30, -30]));
        return [b.gelu(x, "none"), b.gelu(x, "tanh")];
      },
      expected: [
        f32([5], [0, 0.8413447460685429, -0.15865525393145705, 30, 0]),
        f32([5], [0, 0.8411919906082768, -0.15880800939172324, 30, 0]),
      ],
    },
    {
      title: "ranks 0 to 4",
      write: ({ b, feed }) =>
        shapes.flatMap((shape, seed) => {
          const x = feed(random(seed, shape, [-5, 5]));
          return [b.gelu(x, "none"), b.gelu(x, "tanh")];
        }),
    },
    {
      title: "no elements",
      write: ({ b, feed }) => [b.gelu(feed(f32([0, 3], []), ["T", 3]), "tanh")],
      expected: [f32([0, 3], [])],
    },
  ],
  Elu: [
    {
      title: "known points, alpha 1 and 0.5",
      write: ({ b, feed }) => {
        const x = feed(f32([3], [2, 0, -Math.log(4)]));
        return [b.elu(x), b.elu(x, 0.5)];
      },
      expected: [f32([3], [2, 0, -0.75]), f32([3], [2, 0, -0.375])],
    },
    {
      title: "ranks 0 to 4",
      write: ({ b, feed }) => shapes.map((shape, seed) => b.elu(feed(random(seed, shape)))),
    },
    {
      title: "no elements",
      write: ({ b, feed }) => [b.elu(feed(f32([2, 0], [])))],
      expected: [f32([2, 0], [])],
    },
  ],
  Where: [
    {
      title: "three shapes broadcast together",
      write: ({ b, feed }) => [
        b.where(feed(bool([2, 1], [true, false])), feed(f32([1, 2], [1, 2])), feed(f32([], [9]))),
      ],
      expected: [f32([2, 2], [1, 2, 9, 9])],
    },
    {
      title: "int64, and a part without elements",
      write: ({ b, feed }) => [
        b.where(feed(bool([2], [true, false])), feed(i64([2], [1, 2])), feed(i64([1], [7]))),
        b.where(feed(bool([1], [true])), feed(f32([0], [])), feed(f32([], [7]))),
      ],
      expected: [i64([2], [1, 7]), f32([0], [])],
    },
  ],
  Cast: [
    cast("float to int64 drops the fraction", f32([4], [1.7, -1.7, 0.5, 3]), i64([4], [1, -1, 0, 3])),
    cast("float to int32", f32([2], [1.7, -1.7]), tensor("int32", [1, -1])),
    cast("float to bool", f32([3], [0, 0.5, -1]), tensor("bool", [0, 1, 1])),
    cast("bool to float", bool([2], [true, false]), f32([2], [1, 0])),
    cast("int64 to float", i64([2], [-3, 1 << 20]), f32([2], [-3, 1 << 20])),
    cast("int64 to int32", i64([2], [-3, 7]), tensor("int32", [-3, 7])),
    cast("int64 to bool", i64([3], [0, 2 ** 33, -1]), tensor("bool", [0, 1, 1])),
    cast("bool to int64", bool([2], [true, false]), i64([2], [1, 0])),
    cast("float64 to float32", tensor("float64", [0.1]), f32([1], [0.1])),
    cast("float32 to float64", f32([1], [0.1]), tensor("float64", [Math.fround(0.1)])),
    cast("float32 to float16, ties to even", f32([halves.length], halves), f16(halvesRounded)),
    cast("float16 to float32", f16(halvesRounded), f32([halves.length], halvesRounded)),
    {
      title: "float32 to bfloat16 and back, ties to even",
      write: ({ b, feed }) => {
        const x = feed(f32([4], [1, -2.5, 1 + 2 ** -8, 1 + 3 * 2 ** -8]));
        return [b.cast(b.cast(x, "bfloat16"), "float32")];
      },
      expected: [f32([4], [1, -2.5, 1, 1 + 4 * 2 ** -8])],
    },
    {
      title: "a bfloat16 constant to float32",
      write: ({ b }) => {
        const constant = hostTensor("bfloat16", [2], encodeBfloat16([1.5, -(2 ** 100)]));
        return [b.cast(b.constant("c", constant), "float32")];
      },
      expected: [f32([2], [1.5, -(2 ** 100)])],
    },
  ],
};
