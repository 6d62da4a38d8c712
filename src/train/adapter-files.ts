/**
 * The files of a trained adapter, as PEFT users expect them; {@link openAdapter} reads them.
 */

import { writeSafetensors } from "../files/safetensors-writer.ts";
import { type AdapterDesign, describeDesign } from "../memory/adapter.ts";
import type { ContextSettings } from "../memory/geometry.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";

/** Describes a trained adapter. */
export interface TrainedAdapter {
  /** The checkpoint it was trained for, as users name it. */
  readonly baseModel: string;
  readonly design: AdapterDesign;
  /** The settings it was trained with. */
  readonly context: ContextSettings;
  /** By name: `layers.{i}.read_gate.down.weight` and so on. */
  readonly tensors: ReadonlyMap<string, HostTensor>;
}

/** Lays an adapter out as files, the configuration last. */
export function makeAdapterFiles(adapter: TrainedAdapter): ReadonlyMap<string, Uint8Array | string> {
  const { baseModel, design, context, tensors } = adapter;
  const config = {
    base_model_name_or_path: baseModel,
    peft_type: "EDGEINFINITE",
    ...describeDesign(design),
    sink_tokens: context.sinkTokens,
    slot_tokens: context.slotTokens,
    window_tokens: context.windowTokens,
    segment_tokens: context.segmentTokens,
  };
  return new Map<string, Uint8Array | string>([
    ["adapter_model.safetensors", writeSafetensors(Object.fromEntries(tensors), { format: "pt" })],
    ["adapter_config.json", `${JSON.stringify(config, null, 2)}\n`],
  ]);
}
