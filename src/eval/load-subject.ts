/**
 * Loads the model of a subject: the checkpoint with a way to remember, a branch of it taken away if asked for.
 */

import { type LoadOptions, loadModelOn, openParts, type Platform } from "../engine/load-model.ts";
import type { Model } from "../engine/model.ts";
import { ablate } from "./ablations.ts";
import type { Subject } from "./subject.ts";

/**
 * Loads a subject.
 * @param model - a folder, hub id or GGUF file; one that brings adapters lends its own where the subject names none.
 * @param options - how all subjects are loaded; memory options are the subject's.
 * @throws as `loadModel` does; {@link InvalidRequestError} when the memory has no such branch.
 */
export async function loadSubject(
  platform: Platform,
  model: string,
  { policy, adapter, context, ablation }: Subject,
  options: Omit<LoadOptions, "policy" | "adapter" | "context">,
): Promise<Model> {
  const { signal } = options;
  const memory = { policy, context, ...(adapter !== undefined && { adapter }) };
  if (ablation === undefined) return loadModelOn(platform, model, { ...options, ...memory });
  const parts = await openParts(platform, model, { ...options, ...memory }, true);
  await parts.close();
  const folder =
    adapter === undefined
      ? (await platform.openFolder(model, options)).adapters?.get(policy)
      : await platform.openFolder(adapter, { signal });
  const ablated = await ablate(ablation, policy, folder, parts.context, signal);
  const { adapter: rewritten, ...rest } = ablated;
  const changed = { ...rest, ...(rewritten !== undefined && { adapter: rewritten }) };
  return loadModelOn(platform, model, { ...options, ...changed });
}
