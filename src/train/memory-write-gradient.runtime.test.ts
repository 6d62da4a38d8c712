import { describe, expect, it } from "vitest";
import { oddContexts, readIntoSlots } from "../../test/support/read-slots.ts";
import { matrixName, newMatrixName, newNormalizerName, normalizerName } from "../memory/linear-memory.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { buildMemoryWrite, isMemoryWriteTensor, ownKeysValues } from "./memory-write-gradient.ts";
import { SlotRows } from "./slot-rows.ts";
import { rowSizeOf } from "./token-outputs.ts";
import { pickFeeds } from "./weight-tensors.ts";

const settings = oddContexts.flatMap((context) => [
  { context, options: { featureCount: 5, writeGate: true } },
  { context: { ...context, slotTokens: 0 }, options: { featureCount: 5 } },
  { context, options: { writeGate: true } },
]);

describe("what is written into the linear memory, computed again from what tokens were read as", () => {
  it.each(settings)("is the memory that inference has, commit after commit (%o)", async (setting) => {
    const { context, options } = setting;
    const { segmentTokens: T } = context;
    const shape = { variant: "plus", rank: 3, ...options } as const;
    const outputs = ["token_hidden", "token_keys_values"] as const;
    let commits = 0;
    await readIntoSlots(context, shape, outputs, 7, async ({ geometry, runtime, tensors }) => {
      const { keyValueHeadCount: K, headSize: D, hiddenSize: E } = geometry;
      const features = setting.options.featureCount ?? D;
      const writes = new Map([...tensors].filter(([name]) => isMemoryWriteTensor(name)));
      const again = await runtime.createSession(buildMemoryWrite(geometry, T, writes));
      const follow = (output: (typeof outputs)[number]): SlotRows =>
        new SlotRows({ layerCount: 2, headCount: K, rowSize: rowSizeOf(output, geometry), context });
      const [hidden, keysValues] = [follow("token_hidden"), follow("token_keys_values")];
      const memory: Record<string, Float32Array> = {};
      for (const layer of [0, 1]) {
        memory[matrixName(layer)] = new Float32Array(K * features * D);
        memory[normalizerName(layer)] = new Float32Array(K * features);
      }
      const fed = (): Record<string, ReturnType<typeof hostTensor>> =>
        Object.fromEntries(
          Object.entries(memory).map(([name, data]) => [
            name,
            hostTensor("float32", [K, features, data.length / (K * features)], data),
          ]),
        );
      return {
        onRun({ token_hidden, token_keys_values }, count) {
          hidden.absorb(hostFloats(token_hidden, "h"), count);
          keysValues.absorb(hostFloats(token_keys_values, "kv"), count);
        },
        async onCommit(state, chosen) {
          const { keys, values } = ownKeysValues(keysValues.leaving(chosen), geometry, T);
          const leaving = {
            leaving_hidden: hostTensor("float32", [2, K, T, E], hidden.leaving(chosen)),
            leaving_keys: hostTensor("float32", [2, K, T, D], keys),
            leaving_values: hostTensor("float32", [2, K, T, D], values),
          };
          hidden.commit(chosen);
          keysValues.commit(chosen);
          const written = await again.run(pickFeeds(again, Object.fromEntries(writes), leaving, fed()));
          const held = state.feeds(1);
          for (const layer of [0, 1]) {
            for (const [input, output] of [
              [matrixName(layer), newMatrixName(layer)],
              [normalizerName(layer), newNormalizerName(layer)],
            ] as const) {
              memory[input] = hostFloats(written[output], output).slice();
              for (const [index, value] of hostFloats(held[input], input).entries())
                expect(memory[input]?.[index]).toBeCloseTo(value, 3);
            }
          }
          commits += 1;
        },
      };
    });
    expect(commits).toBe(7);
  });
});
