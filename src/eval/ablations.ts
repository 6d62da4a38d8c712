/**
 * Ablations: a trained memory with a branch taken away, so that what the branch does can be seen.
 *
 * Gates are forced by their last bias: sigmoid(100) is 1 and sigmoid(-100) is 0 to float32.
 */

import { InvalidRequestError } from "../errors.ts";
import { type ModelFolder, memoryModelFolder } from "../files/model-folder.ts";
import { readTensor } from "../files/safetensors.ts";
import { writeSafetensors } from "../files/safetensors-writer.ts";
import { type AdapterDesign, describeDesign, openAdapter } from "../memory/adapter.ts";
import type { ContextSettings } from "../memory/geometry.ts";
import type { PolicyName } from "../memory/policy.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { elementCount } from "../tensor/shape.ts";

/** Lists the ablations. */
export const ablations = ["slots-off", "memory-off", "gate-open", "gate-closed", "window-halved"] as const;

/** Names an ablation. */
export type Ablation = (typeof ablations)[number];

/** Is how an ablated memory is loaded. */
export interface AblatedMemory {
  readonly policy: PolicyName;
  /** Undefined when the policy has none. */
  readonly adapter: ModelFolder | undefined;
  readonly context: Partial<ContextSettings>;
}

const forcedBias = 100;

function refuse(ablation: Ablation, policy: string, reason: string): never {
  throw new InvalidRequestError({
    where: `ablation ${ablation}`,
    what: `this memory has no such branch: ${reason}`,
    got: policy,
  });
}

function withoutMemory(design: AdapterDesign): AdapterDesign {
  return design.variant === "plus" ? { ...design, linearMemory: undefined } : design;
}

const ofMemory = /\.(read_gate|write_gate|feature_map)\./;

/** Of a gate that is forced these become 0, and those far from it. */
const forcedWeight = ".read_gate.up.weight";
const forcedBiases = [".read_gate.up.bias", ".read_gate.beta"];

/** Writes an adapter anew, with its gate forced or without its linear memory. */
async function rewriteAdapter(
  folder: ModelFolder,
  change: "gate-open" | "gate-closed" | "memory-off",
  signal?: AbortSignal,
): Promise<ModelFolder> {
  const adapter = await openAdapter(folder, signal);
  try {
    const design = change === "memory-off" ? withoutMemory(adapter.design) : adapter.design;
    const tensors: Record<string, HostTensor> = {};
    for (const [name, entry] of adapter.tensors) {
      if (change === "memory-off" && ofMemory.test(name)) continue;
      const isWeight = name.endsWith(forcedWeight);
      const isBias = forcedBiases.some((ending) => name.endsWith(ending));
      const isForced = change !== "memory-off" && (isWeight || isBias);
      const value = isWeight ? 0 : change === "gate-open" ? forcedBias : -forcedBias;
      const forced = (): Float32Array<ArrayBuffer> => new Float32Array(elementCount(entry.shape)).fill(value);
      tensors[name] = isForced
        ? hostTensor("float32", entry.shape, forced())
        : await readTensor(entry, signal);
    }
    const { sinkTokens, slotTokens, windowTokens, segmentTokens } = adapter.context;
    const config = {
      peft_type: "EDGEINFINITE",
      ...describeDesign(design),
      ...(sinkTokens !== undefined && { sink_tokens: sinkTokens }),
      ...(slotTokens !== undefined && { slot_tokens: slotTokens }),
      ...(windowTokens !== undefined && { window_tokens: windowTokens }),
      ...(segmentTokens !== undefined && { segment_tokens: segmentTokens }),
    };
    return memoryModelFolder(`${folder.name} (${change})`, {
      "adapter_config.json": JSON.stringify(config),
      "adapter_model.safetensors": writeSafetensors(tensors),
    });
  } finally {
    await adapter.close();
  }
}

/**
 * Takes a branch of a memory away.
 * @param adapter - undefined for policies without.
 * @param context - the settings that the memory would run with, all of them.
 * @throws {@link InvalidRequestError} when the memory has no such branch.
 */
export async function ablate(
  ablation: Ablation,
  policy: PolicyName,
  adapter: ModelFolder | undefined,
  context: ContextSettings,
  signal?: AbortSignal,
): Promise<AblatedMemory> {
  const { sinkTokens, windowTokens, segmentTokens } = context;
  const streaming: AblatedMemory = {
    policy: "streaming",
    adapter: undefined,
    context: { sinkTokens, windowTokens, segmentTokens },
  };
  if (ablation === "window-halved") {
    if (policy === "full") refuse(ablation, policy, "it has no window");
    return { policy, adapter, context: { ...context, windowTokens: Math.floor(windowTokens / 2) } };
  }
  if (ablation === "slots-off" && context.slotTokens === 0) refuse(ablation, policy, "it keeps no slots");
  if (adapter === undefined) {
    if (ablation === "slots-off") return streaming;
    return refuse(ablation, policy, "it has no linear memory");
  }
  const opened = await openAdapter(adapter, signal);
  await opened.close();
  const hasMemory = opened.design.linearMemory !== undefined;
  if (ablation === "slots-off")
    return hasMemory ? { policy, adapter, context: { ...context, slotTokens: 0 } } : streaming;
  if (!hasMemory) refuse(ablation, policy, "it has no linear memory");
  if (ablation === "memory-off" && policy !== "plus") return streaming;
  return { policy, adapter: await rewriteAdapter(adapter, ablation, signal), context };
}
