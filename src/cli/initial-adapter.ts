/**
 * The adapter that a training begins with, read into memory.
 */

import { createHash } from "node:crypto";
import { nodePlatform } from "../engine/node.ts";
import { type Adapter, type AdapterDesign, openAdapter } from "../memory/adapter.ts";
import type { ContextSettings } from "../memory/geometry.ts";
import { readWeightTensors } from "../train/read-weight-tensors.ts";
import { describeWeights, type WeightTensors } from "../train/weight-tensors.ts";

/** Is an adapter in memory. */
export interface InitialAdapter {
  readonly design: AdapterDesign;
  readonly context: Partial<ContextSettings>;
  readonly tensors: WeightTensors;
  /** SHA-256 of its tensors, in hex. */
  readonly digest: string;
}

/** Opens and reads an adapter. @throws as opening adapters and reading their tensors does. */
export async function readInitialAdapter(name: string, signal: AbortSignal): Promise<InitialAdapter> {
  const folder = await nodePlatform.openFolder(name, { signal, onProgress: undefined, revision: undefined });
  const adapter = await openAdapter(folder, signal);
  try {
    const tensors = await readWeightTensors(name, adapter.tensors, signal);
    const hash = createHash("sha256");
    for (const [tensor, { shape, data }] of tensors) hash.update(`${tensor} ${shape} `).update(data);
    const { design, context } = adapter;
    return { design, context, tensors, digest: hash.digest("hex") };
  } finally {
    await adapter.close();
  }
}

/** Gives an adapter as graphs read it, whose tensors are in memory and may change. */
export function adapterInTraining(design: AdapterDesign, tensors: WeightTensors): Adapter {
  return {
    name: "in training",
    baseModel: undefined,
    design,
    context: {},
    tensors: describeWeights(tensors),
    close: async () => {},
  };
}
