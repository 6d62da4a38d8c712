import { gguf } from "@huggingface/gguf";
import { describe, expect, it } from "vitest";
import { convertToGguf } from "../../test/support/gguf/gguf-model.ts";
import { type GgufFields, writeGguf, writeSplitGguf } from "../../test/support/gguf/gguf-writer.ts";
import { createTinyModelFolder } from "./tiny-model.ts";

/** Reads with Hugging Face's own reader, which shares nothing with the writer. */
function readBack(bytes: Uint8Array<ArrayBuffer>) {
  const fetch = async (_: unknown, init?: RequestInit) => {
    const [, from = "0", to = "0"] = /(\d+)-(\d+)/.exec(JSON.stringify(init?.headers)) ?? [];
    const headers = { "content-range": `bytes ${from}-${to}/${bytes.length}` };
    return new Response(bytes.slice(Number(from), Number(to) + 1), { headers });
  };
  return gguf("https://host/file.gguf", { fetch });
}

describe("the writer of GGUF files that tests use", () => {
  it("writes metadata of every type as another reader understands it", async () => {
    const fields: GgufFields = {
      "a.uint8": { type: "uint8", value: 200 },
      "a.int8": { type: "int8", value: -3 },
      "a.uint16": { type: "uint16", value: 60_000 },
      "a.int16": { type: "int16", value: -300 },
      "a.uint32": { type: "uint32", value: 4_000_000_000 },
      "a.int32": { type: "int32", value: -70_000 },
      "a.float32": { type: "float32", value: 1.5 },
      "a.bool": { type: "bool", value: true },
      "a.string": { type: "string", value: "é和" },
      "a.uint64": { type: "uint64", value: 2n ** 63n },
      "a.int64": { type: "int64", value: -5n },
      "a.float64": { type: "float64", value: 0.1 },
      "a.strings": { type: "array", of: "string", value: ["x", ""] },
      "a.nested": {
        type: "array",
        of: "array",
        value: [{ type: "array", of: "uint8", value: [1, 2] }],
      },
    };
    const { metadata } = await readBack(writeGguf(fields, []));
    const values = Object.entries(fields).map(([key, { value }]) => [key, value] as const);
    expect(metadata).toMatchObject({ ...Object.fromEntries(values), "a.nested": [[1, 2]] });
  });

  it("lays tensors out at the alignment, extents innermost first", async () => {
    const data = new Uint8Array(4 * 6);
    const plan = { name: "x", type: "f32", shape: [2, 3] } as const;
    const file = writeGguf(
      {},
      [
        { ...plan, data },
        { ...plan, name: "y", data },
      ],
      { alignment: 64 },
    );
    const { tensorInfos, tensorDataOffset } = await readBack(file);
    expect(tensorInfos).toMatchObject([
      { name: "x", shape: [3n, 2n], dtype: 0, offset: 0n },
      { name: "y", shape: [3n, 2n], dtype: 0, offset: 64n },
    ]);
    expect(Number(tensorDataOffset) % 64).toBe(0);
    expect(file.length).toBe(Number(tensorDataOffset) + 128);
  });

  it("splits a model into parts that hold all its tensors", async () => {
    const { fields, tensors } = await convertToGguf(createTinyModelFolder(), { type: "q8_0" });
    const files = writeSplitGguf("m", fields, [tensors.slice(0, 3), tensors.slice(3)]);
    expect(Object.keys(files)).toEqual(["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]);
    const parts = await Promise.all(Object.values(files).map(readBack));
    expect(parts.flatMap(({ tensorInfos }) => tensorInfos.map(({ name }) => name))).toEqual(
      tensors.map(({ name }) => name),
    );
    expect(parts.map(({ metadata }) => metadata)).toMatchObject([{ "split.no": 0 }, { "split.no": 1 }]);
  });
});
