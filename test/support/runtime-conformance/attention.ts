import type { AttentionAttributes } from "../../../src/graph/ops/attention.ts";
import { type Examples, f32, random } from "./example.ts";

/** Examples of the operators of attention. */
export const attentionExamples: Examples<AttentionAttributes> = {
  RotaryEmbedding: [
    {
      title: "a quarter turn of halves, each token by its own angle, the same for all heads",
      write: ({ b, feed }) => {
        const x = feed(f32([1, 2, 2, 4], [1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8, 5, 6, 7, 8]), [1, 2, "T", 4]);
        const cos = feed(f32([1, 2, 2], [1, 1, 0, 1]), [1, "T", 2]);
        const sin = feed(f32([1, 2, 2], [0, 0, 1, 0]), [1, "T", 2]);
        return [b.rotaryEmbedding(x, cos, sin)];
      },
      expected: [f32([1, 2, 2, 4], [1, 2, 3, 4, -3, 2, 1, 4, 5, 6, 7, 8, -7, 6, 5, 8])],
    },
    {
      title: "batches with tables of their own",
      write: ({ b, feed }) => [
        b.rotaryEmbedding(
          feed(random(1, [2, 3, 4, 8])),
          feed(random(2, [2, 4, 4])),
          feed(random(3, [2, 4, 4])),
        ),
        b.rotaryEmbedding(
          feed(random(4, [1, 9, 1, 64])),
          feed(random(5, [1, 1, 32])),
          feed(random(6, [1, 1, 32])),
        ),
      ],
    },
    {
      title: "a quarter turn of the first half of a head, the rest as it is",
      write: ({ b, feed }) => {
        const x = feed(f32([1, 1, 2, 4], [1, 2, 3, 4, 5, 6, 7, 8]), [1, 1, "T", 4]);
        const cos = feed(f32([1, 2, 1], [1, 0]), [1, "T", 1]);
        const sin = feed(f32([1, 2, 1], [0, 1]), [1, "T", 1]);
        return [b.rotaryEmbedding(x, cos, sin)];
      },
      expected: [f32([1, 1, 2, 4], [1, 2, 3, 4, -6, 5, 7, 8])],
    },
    {
      title: "a part of each head, in batches with tables of their own",
      write: ({ b, feed }) => [
        b.rotaryEmbedding(
          feed(random(1, [2, 3, 5, 20])),
          feed(random(2, [2, 5, 3])),
          feed(random(3, [2, 5, 3])),
        ),
      ],
    },
    {
      title: "no tokens",
      write: ({ b, feed }) => [
        b.rotaryEmbedding(
          feed(f32([1, 2, 0, 4], []), [1, 2, "T", 4]),
          feed(f32([1, 0, 2], []), [1, "T", 2]),
          feed(f32([1, 0, 2], []), [1, "T", 2]),
        ),
      ],
      expected: [f32([1, 2, 0, 4], [])],
    },
  ],
  Attention: [
    {
      title: "the mean of what a query may see, with equal scores",
      write: ({ b, feed }) => {
        const query = feed(f32([1, 1, 2, 2], [0, 0, 0, 0]), [1, 1, "T", 2]);
        const key = feed(f32([1, 1, 2, 2], [1, 2, 3, 4]), [1, 1, "S", 2]);
        const value = feed(f32([1, 1, 2, 2], [1, 2, 5, 8]), [1, 1, "S", 2]);
        const mask = feed(f32([2, 2], [0, -1e30, 0, 0]), ["T", "S"]);
        return [b.attention(query, key, value, mask, 1)];
      },
      expected: [f32([1, 1, 2, 2], [1, 2, 3, 5])],
    },
    {
      title: "values of another width than queries and keys",
      write: ({ b, feed }) => [
        b.attention(
          feed(random(9, [1, 6, 5, 11])),
          feed(random(10, [1, 2, 9, 11])),
          feed(random(11, [1, 2, 9, 9])),
          feed(random(12, [5, 9])),
          0.5,
        ),
      ],
    },
    {
      title: "groups of query heads, batches, one token and many, a scale",
      write: ({ b, feed }) => [
        b.attention(
          feed(random(1, [2, 6, 3, 8])),
          feed(random(2, [2, 2, 5, 8])),
          feed(random(3, [2, 2, 5, 8])),
          feed(random(4, [3, 5])),
          0.5,
        ),
        b.attention(
          feed(random(5, [1, 9, 1, 16])),
          feed(random(6, [1, 3, 70, 16])),
          feed(random(7, [1, 3, 70, 16])),
          feed(random(8, [1, 70])),
          1,
        ),
      ],
    },
  ],
};
