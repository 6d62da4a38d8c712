import { describe, expect, it } from "vitest";
import { expectGradients } from "../../test/support/gradients/check-gradients.ts";
import { runTwice } from "../../test/support/gradients/run-twice.ts";
import { makeTinyTraining } from "../../test/support/gradients/tiny-decoder.ts";
import { differentiate } from "../autodiff/differentiate.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { TinyModelOptions } from "../testing/tiny-model.ts";
import { modelTypes } from "./registry.ts";

function norm(values: readonly number[]): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

/** Tells how far two tensors lie apart, relative to the length of the second. */
function relativeDistance(a: HostTensor | undefined, b: HostTensor | undefined): number {
  const expected = Array.from(b?.data ?? [], Number);
  const differences = expected.map((value, index) => Number(a?.data[index]) - value);
  return norm(differences) / norm(expected);
}

/** A tiny head of 4 has no quarter to rotate. */
const config = { rotary_pct: 0.5 };

/** The policy with most in it that a family runs under. */
const policyOf = (modelType: string) => (modelType === "gpt2" ? "full" : "paper");

describe.each(modelTypes as readonly NonNullable<TinyModelOptions["modelType"]>[])(
  "the gradients of all weights of a %s",
  (modelType) => {
    it("equal finite differences in float64, and ONNX Runtime's in float32", async () => {
      const policy = policyOf(modelType);
      const { graph, feeds, base, adapter } = await makeTinyTraining(policy, 3, {
        modelType,
        tied: false,
        config,
      });
      const differentiation = { loss: "loss", parameters: [...base, ...adapter] };
      await expectGradients({ graph, feeds, differentiation, tolerance: 1e-6 });
      const backward = differentiate(graph, { ...differentiation, outputs: ["loss"] });
      const { expected, got } = await runTwice(backward, feeds);
      for (const { name } of backward.outputs) {
        // Sums of hundreds of float32 products, one upon another: a few of 24 bits are lost.
        expect({ name, distance: relativeDistance(got[name], expected[name]) }).toMatchObject({
          distance: expect.closeTo(0, 4),
        });
      }
    });
  },
);
