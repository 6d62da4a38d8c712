import { gguf } from "@huggingface/gguf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { convertToGguf } from "../../test/support/gguf/gguf-model.ts";
import {
  type GgufField,
  type GgufFields,
  type GgufFileOptions,
  type GgufTensor,
  writeGguf,
  writeSplitGguf,
} from "../../test/support/gguf/gguf-writer.ts";
import { createTinyModelFolder } from "../testing/tiny-model.ts";
import { type ByteSource, memoryByteSource } from "./byte-source.ts";
import { parseGgufHeader } from "./gguf.ts";
import type { GgufValue } from "./gguf-cursor.ts";
import { openGgufFile } from "./gguf-parts.ts";
import { memoryModelFolder } from "./model-folder.ts";

const parse = (bytes: Uint8Array) => parseGgufHeader(memoryByteSource("m.gguf", bytes));

const f32 = (name: string, shape: readonly number[], claims: GgufTensor["claims"] = {}): GgufTensor => ({
  name,
  type: "f32",
  shape,
  claims,
  data: new Uint8Array(4 * shape.reduce((product, extent) => product * extent, 1)),
});

const write = (tensors: readonly GgufTensor[], options?: GgufFileOptions) =>
  writeGguf({ "general.architecture": { type: "string", value: "llama" } }, tensors, options);

/** Draws a value of the metadata and what must be read of it. */
const scalar: fc.Arbitrary<GgufField> = fc.oneof(
  fc.integer({ min: 0, max: 255 }).map((value) => ({ type: "uint8" as const, value })),
  fc.integer({ min: -128, max: 127 }).map((value) => ({ type: "int8" as const, value })),
  fc.integer({ min: -32768, max: 32767 }).map((value) => ({ type: "int16" as const, value })),
  fc.nat().map((value) => ({ type: "uint32" as const, value })),
  fc.integer().map((value) => ({ type: "int32" as const, value })),
  fc.float({ noNaN: true }).map((value) => ({ type: "float32" as const, value })),
  fc.double({ noNaN: true }).map((value) => ({ type: "float64" as const, value })),
  fc.boolean().map((value) => ({ type: "bool" as const, value })),
  fc.string({ unit: "grapheme" }).map((value) => ({ type: "string" as const, value })),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => ({ type: "uint64" as const, value })),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => ({ type: "int64" as const, value })),
);
const strings = fc
  .array(fc.string({ unit: "grapheme" }))
  .map((value) => ({ type: "array" as const, of: "string" as const, value }));

function expectedOf({ value }: GgufField): unknown {
  return typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

describe("parseGgufHeader", () => {
  it("reads back any metadata", async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string(), fc.oneof(scalar, strings)), async (fields) => {
        const { metadata } = await parse(writeGguf(fields, []));
        const expected = Object.entries(fields).map(([key, field]) => [key, expectedOf(field)]);
        expect([...metadata]).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  it("agrees with Hugging Face's reader on a whole model", async () => {
    const { fields, tensors } = await convertToGguf(createTinyModelFolder(), { type: "q5_0" });
    const bytes = writeGguf(fields, tensors, { alignment: 64 });
    const fetch = async () =>
      new Response(bytes, { headers: { "content-range": `bytes 0-/${bytes.length}` } });
    const theirs = await gguf("https://host/m.gguf", { fetch });
    const ours = await parse(bytes);
    const { version: _v, tensor_count: _t, kv_count: _k, ...metadata } = theirs.metadata;
    expect(Object.fromEntries(ours.metadata)).toEqual(metadata);
    const dataOffset = Number(theirs.tensorDataOffset);
    expect([...ours.tensors.values()].map(({ name, shape, offset }) => ({ name, shape, offset }))).toEqual(
      theirs.tensorInfos.map(({ name, shape, offset }) => ({
        name,
        shape: shape.map(Number).reverse(),
        offset: dataOffset + Number(offset),
      })),
    );
  });

  it("reads a header longer than a chunk, and nothing behind it", async () => {
    const tokens = Array.from({ length: 40_000 }, (_, index) => `token ${index} ${"x".repeat(50)}`);
    const fields: GgufFields = { "a.tokens": { type: "array", of: "string", value: tokens } };
    const bytes = writeGguf(fields, [f32("x", [4_000_000])]);
    let furthest = 0;
    const inner = memoryByteSource("m.gguf", bytes);
    const source: ByteSource = {
      ...inner,
      read(offset, length) {
        furthest = Math.max(furthest, offset + length);
        return inner.read(offset, length);
      },
    };
    const { metadata, tensors } = await parseGgufHeader(source);
    expect(metadata.get("a.tokens")).toEqual(tokens);
    expect(tensors.get("x")?.lengthBytes).toBe(16_000_000);
    expect(furthest).toBeLessThan(bytes.length / 2);
  });

  it("reads version 2 and empty files of tensors", async () => {
    expect((await parse(write([], { version: 2 }))).tensors.size).toBe(0);
  });
});

describe("a damaged or foreign file", () => {
  const good = write([f32("x", [2, 3]), f32("y", [4])]);

  it("is refused wherever it is cut, without a crash", async () => {
    // The last 16 bytes are padding, which a file may lack.
    for (let length = 0; length < good.length - 16; length++) {
      const error = await parse(good.slice(0, length)).catch((reason: unknown) => reason);
      expect(error, `cut at ${length}`).toMatchObject({ code: "invalid-model" });
    }
  });

  it("is refused or read whatever bytes it has, without a crash", async () => {
    const flips = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(flips, async (places) => {
        const bytes = good.slice();
        for (const [at, value] of places) bytes[at] = value;
        const code = await parse(bytes).then(
          () => "read",
          (error: { code?: string }) => error.code,
        );
        expect(["read", "invalid-model", "unsupported"]).toContain(code);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ["2^60 tensors", write([], { claims: { tensorCount: 2n ** 60n } }), /number of tensors is impossible/],
    ["2^60 fields", write([], { claims: { fieldCount: 2n ** 60n } }), /number of fields is impossible/],
    ["another magic", new TextEncoder().encode("GGML and then something more"), /no GGUF file, got "GGML"/],
    ["a Git LFS pointer", new TextEncoder().encode("version https://git-lfs"), /Git LFS pointer/],
    ["tensor bytes outside the file", write([f32("x", [4], { offset: 2n ** 40n })]), /outside the file/],
    ["a huge extent", write([f32("x", [4], { extents: [2n ** 52n, 2n ** 52n] })]), /outside the file/],
    ["an extent beyond 2^53", write([f32("x", [4], { extents: [2n ** 60n] })]), /extent of tensor x/],
    ["five dimensions", write([f32("x", [1, 1, 1, 1, 1])]), /too many dimensions, got 5/],
    ["overlapping tensors", write([f32("x", [16]), f32("y", [16], { offset: 32n })]), /overlap another/],
    ["a crooked offset", write([f32("x", [4]), f32("y", [4], { offset: 33n })]), /not aligned/],
    ["a name twice", write([f32("x", [4]), f32("x", [4])]), /names a tensor twice, got "x"/],
    [
      "rows that are no whole blocks",
      write([{ name: "x", type: "f32", shape: [2, 20], data: new Uint8Array(160), claims: { typeId: 8 } }]),
      /no whole blocks, got 20/,
    ],
    ["an odd alignment", write([], { alignment: 24 }), /alignment is impossible, got 24/],
  ])("with %s is refused by what it is", async (_, bytes, message) => {
    await expect(parse(bytes)).rejects.toMatchObject({
      code: "invalid-model",
      message: expect.stringMatching(message),
    });
  });

  it.each([
    ["version 1", write([], { version: 1 }), /version of GGUF is not read, got 1/],
    ["big-endian", write([], { version: 3 * 2 ** 24 }), /big-endian/],
    [
      "a quantisation that is not read",
      write([f32("x", [32], { typeId: 16 })]),
      /got "IQ2_XXS", expected BF16, F16/,
    ],
    ["a quantisation that nobody knows", write([f32("x", [32], { typeId: 999 })]), /got "type 999"/],
  ])("with %s is not supported, by name", async (_, bytes, message) => {
    await expect(parse(bytes)).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(message),
    });
  });

  it("with a string or array longer than itself is refused before memory is spent", async () => {
    const field = write([]);
    // After magic, version and counts: the length of the first field's name.
    new DataView(field.buffer).setBigUint64(24, 2n ** 62n, true);
    await expect(parse(field)).rejects.toThrow(/length of a field's name is impossible/);
    const value: readonly number[] = [1, 2, 3];
    const array = writeGguf({ k: { type: "array", of: "int32", value } }, []);
    new DataView(array.buffer).setBigUint64(array.indexOf(9) + 8, 2n ** 50n, true);
    await expect(parse(array)).rejects.toThrow(/length of the array k is impossible/);
  });

  it("with arrays in arrays in arrays is refused", async () => {
    const inner: GgufField = {
      type: "array",
      of: "array",
      value: [{ type: "array", of: "array", value: [] }],
    };
    const deep = writeGguf({ k: { type: "array", of: "array", value: [inner] } }, []);
    await expect(parse(deep)).rejects.toThrow(/nest too deep/);
  });
});

describe("openGgufFile", () => {
  const fields: GgufFields = { "general.architecture": { type: "string", value: "llama" } };
  const files = writeSplitGguf("m", fields, [[f32("x", [2])], [f32("y", [2])], [f32("z", [2])]]);
  const [first = "", second = ""] = Object.keys(files);

  it("opens a split model by any of its parts", async () => {
    for (const file of Object.keys(files)) {
      const model = await openGgufFile(memoryModelFolder("f", files), file);
      expect([...model.tensors.keys()]).toEqual(["x", "y", "z"]);
      const architecture: GgufValue | undefined = model.metadata.get("general.architecture");
      expect(architecture).toBe("llama");
      await model.close();
    }
  });

  it("says which part is missing", async () => {
    const { [second]: _, ...rest } = files;
    const opening = openGgufFile(memoryModelFolder("f", rest), first);
    await expect(opening).rejects.toMatchObject({
      code: "file",
      message: expect.stringContaining("m-00002-of-00003.gguf"),
    });
  });

  it("refuses a part under another part's name, and parts of another model", async () => {
    const swapped = { ...files, [second]: files[first] ?? new Uint8Array() };
    await expect(openGgufFile(memoryModelFolder("f", swapped), first)).rejects.toThrow(/another part than/);
    const other = writeSplitGguf("m", fields, [
      [f32("x", [2])],
      [f32("y", [2]), f32("w", [2])],
      [f32("z", [2])],
    ]);
    const mixed = { ...files, [second]: other[second] ?? new Uint8Array() };
    await expect(openGgufFile(memoryModelFolder("f", mixed), first)).rejects.toThrow(/not all tensors/);
  });
});
