/**
 * Holds `dtype: "f16"` on a GPU to float32 where the GPU computes in float16, and to its refusal where it does not.
 */

import { describe, expect, it } from "vitest";
import { UnsupportedError } from "../../src/errors.ts";
import { createTinyModelFolder } from "../../src/testing/tiny-model.ts";
import type { LoadOnDevice } from "./describe-method.ts";

const context = { sinkTokens: 3, windowTokens: 21, segmentTokens: 13 };
const tokens = Array.from({ length: 66 }, (_, index) => (index * index * 31 + 7 * index + 5) % 282);

async function read(load: LoadOnDevice, dtype: "f32" | "f16"): Promise<Float32Array> {
  await using model = await load(createTinyModelFolder(), { policy: "streaming", context, dtype });
  const session = model.createSession();
  await session.append(tokens);
  return session.logits ?? new Float32Array();
}

/**
 * Describes weights in float16 on a GPU.
 * @param hasShaderF16 tells whether the GPU computes in float16.
 */
export function describeHalf(name: string, load: LoadOnDevice, hasShaderF16: () => Promise<boolean>): void {
  describe(`${name}: float16`, () => {
    it("gives nearly the logits of float32", async ({ skip }) => {
      if (!(await hasShaderF16())) skip("this GPU does not compute in float16");
      const [exact, half] = [await read(load, "f32"), await read(load, "f16")];
      const difference = exact.map((logit, index) => logit - (half[index] ?? Number.NaN));
      // As on the interpreter that sums in float16: 2e-3 to 6e-3.
      expect(Math.hypot(...difference) / Math.hypot(...exact)).toBeLessThan(0.02);
      expect(half).not.toEqual(exact);
    });

    it("is refused with what the GPU lacks", async ({ skip }) => {
      if (await hasShaderF16()) skip("this GPU computes in float16");
      const loading = read(load, "f16");
      await expect(loading).rejects.toBeInstanceOf(UnsupportedError);
      await expect(loading).rejects.toThrow(
        /^dtype: the adapter of this GPU lacks the feature shader-f16 \(.*webgpu\), got "f16", .*Choose dtype "q8" or "f32"\.$/,
      );
    });
  });
}
