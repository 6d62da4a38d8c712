/**
 * Weights in memory, which training graphs are fed: those that are trained, and those of a frozen base, which several
 * graphs then share.
 */

import type { TensorEntry } from "../files/safetensors.ts";
import type { NamedTensors, RuntimeSession } from "../runtime/runtime.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";

/** Holds weights by name, with their shapes: float32, changed in place by training. */
export type WeightTensors = ReadonlyMap<string, HostTensor<"float32">>;

/** Describes weights that are in memory as if a file held them: graphs take names, dtypes and shapes from it. */
export function describeWeights(weights: WeightTensors): Map<string, TensorEntry> {
  const source = {
    name: "weights in training",
    sizeBytes: 0,
    read: () => Promise.reject(new Error("weights in training are fed, not read")),
    close: async () => {},
  };
  return new Map(
    [...weights].map(([name, { dtype, shape, data }]) => [
      name,
      { name, dtype, shape, source, offset: 0, lengthBytes: data.byteLength },
    ]),
  );
}

/** Picks what a session is fed; what is missing shows when it runs. */
export function pickFeeds(session: RuntimeSession, ...feeds: readonly NamedTensors[]): NamedTensors {
  const all = Object.assign({}, ...feeds) as NamedTensors;
  return Object.fromEntries(
    session.inputNames.flatMap((name) => (all[name] === undefined ? [] : [[name, all[name]]])),
  );
}
