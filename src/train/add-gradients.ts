/**
 * From the outputs of a differentiated graph to the sums of a step.
 */

import { gradientName } from "../autodiff/differentiate.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { addScaled, type NamedArrays } from "./parameters.ts";

/** Adds to each of the sums the gradient, of the same name, that a run gave. */
export function addGradients(sums: NamedArrays, outputs: Readonly<Record<string, HostTensor>>): void {
  const names = [...sums.keys()];
  const gradients = names.map((name) => [name, hostFloats(outputs[gradientName(name)], name)] as const);
  addScaled(sums, new Map(gradients), 1);
}
