/**
 * Reads tokens into a tiny model with slots, a few at a time, and shows each commit to a test.
 */

import { openCheckpointWeights } from "../../src/files/checkpoint-files.ts";
import { openAdapter } from "../../src/memory/adapter.ts";
import type { AttentionGeometry, ContextSettings } from "../../src/memory/geometry.ts";
import { createPolicy } from "../../src/memory/policies.ts";
import { SlotState } from "../../src/memory/slot-state.ts";
import { inferenceNames } from "../../src/models/decoder.ts";
import { loadModelFamily } from "../../src/models/registry.ts";
import { createNodeRuntime } from "../../src/runtime/node.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { hostTensor } from "../../src/tensor/host-tensor.ts";
import {
  createTinyAdapterFolder,
  createTinyModelFolder,
  type TinyAdapterOptions,
} from "../../src/testing/tiny-model.ts";
import type { RunOutputs } from "../../src/train/read-segments.ts";
import { readWeightTensors } from "../../src/train/read-weight-tensors.ts";
import { type TokenOutput, withTokenOutputs } from "../../src/train/token-outputs.ts";
import { pickFeeds, type WeightTensors } from "../../src/train/weight-tensors.ts";

const sizes = { hiddenSize: 16, queryHeadCount: 4, keyValueHeadCount: 2, headSize: 4, mlpSize: 10 };

/** Is what is read into. */
export interface SlotReading {
  readonly geometry: AttentionGeometry;
  readonly runtime: Runtime;
  /** Those of the adapter. */
  readonly tensors: WeightTensors;
}

/** Takes part. */
export interface SlotReadingHooks {
  onRun(outputs: RunOutputs, count: number): void;
  /** @param chosen `[N, K, B]`. */
  onCommit(state: SlotState, chosen: Int32Array): Promise<void>;
}

/** Reads until there were so many commits. @param outputs what hooks are to be told of tokens. */
export async function readIntoSlots(
  context: ContextSettings,
  adapterOptions: TinyAdapterOptions,
  outputs: readonly TokenOutput[],
  commitCount: number,
  begin: (reading: SlotReading) => Promise<SlotReadingHooks>,
): Promise<void> {
  const folder = createTinyModelFolder(sizes);
  const json = await folder.readJson("config.json");
  const family = await loadModelFamily("tiny", json);
  const config = family.readConfig("tiny", json);
  const { geometry } = config;
  const { tensors } = await openCheckpointWeights(folder);
  const adapter = await openAdapter(createTinyAdapterFolder({ ...sizes, context, ...adapterOptions }));
  const policy = withTokenOutputs(createPolicy("plus", { geometry, context, adapter }), geometry, outputs);
  const runtime = createNodeRuntime({ threads: 1 });
  await using session = await runtime.createSession(
    family.buildInferenceGraph("tiny", config, tensors, policy),
  );
  const commitGraph = policy.buildCommitGraph();
  await using commit = commitGraph && (await runtime.createSession(commitGraph));
  const hooks = await begin({ geometry, runtime, tensors: await readWeightTensors("tiny", adapter.tensors) });

  const state = policy.createState();
  for (let read = 0; state.commitCount < commitCount; ) {
    if (state.roomTokens === 0) {
      await state.commit(commit);
      if (!(state instanceof SlotState && state.lastChosen)) throw new Error("no slots");
      await hooks.onCommit(state, state.lastChosen);
    }
    const count = Math.min(state.roomTokens, 3);
    const ids = BigInt64Array.from({ length: count }, (_, index) =>
      BigInt(((read + index) ** 2 * 7 + read) % 19),
    );
    const feeds = {
      [inferenceNames.tokenIds]: hostTensor("int64", [count], ids),
      [inferenceNames.logitRows]: hostTensor("int64", [1], BigInt64Array.of(0n)),
    };
    const given = await session.run(pickFeeds(session, feeds, state.feeds(count)));
    state.absorb(given, count);
    hooks.onRun(given, count);
    read += count;
  }
}

/** Settings whose windows are no multiple of a segment, and segments longer than window and slots together. */
export const oddContexts: readonly ContextSettings[] = [
  { sinkTokens: 2, slotTokens: 4, windowTokens: 6, segmentTokens: 4 },
  { sinkTokens: 0, slotTokens: 3, windowTokens: 5, segmentTokens: 7 },
  { sinkTokens: 1, slotTokens: 5, windowTokens: 1, segmentTokens: 3 },
];
