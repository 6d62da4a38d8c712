/**
 * Opens a GGUF model: one file, or the parts that llama.cpp's gguf-split makes of one.
 *
 * A part is called `NAME-00002-of-00003.gguf` and says `split.no` (from 0), `split.count` and
 * `split.tensors.count`. The first part has the model's metadata.
 */

import { FileError, InvalidModelError } from "../errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { type GgufHeader, type GgufTensor, parseGgufHeader } from "./gguf.ts";
import type { GgufValue } from "./gguf-cursor.ts";
import type { ModelFolder } from "./model-folder.ts";

/** Bounds the parts of a model; the largest published ones have a few dozen. */
const partLimit = 1024;

/** Holds an opened model: its metadata and the tensors of all its parts. */
export interface GgufFile {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  close(): Promise<void>;
}

interface PartName {
  readonly prefix: string;
  readonly index: number;
  readonly count: number;
}

function parsePartName(file: string): PartName | undefined {
  const [, prefix, index, count] = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/.exec(file) ?? [];
  return prefix === undefined ? undefined : { prefix, index: Number(index), count: Number(count) };
}

/** Lists the names of all parts of the model that a file is a part of; the file alone when it is whole. */
export function ggufPartNames(file: string): string[] {
  const part = parsePartName(file);
  if (part === undefined || part.count < 1 || part.count > partLimit) return [file];
  const number = (value: number) => String(value).padStart(5, "0");
  const nameOf = (_: unknown, index: number) =>
    `${part.prefix}-${number(index + 1)}-of-${number(part.count)}.gguf`;
  return Array.from({ length: part.count }, nameOf);
}

async function openPart(folder: ModelFolder, file: string, whole: string, signal?: AbortSignal) {
  if (file === whole || (await folder.has(file, signal))) return folder.open(file, signal);
  throw new FileError({
    where: folder.name,
    what: "a part of the split model is missing",
    got: "nothing there",
    expected: file,
    remedy: "Put all parts into one folder, or download the model again.",
  });
}

/** Checks what a part says about itself against its name. */
function assertPart(where: string, { metadata }: GgufHeader, index: number, count: number): void {
  const said = { no: metadata.get("split.no") ?? 0, count: metadata.get("split.count") ?? 1 };
  // A model that was never split may have any name, and says nothing.
  const isWhole = !metadata.has("split.count") && count === 1;
  if (isWhole || (said.no === index && (said.count === count || (said.count === 0 && count === 1)))) return;
  throw new InvalidModelError({
    where,
    what: "the file is another part than its name says",
    got: `split.no ${String(said.no)} of split.count ${String(said.count)}`,
    expected: `split.no ${index} of split.count ${count}`,
    remedy: "Give the parts the names that gguf-split gave them: NAME-00001-of-00002.gguf.",
  });
}

function mergeTensors(where: string, headers: readonly GgufHeader[]): Map<string, GgufTensor> {
  const merged = new Map<string, GgufTensor>();
  for (const tensor of headers.flatMap(({ tensors }) => [...tensors.values()])) {
    const other = merged.get(tensor.name);
    if (other !== undefined) {
      const what = `tensor ${JSON.stringify(tensor.name)} is in two parts`;
      throw new InvalidModelError({
        where,
        what,
        got: [other.source.name, tensor.source.name],
        expected: "one part",
      });
    }
    merged.set(tensor.name, tensor);
  }
  const expected = headers[0]?.metadata.get("split.tensors.count");
  if (headers.length > 1 && expected !== undefined && expected !== merged.size) {
    throw new InvalidModelError({
      where,
      what: "the parts have not all tensors of the model",
      got: merged.size,
      expected: `${String(expected)}, as split.tensors.count says`,
      remedy: "The parts are of different models: download them again.",
    });
  }
  return merged;
}

/**
 * Opens a model by one of its files; of a split model all parts.
 * @throws {@link FileError} when a part is missing, naming it; as {@link parseGgufHeader} does.
 */
export async function openGgufFile(
  folder: ModelFolder,
  file: string,
  signal?: AbortSignal,
): Promise<GgufFile> {
  const names = ggufPartNames(file);
  const sources: ByteSource[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(sources.map((source) => source.close()));
  };
  try {
    const headers: GgufHeader[] = [];
    for (const [index, name] of names.entries()) {
      const source = await openPart(folder, name, file, signal);
      sources.push(source);
      const header = await parseGgufHeader(source, signal);
      assertPart(source.name, header, index, names.length);
      headers.push(header);
    }
    const metadata = headers[0]?.metadata ?? new Map<string, GgufValue>();
    return { metadata, tensors: mergeTensors(folder.name, headers), close };
  } catch (error) {
    await close();
    throw error;
  }
}
