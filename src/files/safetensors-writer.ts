/**
 * Writer of safetensors: lays host tensors out as the bytes of one file.
 *
 * Wide elements come first and the header is padded to 8 bytes, so that every tensor lies at a multiple of
 * its element's width and can be mapped. The order is a function of names and dtypes alone.
 */

import { InvalidRequestError } from "../errors.ts";
import { type DType, dtypeSizeBytes } from "../tensor/dtype.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { elementCount, formatShape } from "../tensor/shape.ts";
import { allocateBytes } from "./byte-source.ts";
import { safetensorsDTypes, safetensorsLimits } from "./safetensors.ts";

const dtypeNames: ReadonlyMap<string, string> = new Map(
  Object.entries(safetensorsDTypes).map(([name, dtype]) => [dtype, name]),
);

/** Is a tensor to be written, without its elements. */
export interface PlannedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Says where everything goes in a file that is yet to be written. */
export interface SafetensorsPlan {
  /** The file's first bytes, up to the first tensor. */
  readonly head: Uint8Array<ArrayBuffer>;
  /** The length of the whole file. */
  readonly sizeBytes: number;
}

function assertWritable({ name, shape }: PlannedTensor): void {
  const where = `writeSafetensors: tensor ${JSON.stringify(name)}`;
  if (name === "__metadata__") {
    throw new InvalidRequestError({ where, what: "this name is the format's own", remedy: "Rename it." });
  }
  if (shape.length > safetensorsLimits.rank) {
    throw new InvalidRequestError({
      where,
      what: "the tensor has too many dimensions",
      got: shape.length,
      expected: `at most ${safetensorsLimits.rank}`,
    });
  }
}

function assertFilled(name: string, tensor: HostTensor): void {
  const where = `writeSafetensors: tensor ${JSON.stringify(name)}`;
  if (tensor.data.length !== elementCount(tensor.shape)) {
    throw new InvalidRequestError({
      where,
      what: `the data does not fill shape ${formatShape(tensor.shape)}`,
      got: `${tensor.data.length} elements`,
      expected: `${elementCount(tensor.shape)}`,
    });
  }
}

function compareNames(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/**
 * Plans a file for tensors whose elements come later, in the order given and without gaps, so that a large
 * file can be written as a stream.
 * @param metadata - free text by name, for the `__metadata__` member.
 * @throws {@link InvalidRequestError} for a tensor or a header that the format does not allow.
 */
export function planSafetensors(
  tensors: readonly PlannedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsPlan {
  const members: [string, unknown][] = Object.keys(metadata).length > 0 ? [["__metadata__", metadata]] : [];
  let dataBytes = 0;
  for (const tensor of tensors) {
    assertWritable(tensor);
    const end = dataBytes + dtypeSizeBytes(tensor.dtype) * elementCount(tensor.shape);
    const dtype = dtypeNames.get(tensor.dtype);
    members.push([tensor.name, { dtype, shape: tensor.shape, data_offsets: [dataBytes, end] }]);
    dataBytes = end;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(members)));
  const headerBytes = Math.ceil(json.length / 8) * 8;
  if (headerBytes > safetensorsLimits.headerBytes) {
    throw new InvalidRequestError({
      where: "writeSafetensors",
      what: "the header is too long",
      got: `${headerBytes} bytes`,
      expected: `at most ${safetensorsLimits.headerBytes} bytes`,
      remedy: "Write fewer tensors to a file, or less metadata.",
    });
  }
  const head = new Uint8Array(8 + headerBytes);
  new DataView(head.buffer).setBigUint64(0, BigInt(headerBytes), true);
  head.set(json, 8);
  head.fill(0x20, 8 + json.length);
  return { head, sizeBytes: head.length + dataBytes };
}

/**
 * Writes tensors as the bytes of a safetensors file.
 * @param tensors - by name; the names are kept as they are.
 * @param metadata - free text by name, for the `__metadata__` member.
 * @throws {@link InvalidRequestError} for a tensor or a header that the format does not allow.
 */
export function writeSafetensors(
  tensors: Readonly<Record<string, HostTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const ordered = Object.entries(tensors).sort(
    ([nameA, a], [nameB, b]) =>
      dtypeSizeBytes(b.dtype) - dtypeSizeBytes(a.dtype) || compareNames(nameA, nameB),
  );
  const types = ordered.map(([name, tensor]) => {
    assertFilled(name, tensor);
    return { name, dtype: tensor.dtype, shape: tensor.shape };
  });
  const { head, sizeBytes } = planSafetensors(types, metadata);
  const bytes = allocateBytes("writeSafetensors", sizeBytes);
  bytes.set(head);
  let offset = head.length;
  for (const [, { data }] of ordered) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return bytes;
}
