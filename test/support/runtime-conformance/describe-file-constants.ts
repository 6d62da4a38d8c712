/**
 * The part of the conformance suite that needs a disk: constants that stay in files.
 */

import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ByteSource, memoryByteSource } from "../../../src/files/byte-source.ts";
import { openDiskSource } from "../../../src/files/node-disk.ts";
import { GraphBuilder } from "../../../src/graph/builder.ts";
import type { Runtime } from "../../../src/runtime/runtime.ts";
import { encodeBfloat16, encodeFloat16 } from "../../../src/tensor/half-float.ts";
import { f32 } from "./example.ts";
import { expectClose } from "./expect-close.ts";

/** Sums float32 constants of one element at the start of each source. */
async function sumOf(runtime: Runtime, sources: readonly ByteSource[]): Promise<unknown> {
  const b = new GraphBuilder("files");
  const constants = sources.map((source, index) =>
    b.external(`w${index}`, "float32", [1], { source, offset: 0, lengthBytes: 4 }),
  );
  const graph = b.finish([b.named("sum", b.reduceSum(b.concat(constants, 0), [0], true))]);
  await using session = await runtime.createSession(graph);
  const { sum } = await session.run({});
  return sum?.data[0];
}

const bytesOf = (value: number): Uint8Array => new Uint8Array(Float32Array.of(value).buffer);

/** Describes how a runtime that can read files takes constants from them. */
export function describeFileConstants(name: string, create: () => Promise<Runtime>): void {
  describe(`${name}: constants in files`, () => {
    let folder = "";
    const opened: ByteSource[] = [];
    const open = async (path: string): Promise<ByteSource> => {
      const source = await openDiskSource(join(folder, path));
      opened.push(source);
      return source;
    };

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "edgeinfinite-"));
      const halves = new Uint8Array(20);
      halves.set(bytesOf(1.5), 3);
      halves.set(new Uint8Array(encodeFloat16([0.5, 65504]).buffer), 8);
      halves.set(new Uint8Array(encodeBfloat16([-3, 2 ** 100]).buffer), 14);
      await writeFile(join(folder, "kinds.bin"), halves);
      for (const [path, value] of [
        ["one/a.bin", 1],
        ["one/b.bin", 10],
        ["two/deep/a.bin", 100],
        ["blobs/0123", 1000],
      ] as const) {
        await mkdir(join(folder, path, ".."), { recursive: true });
        await writeFile(join(folder, path), bytesOf(value));
      }
      await mkdir(join(folder, "snapshots"));
      await symlink(join(folder, "blobs/0123"), join(folder, "snapshots/model.safetensors"));
    });
    afterAll(async () => {
      for (const source of opened) await source.close();
      await rm(folder, { recursive: true });
    });

    it("reads float32, float16 and bfloat16 at offsets that no dtype is aligned to", async () => {
      const source = await open("kinds.bin");
      const b = new GraphBuilder("kinds");
      const plain = b.external("w32", "float32", [1], { source, offset: 3, lengthBytes: 4 });
      const half = b.external("w16", "float16", [2], { source, offset: 8, lengthBytes: 4 });
      const brain = b.external("wb16", "bfloat16", [2], { source, offset: 14, lengthBytes: 4 });
      const outputs = [b.named("a", plain), b.named("b", b.cast(half, "float32")), b.cast(brain, "float32")];
      await using session = await (await create()).createSession(b.finish(outputs));
      const [first, second, third] = Object.values(await session.run({}));
      expectClose(first, f32([1], [1.5]));
      expectClose(second, f32([2], [0.5, 65504]));
      expectClose(third, f32([2], [-3, 2 ** 100]));
    });

    it.each([
      ["one file", ["one/a.bin"], 1],
      ["two files of a folder", ["one/a.bin", "one/b.bin"], 11],
      ["files of different folders, two of one name", ["one/a.bin", "two/deep/a.bin"], 101],
      ["a symbolic link, as hub caches are made of", ["snapshots/model.safetensors"], 1000],
      ["a link and a file elsewhere", ["snapshots/model.safetensors", "one/b.bin"], 1010],
    ])("reads %s", async (_, paths, sum) => {
      const sources = await Promise.all(paths.map(open));
      expect(await sumOf(await create(), sources)).toBe(sum);
    });

    it("reads a file and memory together", async () => {
      const sources = [await open("one/a.bin"), memoryByteSource("m", bytesOf(0.5))];
      expect(await sumOf(await create(), sources)).toBe(1.5);
    });
  });
}
