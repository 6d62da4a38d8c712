/**
 * What commands see of the process: its streams, environment and memory. Tests stand in for it.
 */

import type { Readable, Writable } from "node:stream";
import { FileError } from "../errors.ts";
import type { Interrupts } from "./interrupts.ts";

function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "EPIPE" || error.code === "EOF");
}

/** Writes text to a stream, and notices when nobody reads it any more. */
export class TextOutput {
  /** Whether a person looks at it. */
  readonly isInteractive: boolean;
  readonly stream: Writable;
  #failure: unknown;

  constructor(stream: Writable, isInteractive: boolean) {
    this.stream = stream;
    this.isInteractive = isInteractive;
    stream.on("error", (error: unknown) => {
      this.#failure ??= error;
    });
  }

  /** Whether writing has become pointless: the reader has gone, or the disk is full. */
  get isClosed(): boolean {
    return this.#failure !== undefined;
  }

  /** Columns of the terminal; 80 where there is none. */
  get columns(): number {
    const { columns } = this.stream as Writable & { readonly columns?: unknown };
    return typeof columns === "number" && columns > 0 ? columns : 80;
  }

  /** Writes; resolves when the stream has taken it. Does nothing on a closed stream. */
  write(text: string): Promise<void> {
    if (this.isClosed || text === "") return Promise.resolve();
    return new Promise((resolve) => {
      this.stream.write(text, () => resolve());
    });
  }

  /** Writes a line. */
  line(text = ""): Promise<void> {
    return this.write(`${text}\n`);
  }

  /** Writes a value as a line of JSON. */
  json(value: unknown): Promise<void> {
    return this.line(JSON.stringify(value));
  }

  /** Reports that output was lost; a reader who has gone does not count. @throws {@link FileError} */
  assertWritten(name: string): void {
    if (this.#failure === undefined || isBrokenPipe(this.#failure)) return;
    const got = this.#failure instanceof Error ? this.#failure.message : String(this.#failure);
    throw new FileError({ where: name, what: "the output cannot be written", got, cause: this.#failure });
  }
}

/** Is a process, as far as commands need it. */
export interface Terminal {
  readonly stdin: Readable;
  /** Whether a person types. */
  readonly isInputInteractive: boolean;
  /** Whether the shell put a pipe or a file there: it is read without being asked for. */
  readonly isInputPiped: boolean;
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly interrupts: Interrupts;
  /** Returns the memory that the process holds (its resident set), in bytes. */
  residentBytes(): number;
}
