import fc from "fast-check";
import { describe, it } from "vitest";
import { writeGradientExample } from "../../test/support/gradients/gradient-case.ts";
import { gradientCases } from "../../test/support/gradients/gradient-cases.ts";
import { runReference, runTwice } from "../../test/support/gradients/run-twice.ts";
import { expectClose } from "../../test/support/runtime-conformance/expect-close.ts";
import type { OpName } from "../graph/graph.ts";
import { differentiate, upstreamName } from "./differentiate.ts";

describe("ONNX Runtime gives the gradients of the interpreter", () => {
  const rows = Object.entries(gradientCases) as [OpName, (typeof gradientCases)[OpName]][];
  const cases = rows.flatMap(([op, list]) =>
    list instanceof RegExp ? [] : list.map(({ title, examples }) => [op, title, examples] as const),
  );
  it.each(cases)("%s %s", async (op, _, examples) => {
    for (const [index, example] of fc.sample(examples, { numRuns: 6, seed: 1 }).entries()) {
      const { graph, feeds, parameters } = writeGradientExample(op, example, index % 2 === 1);
      const upstream = graph.outputs.map(({ name }) => name);
      // What comes from above is what came out: any tensor of that shape will do.
      const forward = await runReference(graph, feeds);
      const fed = Object.fromEntries(Object.entries(forward).map(([name, y]) => [upstreamName(name), y]));
      const backward = differentiate(graph, { upstream, parameters, outputs: [] });
      const { expected, got } = await runTwice(backward, { ...feeds, ...fed });
      for (const { name } of backward.outputs) expectClose(got[name], expected[name]);
    }
  });
});
