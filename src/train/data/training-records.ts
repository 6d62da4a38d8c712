/**
 * Training data on disk or elsewhere, as records that are read one by one, in any order.
 *
 * All files are read once at the start: a malformed line is told before hours of training, and the digest says
 * later whether a resumed run has the same data. Memory is a few numbers a record, whatever the files' length.
 * A JSONL line is a record; plain text is cut into passages at the ends of paragraphs.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { InvalidRequestError } from "../../errors.ts";
import type { ByteSource } from "../../files/byte-source.ts";
import { findLines } from "./json-lines.ts";
import { findPassages } from "./passages.ts";
import type { RecordPlace } from "./record-place.ts";
import { parseTrainingRecord, type TrainingRecord } from "./training-record.ts";

/** Is a file of training data. */
export interface TrainingFile {
  readonly source: ByteSource;
  readonly format: "jsonl" | "text";
}

/** Gives the records of a data set by their indices. */
export interface TrainingRecords {
  readonly count: number;
  /** Bytes of all files. */
  readonly sizeBytes: number;
  /** A digest of the files' content, in hex, and of how it is cut. */
  readonly identity: string;
  /** Names a record in messages: its file and line or passage. */
  place(index: number): string;
  /** @throws {@link FileError} when the file cannot be read. */
  read(index: number, signal?: AbortSignal): Promise<TrainingRecord>;
  /** Closes the files. */
  close(): Promise<void>;
}

/** Chooses how files become records. */
export interface TrainingRecordsOptions {
  /** Most bytes of a passage of plain text; default 32 KiB, some 8000 tokens of English. */
  readonly passageBytes?: number;
  readonly signal?: AbortSignal | undefined;
}

const defaultPassageBytes = 32 * 1024;

function decode(where: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new InvalidRequestError({
      where,
      what: "this is not UTF-8",
      expected: "UTF-8 text",
      remedy: "Convert the file, for instance with `iconv -t utf-8`.",
      cause,
    });
  }
}

const unit = { jsonl: "line", text: "passage" } as const;

function parse(file: TrainingFile, place: RecordPlace, bytes: Uint8Array): TrainingRecord {
  const where = `${file.source.name}, ${unit[file.format]} ${place.number}`;
  const text = decode(where, bytes);
  if (file.format === "jsonl") return parseTrainingRecord(where, text);
  return { kind: "text", text, isComplete: place.isLast };
}

interface IndexedFile {
  readonly file: TrainingFile;
  readonly places: readonly RecordPlace[];
}

async function indexFile(
  file: TrainingFile,
  digest: (bytes: Uint8Array) => void,
  options: TrainingRecordsOptions,
): Promise<IndexedFile> {
  const { passageBytes = defaultPassageBytes, signal } = options;
  const found =
    file.format === "jsonl"
      ? findLines(file.source, signal)
      : findPassages(file.source, passageBytes, signal);
  const places: RecordPlace[] = [];
  for await (const { place, bytes } of found) {
    parse(file, place, bytes);
    digest(bytes);
    places.push(place);
  }
  if (places.length > 0) return { file, places };
  throw new InvalidRequestError({
    where: file.source.name,
    what: "there is no text in the file",
    got: `${file.source.sizeBytes} bytes`,
    expected: file.format === "jsonl" ? "one JSON object a line" : "text",
    remedy: "Remove it from the data, or fill it.",
  });
}

/**
 * Opens training data; reads all of it once.
 * @throws {@link InvalidRequestError} when there is none, a file is empty or not UTF-8, or a line is malformed, with
 * the file and the line; {@link FileError} when a file cannot be read; the signal's reason on abort.
 */
export async function openTrainingRecords(
  files: readonly TrainingFile[],
  options: TrainingRecordsOptions = {},
): Promise<TrainingRecords> {
  const { passageBytes = defaultPassageBytes } = options;
  if (!Number.isSafeInteger(passageBytes) || passageBytes < 64) {
    const expected = "a whole number from 64";
    throw new InvalidRequestError({
      where: "passageBytes",
      what: "out of range",
      got: passageBytes,
      expected,
    });
  }
  if (files.length === 0) {
    throw new InvalidRequestError({
      where: "training data",
      what: "there are no files",
      expected: "one or more",
    });
  }
  const hash = sha256.create();
  const lengths = new DataView(new ArrayBuffer(8));
  const digest = (bytes: Uint8Array): void => {
    lengths.setFloat64(0, bytes.length);
    hash.update(new Uint8Array(lengths.buffer)).update(bytes);
  };
  const indexed: IndexedFile[] = [];
  const ends: number[] = [];
  let count = 0;
  for (const file of files) {
    const one = await indexFile(file, digest, options);
    indexed.push(one);
    count += one.places.length;
    ends.push(count);
  }
  const locate = (index: number): { file: TrainingFile; place: RecordPlace } => {
    const at = ends.findIndex((end) => index < end);
    const one = indexed[at];
    const place = one?.places[index - (at > 0 ? (ends[at - 1] ?? 0) : 0)];
    if (one !== undefined && place !== undefined) return { file: one.file, place };
    const expected = `a whole number from 0 to ${count - 1}`;
    throw new InvalidRequestError({
      where: "training data",
      what: "there is no such record",
      got: index,
      expected,
    });
  };
  return {
    count,
    sizeBytes: files.reduce((sum, { source }) => sum + source.sizeBytes, 0),
    identity: bytesToHex(hash.digest()),
    place(index) {
      const { file, place } = locate(index);
      return `${file.source.name}, ${unit[file.format]} ${place.number}`;
    },
    async read(index, signal) {
      const { file, place } = locate(index);
      return parse(file, place, await file.source.read(place.offset, place.lengthBytes, signal));
    },
    async close() {
      await Promise.all(files.map(({ source }) => source.close()));
    },
  };
}
