import { describe, expect, it } from "vitest";
import { type GgufFields, type GgufTensor, writeGguf } from "../../test/support/gguf/gguf-writer.ts";
import { collectBytes, memoryByteSource } from "./byte-source.ts";
import { parseGgufHeader } from "./gguf.ts";
import { streamGguf, type WrittenGgufFields, type WrittenGgufTensor } from "./gguf-writer.ts";

const fields: WrittenGgufFields = {
  "general.architecture": { type: "string", value: "llama" },
  "llama.block_count": { type: "uint32", value: 4_000_000_000 },
  "llama.rope.freq_base": { type: "float32", value: 10_000 },
  "tokenizer.ggml.add_bos_token": { type: "bool", value: true },
  "tokenizer.ggml.tokens": { type: "strings", value: ["", "Ġthe", "和😀"] },
  "tokenizer.ggml.token_type": { type: "int32s", value: [3, -1, 1] },
};

/** Tensors of odd sizes, so that padding has something to do. */
const shapes = { odd: [3], one: [1, 1], matrix: [5, 32] } as const;
const data = { odd: new Uint8Array(12).fill(7), one: new Uint8Array(4).fill(9), matrix: new Uint8Array(170) };

const tensors: readonly WrittenGgufTensor[] = (["odd", "one", "matrix"] as const).map((name) => ({
  name,
  type: name === "matrix" ? "Q8_0" : "F32",
  shape: shapes[name],
  read: async () => data[name],
}));

async function write(): Promise<Uint8Array> {
  const source = await collectBytes("m.gguf", streamGguf(fields, tensors));
  return source.read(0, source.sizeBytes);
}

describe("streamGguf", () => {
  it("writes the bytes that another writer of the format does", async () => {
    const asOther: GgufFields = Object.fromEntries(
      Object.entries(fields).map(([key, field]) => {
        if (field.type === "strings") return [key, { type: "array", of: "string", value: field.value }];
        if (field.type === "int32s") return [key, { type: "array", of: "int32", value: field.value }];
        return [key, field];
      }),
    );
    const others = tensors.map(({ name, type, shape }): GgufTensor => {
      const bytes = data[name as keyof typeof data];
      return { name, type: type === "Q8_0" ? "q8_0" : "f32", shape, data: bytes };
    });
    expect(await write()).toEqual(writeGguf(asOther, others));
  });

  it("is read back: fields, shapes, and bytes at their places", async () => {
    const source = memoryByteSource("m.gguf", await write());
    const { metadata, tensors: read } = await parseGgufHeader(source);
    expect(metadata.get("tokenizer.ggml.tokens")).toEqual(["", "Ġthe", "和😀"]);
    expect(metadata.get("llama.block_count")).toBe(4_000_000_000);
    for (const { name, shape } of tensors) {
      const tensor = read.get(name);
      expect(tensor?.shape).toEqual(shape);
      expect(await source.read(tensor?.offset ?? 0, tensor?.lengthBytes ?? 0)).toEqual(
        data[name as keyof typeof data],
      );
    }
  });

  it("writes a file without tensors and fields", async () => {
    const source = await collectBytes("m.gguf", streamGguf({}, []));
    const { metadata, tensors: none } = await parseGgufHeader(source);
    expect([metadata.size, none.size]).toEqual([0, 0]);
  });
});
