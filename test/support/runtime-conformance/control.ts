import type { ControlAttributes } from "../../../src/graph/graph.ts";
import { bool, type Example, type Examples, f32 } from "./example.ts";

const takes = (taken: boolean, expected: number[]): Example => ({
  title: `the ${taken ? "first" : "second"} branch, with inputs, computed values and constants of the outer graph`,
  write: ({ b, feed }) => {
    const condition = feed(bool([], [taken]));
    const x = feed(f32([2], [1, 2]), ["T"]);
    const double = b.add(x, x);
    return b.if(
      condition,
      (branch) => [branch.add(double, branch.scalar(10))],
      (branch) => [branch.sub(x, b.scalar(10))],
    );
  },
  expected: [f32([2], expected)],
});

/** Examples of control flow. */
export const controlExamples: Examples<ControlAttributes> = {
  If: [
    takes(true, [12, 14]),
    takes(false, [-9, -8]),
    {
      title: "branches that hand on outer values as they are, and several outputs",
      write: ({ b, feed }) => {
        const x = feed(f32([1], [1]));
        const constant = b.constant("c", f32([1], [7]));
        return b.if(
          feed(bool([], [false])),
          () => [x, x],
          (branch) => [constant, branch.neg(x)],
        );
      },
      expected: [f32([1], [7]), f32([1], [-1])],
    },
    {
      title: "a branch within a branch, whose operators have constants of their own",
      write: ({ b, feed }) => {
        const yes = feed(bool([], [true]));
        const no = feed(bool([], [false]));
        const x = feed(f32([1, 2], [3, 4]), [1, "T"]);
        return b.if(
          yes,
          (outer) =>
            outer.if(
              no,
              (inner) => [inner.reshape(x, ["T", 1])],
              (inner) => [inner.reshape(inner.neg(x), ["T", 1])],
            ),
          (outer) => [outer.transpose(x, [1, 0])],
        );
      },
      expected: [f32([2, 1], [-3, -4])],
    },
  ],
};
