import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expectGradients } from "../../test/support/gradients/check-gradients.ts";
import { writeGradientExample } from "../../test/support/gradients/gradient-case.ts";
import { gradientCases } from "../../test/support/gradients/gradient-cases.ts";
import type { OpName } from "../graph/graph.ts";
import { gradientRules } from "./rule-table.ts";

const rows = Object.entries(gradientCases) as [OpName, (typeof gradientCases)[OpName]][];

describe("the gradient equals finite differences", () => {
  const checked = rows.flatMap(([op, cases]) =>
    cases instanceof RegExp ? [] : cases.map(({ title, examples }) => [op, title, examples] as const),
  );
  it.each(checked)("%s %s", async (op, _, examples) => {
    await fc.assert(
      fc.asyncProperty(examples, fc.boolean(), async (example, isSymbolic) => {
        const { graph, feeds, parameters } = writeGradientExample(op, example, isSymbolic);
        const upstream = graph.outputs.map(({ name }) => name);
        // Constants such as the square root of 2 are float32 in graphs.
        await expectGradients({ graph, feeds, differentiation: { upstream, parameters }, tolerance: 3e-7 });
      }),
      { numRuns: 12 },
    );
  });
});

describe("an operator without a gradient says why", () => {
  it.each(rows.flatMap(([op, cases]) => (cases instanceof RegExp ? [[op, cases] as const] : [])))(
    "%s: %s",
    (op, reason) => {
      expect(gradientRules[op]).toMatchObject({ reason: expect.stringMatching(reason) });
    },
  );
});
