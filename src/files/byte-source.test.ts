import { expect, it } from "vitest";
import { memoryByteSource } from "./byte-source.ts";

it("gives plain bytes when it holds one of Node's buffers, whose slice does not copy", async () => {
  const pool = Buffer.from("....weights");
  const source = memoryByteSource("memory", pool.subarray(4));
  const bytes = await source.read(1, 3);
  expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype);
  expect(new TextDecoder().decode(bytes)).toBe("eig");
  expect(bytes.slice().buffer.byteLength).toBe(3);
});
