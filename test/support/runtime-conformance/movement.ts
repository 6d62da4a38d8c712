import type { MovementAttributes } from "../../../src/graph/ops/movement.ts";
import { encodeFloat16 } from "../../../src/tensor/half-float.ts";
import { hostTensor } from "../../../src/tensor/host-tensor.ts";
import { bool, type Examples, f32, i64, random, tensor } from "./example.ts";

const six = [1, 2, 3, 4, 5, 6];

/** Examples of the operators that move elements. */
export const movementExamples: Examples<MovementAttributes> = {
  Reshape: [
    {
      title: "ranks 0 to 4",
      write: ({ b, feed }) => {
        const x = feed(f32([2, 3], six));
        const one = feed(f32([1, 1], [7]));
        return [
          b.reshape(x, [6]),
          b.reshape(x, [3, 1, 2, 1]),
          b.reshape(one, []),
          b.reshape(b.reshape(one, []), [1]),
        ];
      },
      expected: [f32([6], six), f32([3, 1, 2, 1], six), f32([], [7]), f32([1], [7])],
    },
    {
      title: "a symbolic extent stays, moves, and moves past one that stays",
      write: ({ b, feed }) => {
        const x = feed(f32([3, 2], six), ["T", 2]);
        const y = feed(f32([1, 2, 3, 1], six), [1, "P", "T", 1]);
        return [b.reshape(x, ["T", 1, 2]), b.reshape(x, [1, 2, "T"]), b.reshape(y, ["P", 1, "T", 1])];
      },
      expected: [f32([3, 1, 2], six), f32([1, 2, 3], six), f32([2, 1, 3, 1], six)],
    },
    {
      title: "an extent of zero: static at another place, symbolic that stays, symbolic that moves",
      write: ({ b, feed }) => [
        b.reshape(feed(f32([0, 3], [])), [3, 0]),
        b.reshape(feed(f32([0, 3], [])), [0]),
        b.reshape(feed(f32([0, 4], []), ["T", 4]), ["T", 2, 2]),
        b.reshape(feed(f32([1, 0, 4], []), [1, "P", 4]), ["P", 2, 2]),
      ],
      expected: [f32([3, 0], []), f32([0], []), f32([0, 2, 2], []), f32([0, 2, 2], [])],
    },
    {
      title: "int64 and bool",
      write: ({ b, feed }) => [
        b.reshape(feed(i64([2], [1, 2])), [2, 1]),
        b.reshape(feed(bool([2], [true, false])), [1, 2]),
      ],
      expected: [i64([2, 1], [1, 2]), bool([1, 2], [true, false])],
    },
  ],
  Transpose: [
    {
      title: "ranks 0 to 4",
      write: ({ b, feed }) => [
        b.transpose(feed(f32([], [5])), []),
        b.transpose(feed(f32([2], [1, 2])), [0]),
        b.transpose(feed(f32([2, 3], six), ["T", 3]), [1, 0]),
        b.transpose(feed(f32([1, 2, 3], six)), [2, 0, 1]),
        b.transpose(feed(random(1, [2, 3, 4, 2])), [0, 2, 1, 3]),
      ],
    },
    {
      title: "a cycle of three axes, which is not its own inverse",
      write: ({ b, feed }) => [b.transpose(feed(f32([1, 2, 3], six)), [1, 2, 0])],
      expected: [f32([2, 3, 1], six)],
    },
    {
      title: "no elements, int64",
      write: ({ b, feed }) => [
        b.transpose(feed(f32([0, 3], [])), [1, 0]),
        b.transpose(feed(i64([1, 2], [1, 2])), [1, 0]),
      ],
      expected: [f32([3, 0], []), i64([2, 1], [1, 2])],
    },
  ],
  Concat: [
    {
      title: "one, two and three parts, axes from both ends",
      write: ({ b, feed }) => {
        const x = feed(f32([1, 2], [1, 2]));
        const y = feed(f32([1, 2], [3, 4]));
        return [b.concat([x], 0), b.concat([x, y], 0), b.concat([x, y, x], -1)];
      },
      expected: [f32([1, 2], [1, 2]), f32([2, 2], [1, 2, 3, 4]), f32([1, 6], [1, 2, 3, 4, 1, 2])],
    },
    {
      title: "symbolic extents add up, an empty one too",
      write: ({ b, feed }) => [
        b.concat([feed(f32([2, 2], [1, 2, 3, 4]), [2, "P"]), feed(f32([2, 1], [8, 9]), [2, "T"])], 1),
        b.concat([feed(f32([0, 2], []), ["Q", 2]), feed(f32([1, 2], [8, 9]), ["T", 2])], 0),
      ],
      expected: [f32([2, 3], [1, 2, 8, 3, 4, 9]), f32([1, 2], [8, 9])],
    },
    {
      title: "int64, and a middle axis of rank 4",
      write: ({ b, feed }) => [
        b.concat([feed(i64([1], [1])), feed(i64([2], [2, 3]))], 0),
        b.concat([feed(random(1, [2, 1, 2, 3])), feed(random(2, [2, 2, 2, 3]))], 1),
      ],
    },
  ],
  Slice: [
    {
      title: "axes from both ends, whole and empty ranges",
      write: ({ b, feed }) => {
        const x = feed(f32([2, 3], six));
        return [b.slice(x, 1, 1, 3), b.slice(x, -2, 0, 1), b.slice(x, 1, 0, 3), b.slice(x, 1, 2, 2)];
      },
      expected: [f32([2, 2], [2, 3, 5, 6]), f32([1, 3], [1, 2, 3]), f32([2, 3], six), f32([2, 0], [])],
    },
    {
      title: "beside a symbolic axis, int64",
      write: ({ b, feed }) => [
        b.slice(feed(random(1, [2, 3, 4]), ["T", 3, 4]), 2, 1, 3),
        b.slice(feed(i64([3], [1, 2, 3])), 0, 1, 2),
      ],
    },
  ],
  Split: [
    {
      title: "static sizes, axes from both ends, one part, an empty part",
      write: ({ b, feed }) => {
        const x = feed(f32([2, 3], six));
        return [...b.split(x, 1, [1, 2]), ...b.split(x, -2, [2]), ...b.split(x, 1, [0, 3])];
      },
      expected: [
        f32([2, 1], [1, 4]),
        f32([2, 2], [2, 3, 5, 6]),
        f32([2, 3], six),
        f32([2, 0], []),
        f32([2, 3], six),
      ],
    },
    {
      title: "symbolic sizes, given as a tensor",
      write: ({ b, feed }) => {
        const x = feed(f32([5, 1], [1, 2, 3, 4, 5]), ["P+2*T", 1]);
        feed(f32([1], [0]), ["T"]);
        return b.split(x, 0, ["T", "P+T"], feed(i64([2], [1, 4])));
      },
      expected: [f32([1, 1], [1]), f32([4, 1], [2, 3, 4, 5])],
    },
  ],
  Gather: [
    {
      title: "rows by int64 and int32 indices of ranks 0 to 2, negative ones from the end",
      write: ({ b, feed }) => {
        const x = feed(f32([3, 2], six));
        return [
          b.gather(x, feed(i64([], [1]))),
          b.gather(x, feed(tensor("int32", [2, 0]))),
          b.gather(x, feed(i64([1, 2], [-1, -3]), [1, "T"])),
        ];
      },
      expected: [f32([2], [3, 4]), f32([2, 2], [5, 6, 1, 2]), f32([1, 2, 2], [5, 6, 1, 2])],
    },
    {
      title: "rows of float16",
      write: ({ b, feed }) => {
        const table = b.constant(
          "table",
          hostTensor("float16", [3, 2], encodeFloat16([1, 2, 3, 0.25, -5, 6])),
        );
        return [b.cast(b.gather(table, feed(i64([2], [1, 0]), ["T"])), "float32")];
      },
      expected: [f32([2, 2], [3, 0.25, 1, 2])],
    },
    {
      title: "no indices, rows of rank 0, int64 rows",
      write: ({ b, feed }) => [
        b.gather(feed(f32([3, 2], six)), feed(i64([0], []), ["T"])),
        b.gather(feed(f32([3], [1, 2, 3])), feed(i64([2], [2, 1]))),
        b.gather(feed(i64([2, 1], [4, 5])), feed(i64([1], [1]))),
      ],
      expected: [f32([0, 2], []), f32([2], [3, 2]), i64([1, 1], [5])],
    },
  ],
  GatherElements: [
    {
      title: "an element of each row, negative indices from the end; several of each column",
      write: ({ b, feed }) => {
        const x = feed(f32([2, 3], six), ["T", 3]);
        return [
          b.gatherElements(x, feed(i64([2, 1], [2, -3]), ["T", 1]), -1),
          b.gatherElements(feed(f32([2, 3], six)), b.cast(feed(i64([1, 3], [0, 1, 0])), "int32"), 0),
        ];
      },
      expected: [f32([2, 1], [3, 4]), f32([1, 3], [1, 5, 3])],
    },
    {
      title: "a middle axis, and no indices",
      write: ({ b, feed }) => [
        b.gatherElements(feed(random(1, [2, 3, 2])), feed(i64([2, 2, 2], [0, 1, 2, 0, 1, 1, 2, 2])), 1),
        b.gatherElements(feed(f32([2, 3], six)), feed(i64([2, 0], [])), 1),
      ],
    },
  ],
  ScatterElements: [
    {
      title: "equal indices add up, along either axis",
      write: ({ b, feed }) => {
        const x = feed(f32([2, 3], six));
        return [
          b.scatterAdd(
            x,
            feed(i64([2, 2], [0, 0, 2, -3]), [2, "T"]),
            feed(f32([2, 2], six.slice(2)), [2, "T"]),
            1,
          ),
          b.scatterAdd(
            x,
            feed(i64([3, 3], [0, 0, 0, 1, 0, 1, 0, 0, 0])),
            feed(random(1, [3, 3], [1, 1])),
            -2,
          ),
        ];
      },
      expected: [f32([2, 3], [8, 2, 3, 10, 5, 11]), f32([2, 3], [3, 5, 5, 5, 5, 7])],
    },
    {
      title: "many updates of few rows, and none",
      write: ({ b, feed }) => {
        const rows = i64(
          [300, 1],
          Array.from({ length: 300 }, (_, row) => (row * row) % 7),
        );
        const indices = b.expand(feed(rows), [300, 40]);
        return [
          b.scatterAdd(feed(random(1, [7, 40])), indices, feed(random(2, [300, 40])), 0),
          b.scatterAdd(feed(random(3, [7, 2])), feed(i64([0, 2], [])), feed(f32([0, 2], [])), 0),
        ];
      },
    },
  ],
  Expand: [
    {
      title: "scalars, rows and columns, to static extents",
      write: ({ b, feed }) => [
        b.expand(feed(f32([], [5])), [2, 2]),
        b.expand(feed(f32([2], [1, 2])), [2, 2]),
        b.expand(feed(f32([2, 1], [1, 2])), [2, 2]),
        b.expand(feed(i64([1], [7])), [2]),
      ],
      expected: [
        f32([2, 2], [5, 5, 5, 5]),
        f32([2, 2], [1, 2, 1, 2]),
        f32([2, 2], [1, 1, 2, 2]),
        i64([2], [7, 7]),
      ],
    },
    {
      title: "to the extents of another tensor, an empty one too",
      write: ({ b, feed }) => {
        const x = feed(f32([2, 1], [1, 2]), ["T", 1]);
        const like = feed(f32([2, 3], six), ["T", "P"]);
        const empty = feed(f32([0, 2], []), ["Q", 2]);
        return [
          b.expand(x, like.shape, b.shapeOf(like)),
          b.expand(feed(f32([], [1])), empty.shape, b.shapeOf(empty)),
        ];
      },
      expected: [f32([2, 3], [1, 1, 1, 2, 2, 2]), f32([0, 2], [])],
    },
  ],
  Shape: [
    {
      title: "ranks 0 to 2",
      write: ({ b, feed }) => [
        b.shapeOf(feed(f32([], [5]))),
        b.shapeOf(feed(i64([2], [1, 2]), ["T"])),
        b.shapeOf(feed(f32([0, 3], []), ["P", 3])),
      ],
      expected: [i64([0], []), i64([1], [2]), i64([2], [0, 3])],
    },
  ],
};
