import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeAdamW } from "./adamw.ts";
import { standardGroups } from "./optimizer.ts";
import type { NamedArrays } from "./parameters.ts";

function one(values: readonly number[], name = "w"): Map<string, Float32Array> {
  return new Map([[name, Float32Array.from(values)]]);
}

const numbers = fc.float({ noNaN: true, min: -8, max: 8 });

/** Algorithm 2 of arXiv 1711.05101 for one element, with sums over all gradients instead of running moments. */
function adamwOracle(start: number, slopes: readonly number[], rate: number, decay: number): number {
  const [b1, b2, epsilon] = [0.9, 0.999, 1e-8];
  let value = start;
  slopes.forEach((_, last) => {
    const weigh = (beta: number, term: (slope: number) => number) =>
      slopes
        .slice(0, last + 1)
        .reduce((sum, slope, i) => sum + (1 - beta) * beta ** (last - i) * term(slope), 0);
    const mean = weigh(b1, (slope) => slope) / (1 - b1 ** (last + 1));
    const square = weigh(b2, (slope) => slope * slope) / (1 - b2 ** (last + 1));
    value = value * (1 - rate * decay) - (rate * mean) / (Math.sqrt(square) + epsilon);
  });
  return value;
}

describe("AdamW", () => {
  it("moves by the learning rate against the sign of the gradient in the first step", async () => {
    const parameters = one([1, -1, 0]);
    const optimizer = makeAdamW();
    const state = await optimizer.update(parameters, one([1e-3, -5, 0]), optimizer.init(parameters), 0.1);
    expect([...(parameters.get("w") ?? [])]).toEqual([0.9, -0.9, 0].map((value) => expect.closeTo(value, 5)));
    expect(state.step).toBe(1);
  });

  it("agrees with the algorithm in float64 over several steps, with decay", async () => {
    const property = fc.asyncProperty(
      numbers,
      fc.array(numbers, { minLength: 1, maxLength: 12 }),
      async (start, slopes) => {
        const parameters = one([start]);
        const optimizer = makeAdamW({ groups: standardGroups(0.1) });
        let state = optimizer.init(parameters);
        for (const slope of slopes) state = await optimizer.update(parameters, one([slope]), state, 0.01);
        // A step is at most about 0.07, and each rounds the parameter and its moments to float32.
        const expected = adamwOracle(start, slopes, 0.01, 0.1);
        expect(Math.abs((parameters.get("w")?.[0] ?? Number.NaN) - expected)).toBeLessThan(2e-5);
      },
    );
    await fc.assert(property);
  });

  it("lets parameters without gradient shrink by rate times decay alone", async () => {
    const parameters = one([2]);
    const optimizer = makeAdamW({ groups: standardGroups(0.5) });
    await optimizer.update(parameters, one([0]), optimizer.init(parameters), 0.1);
    expect(parameters.get("w")?.[0]).toBeCloseTo(2 * (1 - 0.05), 6);
  });

  it("decays matrices and embeddings, and neither gates nor norms nor biases", () => {
    const decayed = (name: string) => standardGroups(0.1).find(({ matches }) => matches(name))?.weightDecay;
    const matrices = ["model.embed_tokens.weight", "model.layers.0.mlp.gate_proj.weight", "lm_head.weight"];
    const others = [
      "layers.3.read_gate.up.weight",
      "layers.3.retention.down.weight",
      "model.layers.0.input_layernorm.weight",
      "model.layers.0.self_attn.q_norm.weight",
      "model.norm.weight",
      "transformer.h.0.ln_1.weight",
      "model.layers.0.self_attn.q_proj.bias",
    ];
    expect(matrices.map(decayed)).toEqual(matrices.map(() => 0.1));
    expect(others.map(decayed)).toEqual(others.map(() => 0));
  });

  it("gives a group its own learning rate", async () => {
    const parameters = new Map([...one([0], "fast"), ...one([0], "slow")]);
    const groups = [
      { name: "slow", matches: (name: string) => name === "slow", weightDecay: 0, rateScale: 0.1 },
      { name: "rest", matches: () => true, weightDecay: 0 },
    ];
    const optimizer = makeAdamW({ groups });
    const gradients = new Map([...one([1], "fast"), ...one([1], "slow")]);
    await optimizer.update(parameters, gradients, optimizer.init(parameters), 0.1);
    expect(parameters.get("fast")?.[0]).toBeCloseTo(-0.1, 6);
    expect(parameters.get("slow")?.[0]).toBeCloseTo(-0.01, 6);
  });

  it("continues from a copied state bit for bit", async () => {
    const slopes = [0.3, -0.7, 1.9, 0.01].map((slope) => one([slope, -slope]));
    const optimizer = makeAdamW();
    const whole = one([0.5, -3]);
    let state = optimizer.init(whole);
    let copy: { parameters: NamedArrays; state: typeof state } | undefined;
    for (const [step, slope] of slopes.entries()) {
      state = await optimizer.update(whole, slope, state, 0.01);
      if (step !== 1) continue;
      const clone = (arrays: NamedArrays) =>
        new Map([...arrays].map(([name, array]) => [name, array.slice()]));
      copy = {
        parameters: clone(whole),
        state: { ...state, first: clone(state.first), second: clone(state.second) },
      };
    }
    if (copy === undefined) throw new Error("no copy was made");
    let resumed = copy.state;
    for (const slope of slopes.slice(2))
      resumed = await optimizer.update(copy.parameters, slope, resumed, 0.01);
    expect(copy.parameters).toEqual(whole);
    expect(resumed).toEqual(state);
  });

  it("refuses gradients that do not fit, by name", async () => {
    const parameters = one([1, 2]);
    const optimizer = makeAdamW();
    const state = optimizer.init(parameters);
    await expect(optimizer.update(parameters, one([1]), state, 0.1)).rejects.toThrow(
      /w: the array has another length/,
    );
    await expect(optimizer.update(parameters, new Map(), state, 0.1)).rejects.toThrow(
      /w: the array is missing/,
    );
    const extra = new Map([...one([1, 2]), ...one([1], "x")]);
    await expect(optimizer.update(parameters, extra, state, 0.1)).rejects.toThrow(
      /x: there is no such parameter/,
    );
  });

  it("refuses options out of range", async () => {
    expect(() => makeAdamW({ beta1: 1 })).toThrow(/beta1: out of range, got 1/);
    expect(() => makeAdamW({ epsilon: 0 })).toThrow(/epsilon/);
    const optimizer = makeAdamW({ groups: [] });
    const parameters = one([1]);
    await expect(optimizer.update(parameters, one([1]), optimizer.init(parameters), 0.1)).rejects.toThrow(
      /no group/,
    );
    await expect(
      optimizer.update(parameters, one([1]), optimizer.init(parameters), Number.NaN),
    ).rejects.toThrow(/rate/);
  });
});
