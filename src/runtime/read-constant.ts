/**
 * Reads the elements of a constant into host memory, wherever they lie.
 */

import type { Initializer } from "../graph/graph.ts";
import { dtypeArrays } from "../tensor/dtype.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";

/**
 * Reads a constant.
 * @throws {@link FileError} when its file cannot be read.
 */
export async function readConstant(
  { value, data }: Initializer,
  signal: AbortSignal | undefined,
): Promise<HostTensor> {
  if (data.kind === "inline") return data.tensor;
  const { source, offset, lengthBytes } = data.external;
  const bytes = await source.read(offset, lengthBytes, signal);
  const array = dtypeArrays[value.dtype];
  // The copy is aligned for the typed array, which the file's bytes need not be.
  const elements = new array(bytes.slice().buffer, 0, lengthBytes / array.BYTES_PER_ELEMENT);
  return hostTensor(value.dtype, value.shape.map(Number), elements);
}
