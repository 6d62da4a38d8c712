/**
 * Holds every model family on ONNX Runtime to an oracle of its own, written from its Hugging Face code and sharing
 * none with the engine, over streams with seven commits.
 */

import { describe, expect, it } from "vitest";
import {
  createRunFolders,
  measureOracleDistance,
  type OracleRun,
  oddCapacity,
  oddContext,
  oddTokens,
} from "../../test/support/oracle-distance.ts";
import {
  bitsOf,
  editTensors,
  largestDifference,
  logitsOf,
  tinyIds,
} from "../../test/support/tiny-sessions.ts";
import { UnsupportedError } from "../errors.ts";
import { loadModel } from "./node.ts";

/** Logits lie between -6 and 6; float32 against float64 measures 2.1e-5 at most. */
const tolerance = 1e-4;

type FamilyRun = Omit<OracleRun, "policy" | "pieceTokens">;

/** A head of 16 with a quarter rotated: 4 elements. Every head has a key and a value of its own. */
const neoxSizes = { modelType: "gpt_neox", hiddenSize: 96, headSize: 16, keyValueHeadCount: 6 } as const;
const gemma = { modelType: "gemma3_text" } as const;

/** What every policy is tried with. */
const families: Readonly<Record<string, FamilyRun>> = {
  smollm3: { options: { modelType: "smollm3" } },
  olmo2: { options: { modelType: "olmo2", tied: false } },
  granite: { options: { modelType: "granite" } },
  phi3: { options: { modelType: "phi3", tied: false } },
  gemma3_text: { options: gemma, gatedLayers: [1] },
  gpt_neox: { options: neoxSizes },
  BlueLM: { options: { modelType: "BlueLM", tied: false } },
};

const longrope = {
  partial_rotary_factor: 0.6,
  original_max_position_embeddings: 256,
  max_position_embeddings: 4096,
  rope_scaling: { type: "longrope", short_factor: [1.1, 1.3, 2], long_factor: [9, 9, 9] },
};

/** Settings of `config.json` that change results, under the policy `paper` where nothing else is said. */
const settings: readonly (FamilyRun & { readonly title: string })[] = [
  {
    title: "a smollm3 whose layers are told one by one",
    options: { modelType: "smollm3", config: { no_rope_layers: [0, 1, 0] } },
  },
  {
    title: "an untied granite stored as bfloat16",
    options: { modelType: "granite", tied: false, dtype: "bfloat16" },
  },
  { title: "an olmo2 with grouped keys of one head", options: { modelType: "olmo2", keyValueHeadCount: 1 } },
  {
    title: "a phi3 with longrope on a part of each head",
    options: { modelType: "phi3", tied: false, config: longrope },
  },
  {
    title: "a gemma3_text whose window reaches the sinks of some tokens, not of others",
    options: { ...gemma, config: { sliding_window: 30 } },
    gatedLayers: [1],
  },
  {
    title:
      "a gemma3_text whose layers are told one by one, its global rotation stretched, its logits bounded",
    options: {
      ...gemma,
      config: {
        layer_types: ["full_attention", "sliding_attention", "full_attention"],
        rope_scaling: { rope_type: "linear", factor: 8 },
        final_logit_softcapping: 2.5,
      },
    },
    gatedLayers: [0, 2],
  },
  {
    title: "a gpt_neox with one residual after the other, approximate GELU and half of each head rotated",
    options: {
      ...neoxSizes,
      config: { use_parallel_residual: false, hidden_act: "gelu_new", rotary_pct: 0.5 },
    },
  },
  {
    title: "a BlueLM of plain frequencies",
    options: { modelType: "BlueLM", tied: false, config: { rope_scaling: null } },
  },
];

describe.each(Object.entries(families))("the logits of a %s are those of its definition", (_, run) => {
  it.each([
    ["full", 1],
    ["streaming", 1],
    ["paper", 1],
    ["paper", 29],
    ["streaming", 13],
    ["plus", 1],
    ["plus", 29],
    ["infini", 29],
    ["keydiff", 13],
    ["h2o", 13],
    ["snapkv", 13],
  ] as const)("policy %s, %i at a time", async (policy, pieceTokens) => {
    const { largest, range } = await measureOracleDistance({ ...run, policy, pieceTokens });
    expect(largest).toBeLessThan(tolerance);
    expect(range).toBeGreaterThan(1);
  });

  it("and those of the checkpoint alone, bit for bit, until the first commit", async () => {
    const { folder, adapter } = createRunFolders({ ...run, policy: "paper" });
    if (adapter === undefined) throw new Error("no adapter");
    const context = { ...oddContext, slotTokens: 0 };
    await using gated = await loadModel(folder, { context, adapter });
    await using plain = await loadModel(folder, { context, policy: "streaming" });
    const sessions = [gated.createSession(), plain.createSession()] as const;
    for (const piece of [oddTokens.slice(0, 1), oddTokens.slice(1, 30), oddTokens.slice(30, oddCapacity)]) {
      for (const session of sessions) await session.append(piece);
      expect(bitsOf(logitsOf(sessions[0]))).toBe(bitsOf(logitsOf(sessions[1])));
    }
    for (const session of sessions) await session.append(oddTokens.slice(oddCapacity, oddCapacity + 1));
    expect(largestDifference(logitsOf(sessions[0]), logitsOf(sessions[1]))).toBeGreaterThan(10 * tolerance);
  });
});

describe("the logits follow the settings", () => {
  it.each(settings)("of $title", async (run) => {
    for (const policy of ["paper", "plus", "full"] as const) {
      const { largest } = await measureOracleDistance({ ...run, policy, pieceTokens: 3 });
      expect(largest).toBeLessThan(tolerance);
    }
  });
});

describe("layers with a window", () => {
  it("have no memory: an adapter with gates for them is refused by its tensors' names", async () => {
    const { folder, adapter } = createRunFolders({ options: gemma, policy: "paper" });
    if (adapter === undefined) throw new Error("no adapter");
    await expect(loadModel(folder, { adapter })).rejects.toThrow(
      'adapter tiny-adapter: a tensor has no place in this checkpoint, got "layers.0.read_gate.down.bias"',
    );
  });

  it("have no gate to tell of, and a state that is smaller by their memory", async () => {
    const context = { ...oddContext, slotTokens: 0 };
    const gatedLayers = [1];
    const { folder, adapter } = createRunFolders({ options: gemma, policy: "paper", gatedLayers });
    if (adapter === undefined) throw new Error("no adapter");
    await using model = await loadModel(folder, { context, adapter });
    const session = model.createSession();
    await session.append(oddTokens);
    expect(session.stats.meanGateOpening).toHaveLength(1);
    // Keys and values [2, L, K, C, D], sink keys [L, K, S, D], M and z [1, K, D, D + 1], a gate sum a head, V logits, 64 ids.
    const [L, K, D] = [3, 2, 10];
    const H = model.config.geometry.queryHeadCount;
    const bytes = 4 * L * K * D * (2 * oddCapacity + 3) + 4 * K * D * (D + 1) + 8 * H + 4 * (282 + 64);
    expect(session.stateBytes).toBe(bytes);
    const again = await model.restoreSession(await session.save());
    await Promise.all([session, again].map((one) => one.append(oddTokens)));
    expect(bitsOf(logitsOf(again))).toBe(bitsOf(logitsOf(session)));
  });

  it("leave nothing for a memory when all layers have one", async () => {
    const options = { ...gemma, config: { layer_types: new Array<string>(3).fill("sliding_attention") } };
    const { folder, adapter } = createRunFolders({ options, policy: "paper" });
    if (adapter === undefined) throw new Error("no adapter");
    await expect(loadModel(folder, { adapter })).rejects.toThrow(
      "paper has nothing to remember for a model whose layers all attend within a window",
    );
    const { largest } = await measureOracleDistance({ options, policy: "streaming" });
    expect(largest).toBeLessThan(tolerance);
  });
});

describe("gpt2", () => {
  const options = { modelType: "gpt2", hiddenSize: 60, maxPositions: 150 } as const;

  it.each([
    ["one at a time", options, 1],
    ["in pieces", options, 29],
    ["untied, scores unscaled", { ...options, tied: false, config: { scale_attn_weights: false } }, 7],
  ] as const)("gives the logits of its definition: %s", async (_, given, pieceTokens) => {
    const { largest, range } = await measureOracleDistance({ options: given, policy: "full", pieceTokens });
    expect(largest).toBeLessThan(tolerance);
    expect(range).toBeGreaterThan(1);
  });

  it("gives the same with the prefix that some checkpoints have before their names", async () => {
    const { folder } = createRunFolders({ options, policy: "full" });
    const prefixed = await editTensors(folder, "model.safetensors", (tensors) => {
      for (const [name, tensor] of Object.entries(tensors)) {
        delete tensors[name];
        tensors[`transformer.${name}`] = tensor;
      }
    });
    const logits = await Promise.all(
      [folder, prefixed].map(async (from) => {
        await using model = await loadModel(from, { policy: "full" });
        const session = model.createSession();
        await session.append(oddTokens.slice(0, 20));
        return bitsOf(logitsOf(session));
      }),
    );
    expect(logits[0]).toBe(logits[1]);
  });

  it("is refused under policies whose streams have no end, with the reason", async () => {
    const { folder, adapter } = createRunFolders({ options, policy: "paper" });
    if (adapter === undefined) throw new Error("no adapter");
    for (const [name, more] of [
      ["streaming", { policy: "streaming" }],
      ["paper", { policy: "paper", adapter }],
      ["paper", { adapter }],
    ] as const) {
      const loading = loadModel(folder, more);
      await expect(loading).rejects.toThrow(UnsupportedError);
      await expect(loading).rejects.toThrow(
        "policy: the model has learned a vector for each of 150 positions, so that its streams must end there, " +
          `got "${name}", expected full. Choose policy "full" for up to 150 tokens`,
      );
    }
  });

  it("runs under the policy full when nothing is asked for, says so, and ends with its positions", async () => {
    const { folder } = createRunFolders({ options, policy: "full" });
    await using model = await loadModel(folder);
    expect(model.policy).toBe("full");
    expect(model.notices).toEqual([
      "This model has learned a vector for each of its 150 positions, so a session ends there. " +
        "Choose one with rotary embedding for streams without end.",
    ]);
    const session = model.createSession();
    await session.append(oddTokens);
    const again = await model.restoreSession(await session.save());
    const rest = tinyIds(150 - oddTokens.length);
    for (const one of [session, again]) await one.append(rest);
    expect(bitsOf(logitsOf(again))).toBe(bitsOf(logitsOf(session)));
    await expect(session.append([5])).rejects.toThrow(
      '151 tokens", expected at most 150. Choose a model with rotary embedding',
    );
  });

  it("is not quantised on load, by name", async () => {
    const { folder } = createRunFolders({ options, policy: "full" });
    await expect(loadModel(folder, { dtype: "q8" })).rejects.toThrow(
      'dtype: this version does not quantise gpt2, which keeps its matrices transposed, got "q8", expected f32 or f16.',
    );
  });
});
