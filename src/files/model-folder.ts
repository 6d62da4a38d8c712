/**
 * Model folders: the files of one checkpoint or adapter by name, wherever they lie.
 *
 * Loaders know only this interface. A name never leaves the folder: absolute names and `..` are refused.
 */

import { FileError, InvalidModelError, InvalidRequestError } from "../errors.ts";
import { type ByteSource, memoryByteSource } from "./byte-source.ts";

/** Gives the files of one model by their names within its folder. */
export interface ModelFolder {
  /** Names the folder in messages: a path, a repository, an address. */
  readonly name: string;
  /** The absolute path, for a folder on disk. */
  readonly path?: string;
  /** The file in it that was asked for, where it was not the folder as a whole. */
  readonly file?: string;
  /** Trained memories that come with the model, by the policy that each is for, the best first. */
  readonly adapters?: ReadonlyMap<string, ModelFolder>;
  /** Lists the files directly in it; nothing where the place does not tell. */
  list(signal?: AbortSignal): Promise<readonly string[]>;
  /** Tells whether a file is there. */
  has(file: string, signal?: AbortSignal): Promise<boolean>;
  /**
   * Opens a file; the caller closes it.
   * @throws {@link FileError} when it is missing or cannot be read.
   */
  open(file: string, signal?: AbortSignal): Promise<ByteSource>;
  /**
   * Reads a whole file as UTF-8 text, without a byte order mark.
   * @throws {@link FileError} as `open`; {@link InvalidModelError} when it is not UTF-8 or too long.
   */
  readText(file: string, signal?: AbortSignal): Promise<string>;
  /**
   * Reads a whole file as JSON; the caller validates what comes.
   * @throws as `readText`, and {@link InvalidModelError} when it is not JSON.
   */
  readJson(file: string, signal?: AbortSignal): Promise<unknown>;
}

/** Bounds the length of a text file (the longest tokenizers are near 40 MB), in bytes. */
const textFileLimitBytes = 256 * 1024 * 1024;

/** Tells whether a name stays within its folder: relative, with `/` only, and without `.` or `..` parts. */
export function isContainedFile(file: string): boolean {
  // A colon would name a drive or a stream on Windows; NUL ends a name in the system's own calls.
  if (file === "" || /[\\:\0]/.test(file)) return false;
  return file.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

/** Is what {@link makeModelFolder} builds a folder from. */
export interface ModelFolderAccess {
  readonly name: string;
  readonly path?: string;
  readonly file?: string | undefined;
  /** Left out where the place does not tell. */
  readonly list?: (signal?: AbortSignal) => Promise<readonly string[]>;
  has(file: string, signal?: AbortSignal): Promise<boolean>;
  open(file: string, signal?: AbortSignal): Promise<ByteSource>;
}

function assertContained(name: string, file: string): void {
  if (isContainedFile(file)) return;
  throw new InvalidRequestError({
    where: name,
    what: "the file name leaves the folder",
    got: file,
    expected: "a relative name with / and without ..",
  });
}

async function readText(access: ModelFolderAccess, file: string, signal?: AbortSignal): Promise<string> {
  const source = await access.open(file, signal);
  try {
    if (source.sizeBytes > textFileLimitBytes) {
      throw new InvalidModelError({
        where: source.name,
        what: "the text file is too long",
        got: `${source.sizeBytes} bytes`,
        expected: `at most ${textFileLimitBytes} bytes`,
        remedy: "Check that it is the right file.",
      });
    }
    const bytes = await source.read(0, source.sizeBytes, signal);
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch (error) {
      throw new InvalidModelError({
        where: source.name,
        what: "the file is not UTF-8",
        expected: "UTF-8 text",
        remedy: "The file is damaged: fetch it again.",
        cause: error,
      });
    }
  } finally {
    await source.close();
  }
}

function parseJson(where: string, text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    throw new InvalidModelError({
      where,
      what: "the file is not JSON",
      got: text.slice(0, 40),
      expected: "a JSON document",
      remedy: text.startsWith("version https://git-lfs")
        ? "This is a Git LFS pointer: run `git lfs pull`, or download the file."
        : "The file is damaged: fetch it again.",
      cause: error,
    });
  }
}

/** Builds a model folder from its two primitives, checking every name before they see it. */
export function makeModelFolder(access: ModelFolderAccess): ModelFolder {
  const { name, file: asked } = access;
  if (asked !== undefined) assertContained(name, asked);
  return {
    name,
    ...(access.path === undefined ? {} : { path: access.path }),
    ...(asked === undefined ? {} : { file: asked }),
    list: async (signal) => (await access.list?.(signal)) ?? [],
    async has(file, signal) {
      assertContained(name, file);
      return access.has(file, signal);
    },
    async open(file, signal) {
      assertContained(name, file);
      signal?.throwIfAborted();
      return access.open(file, signal);
    },
    async readText(file, signal) {
      assertContained(name, file);
      return readText(access, file, signal);
    },
    async readJson(file, signal) {
      assertContained(name, file);
      return parseJson(`${name}/${file}`, await readText(access, file, signal));
    },
  };
}

/** Returns the error for a file that a folder lacks. */
export function missingFileError(folderName: string, file: string): FileError {
  return new FileError({
    where: folderName,
    what: "a file is missing",
    got: "nothing there",
    expected: file,
    remedy: "Check that the folder is complete, or download it again.",
  });
}

/** Serves a folder from memory; texts are encoded as UTF-8. */
export function memoryModelFolder(
  name: string,
  files: Readonly<Record<string, Uint8Array | string>>,
): ModelFolder {
  const contents = new Map(Object.entries(files));
  return makeModelFolder({
    name,
    list: async () => [...contents.keys()].filter((file) => !file.includes("/")),
    async has(file) {
      return contents.has(file);
    },
    async open(file) {
      const content = contents.get(file);
      if (content === undefined) throw missingFileError(name, file);
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      return memoryByteSource(`${name}/${file}`, bytes);
    },
  });
}
