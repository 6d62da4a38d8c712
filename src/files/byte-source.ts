/**
 * Byte sources: random access to the bytes of a file, wherever it lies (memory, disk, HTTP, OPFS).
 *
 * Readers of formats (safetensors, GGUF) know only this interface. It refuses to know any format.
 */

import { FileError, OutOfMemoryError } from "../errors.ts";

/** Gives random access to the bytes of one file. */
export interface ByteSource {
  /** Names the file in messages. */
  readonly name: string;
  /** The file's length in bytes. */
  readonly sizeBytes: number;
  /** Tells this content from others of the same name, where the server says it: its entity tag. */
  readonly version?: string;
  /** The absolute path, for a file on disk: a runtime may map it instead of reading it. */
  readonly path?: string;
  /**
   * Reads exactly `lengthBytes` bytes from `offset`.
   * @throws {@link FileError} when the range lies outside the file or fewer bytes can be had.
   */
  read(offset: number, lengthBytes: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** Releases handles; reading afterwards fails. */
  close(): Promise<void>;
}

/** Checks a range against a file's length. @throws {@link FileError} */
export function assertRange(name: string, sizeBytes: number, offset: number, lengthBytes: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(lengthBytes);
  if (!whole || offset < 0 || lengthBytes < 0 || offset + lengthBytes > sizeBytes) {
    throw new FileError({
      where: name,
      what: "a read lies outside the file",
      got: `${lengthBytes} bytes at ${offset}`,
      expected: `a range within ${sizeBytes} bytes`,
      remedy: "The file is probably truncated: fetch it again.",
    });
  }
}

/** Allocates room for a read. @throws {@link OutOfMemoryError} when there is none. */
export function allocateBytes(name: string, lengthBytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(lengthBytes);
  } catch (error) {
    throw new OutOfMemoryError({
      where: name,
      what: "the bytes do not fit in memory",
      got: `${lengthBytes} bytes`,
      remedy: "Use a smaller file, or handle it in smaller parts.",
      cause: error,
    });
  }
}

/** Wraps bytes in memory as a source, without copying. */
export function memoryByteSource(name: string, { buffer, byteOffset, length }: Uint8Array): ByteSource {
  // Without Node's Buffer around them: its `slice` gives views where readers expect copies.
  const bytes = new Uint8Array(buffer, byteOffset, length);
  return {
    name,
    sizeBytes: bytes.length,
    async read(offset, lengthBytes) {
      assertRange(name, bytes.length, offset, lengthBytes);
      return bytes.subarray(offset, offset + lengthBytes);
    },
    async close() {},
  };
}

/** Collects a stream of bytes into a source in memory. */
export async function collectBytes(name: string, chunks: AsyncIterable<Uint8Array>): Promise<ByteSource> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    sizeBytes += chunk.length;
  }
  const bytes = allocateBytes(name, sizeBytes);
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return memoryByteSource(name, bytes);
}
