import { describe, expect, it } from "vitest";
import { memoryByteSource } from "../files/byte-source.ts";
import type { StoredTensor } from "./checkpoint.ts";
import { digestTensors } from "./model-parts.ts";

const mebibyte = 1024 * 1024;

function tensorsOf(bytes: Uint8Array): ReadonlyMap<string, StoredTensor> {
  const source = memoryByteSource("weights", bytes);
  const tensor = { name: "w", dtype: "U8", shape: [bytes.length], source, lengthBytes: bytes.length };
  return new Map([["w", tensor]]);
}

describe("digestTensors", () => {
  it("tells small files apart by any of their bytes, and by what they are about", async () => {
    const bytes = new Uint8Array(100_000);
    const plain = await digestTensors(tensorsOf(bytes), "one");
    expect(await digestTensors(tensorsOf(bytes), "one")).toBe(plain);
    expect(await digestTensors(tensorsOf(bytes), "other")).not.toBe(plain);
    for (const index of [0, 5_003, 51_717, 99_999]) {
      const changed = bytes.slice();
      changed[index] = 1;
      expect(await digestTensors(tensorsOf(changed), "one")).not.toBe(plain);
    }
  });

  it("reads large files in part, from their first byte to their last", async () => {
    const bytes = new Uint8Array(5 * mebibyte);
    const source = memoryByteSource("weights", bytes);
    let readBytes = 0;
    const counting = {
      ...source,
      read: (offset: number, length: number) => {
        readBytes += length;
        return source.read(offset, length);
      },
    };
    const [tensor] = tensorsOf(bytes).values();
    if (tensor === undefined) throw new Error("no tensor");
    const plain = await digestTensors(new Map([["w", { ...tensor, source: counting }]]), "one");
    expect(readBytes).toBe(32 * 1024);
    for (const index of [0, bytes.length - 1]) {
      const changed = bytes.slice();
      changed[index] = 1;
      expect(await digestTensors(tensorsOf(changed), "one")).not.toBe(plain);
    }
  });
});
