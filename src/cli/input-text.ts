/**
 * The text that a command reads: files, stdin and a prompt, one after the other, as one stream.
 *
 * Files are never whole in memory. Bytes are UTF-8; a character may lie across two chunks. Where a text does
 * not end in white space, a line break keeps the next one apart.
 */

import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { addAbortSignal, type Readable } from "node:stream";
import { InvalidRequestError } from "../errors.ts";
import { systemFileError } from "../files/node-system-error.ts";

/** Bytes of a chunk: small, so that the place where a reading was stopped is told closely. */
const chunkBytes = 16 * 1024;

/** Says what is read. */
export interface InputRequest {
  /** Paths; `-` is stdin. */
  readonly files: readonly string[];
  /** Is read last. */
  readonly prompt: string;
  readonly stdin: Readable;
}

/** Is one of the texts that are read. */
export interface TextSource {
  readonly name: string;
  /** Undefined where it cannot be told: pipes. */
  readonly sizeBytes: number | undefined;
  /** Streams its bytes, UTF-8. */
  open(signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** Makes sure that a file can be read, before anything long begins; gives its length. */
async function openFile(path: string): Promise<TextSource> {
  const fail = (error: unknown): never => {
    throw systemFileError(path, "the file cannot be read", error);
  };
  const file = await open(path, "r").catch(fail);
  try {
    const stats = await file.stat();
    if (stats.isDirectory()) fail(Object.assign(new Error("a folder"), { code: "EISDIR" }));
    return {
      name: path,
      sizeBytes: stats.isFile() ? stats.size : undefined,
      open: (signal) => createReadStream(path, { signal, highWaterMark: chunkBytes }),
    };
  } finally {
    await file.close();
  }
}

function promptSource(prompt: string): TextSource {
  const bytes = new TextEncoder().encode(prompt);
  return {
    name: "the prompt",
    sizeBytes: bytes.length,
    async *open() {
      yield bytes;
    },
  };
}

/** Streams text and tells how far it is. */
export class InputText {
  readonly #sources: readonly TextSource[];
  /** Bytes of all sources; undefined where a pipe is among them. */
  readonly totalBytes: number | undefined;
  #current: TextSource | undefined;
  #currentBytes = 0;
  #readBytes = 0;
  #last = "\n";
  #isEmpty = true;

  constructor(sources: readonly TextSource[]) {
    this.#sources = sources;
    const sizes = sources.map(({ sizeBytes }) => sizeBytes ?? Number.NaN);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    this.totalBytes = Number.isNaN(total) ? undefined : total;
  }

  /** Whether there is nothing to read. */
  get isAbsent(): boolean {
    return this.#sources.length === 0;
  }

  /** Bytes handed out so far. */
  get readBytes(): number {
    return this.#readBytes;
  }

  /** Says where the reading is, for people. */
  get place(): string {
    return this.#current === undefined
      ? "before the first input"
      : `${this.#current.name}, about byte ${this.#currentBytes}`;
  }

  /**
   * Streams the text, once.
   * @throws {@link FileError} when a file cannot be read; {@link InvalidRequestError} when all is empty;
   * the signal's reason on abort.
   */
  async *stream(signal: AbortSignal): AsyncGenerator<string, void, void> {
    for (const source of this.#sources) {
      this.#current = source;
      this.#currentBytes = 0;
      if (!/\s$/.test(this.#last)) yield "\n";
      try {
        yield* this.#decode(source.open(signal));
      } catch (error) {
        signal.throwIfAborted();
        throw systemFileError(source.name, "the input cannot be read", error);
      }
    }
    if (!this.#isEmpty) return;
    throw new InvalidRequestError({
      where: "input",
      what: "there is nothing to read",
      got: this.#sources.map(({ name }) => `${name}: 0 bytes`).join(", "),
      expected: "some text",
    });
  }

  async *#decode(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
    const decoder = new TextDecoder();
    const take = (text: string): string => {
      this.#isEmpty &&= text === "";
      this.#last = text.at(-1) ?? this.#last;
      return text;
    };
    for await (const chunk of chunks) {
      this.#readBytes += chunk.length;
      this.#currentBytes += chunk.length;
      yield take(decoder.decode(chunk, { stream: true }));
    }
    yield take(decoder.decode());
  }
}

/**
 * Opens what a command reads; every file is tried first.
 * @throws {@link FileError} when one cannot be read.
 */
export async function openInputText({ files, prompt, stdin }: InputRequest): Promise<InputText> {
  const sources: TextSource[] = [];
  for (const path of files) {
    if (path === "-") {
      sources.push({
        name: "stdin",
        sizeBytes: undefined,
        open: (signal) => addAbortSignal(signal, stdin),
      });
    } else sources.push(await openFile(path));
  }
  if (prompt !== "") sources.push(promptSource(prompt));
  return new InputText(sources);
}
