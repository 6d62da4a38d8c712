import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidModelError } from "../errors.ts";
import { type DType, dtypeArrays, dtypeSizeBytes } from "../tensor/dtype.ts";
import { type HostTensor, hostTensor, zeros } from "../tensor/host-tensor.ts";
import { type ByteSource, memoryByteSource } from "./byte-source.ts";
import { parseSafetensorsHeader, readTensor, safetensorsDTypes, safetensorsLimits } from "./safetensors.ts";
import { writeSafetensors } from "./safetensors-writer.ts";

/** Builds a file from a header's text or value and the length of its data. */
function file(header: unknown, dataBytes = 0, headerBytes?: bigint): ByteSource {
  const text = typeof header === "string" ? header : JSON.stringify(header);
  const json = new TextEncoder().encode(text);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, headerBytes ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return memoryByteSource("m.safetensors", bytes);
}

const one = { dtype: "F32", shape: [1], data_offsets: [0, 4] };

async function refusal(source: ByteSource): Promise<string> {
  const error: unknown = await parseSafetensorsHeader(source).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(InvalidModelError);
  expect(String(error)).toContain("m.safetensors");
  return String(error);
}

describe("parseSafetensorsHeader", () => {
  it("says where each tensor lies, counted from the start of the file", async () => {
    const header = {
      __metadata__: { format: "pt" },
      b: { dtype: "BF16", shape: [2, 3], data_offsets: [4, 16] },
      a: one,
      none: { dtype: "I64", shape: [0, 7], data_offsets: [4, 4] },
      scalar: { dtype: "U8", shape: [], data_offsets: [16, 17] },
    };
    const source = file(header, 17);
    const { metadata, tensors } = await parseSafetensorsHeader(source);
    const dataOffset = source.sizeBytes - 17;
    expect(metadata).toEqual({ format: "pt" });
    expect([...tensors.keys()]).toEqual(["a", "none", "b", "scalar"]);
    expect(tensors.get("b")).toEqual({
      name: "b",
      dtype: "bfloat16",
      shape: [2, 3],
      source,
      offset: dataOffset + 4,
      lengthBytes: 12,
    });
  });

  it("accepts a header padded with spaces and one without tensors", async () => {
    expect((await parseSafetensorsHeader(file("{}      "))).tensors.size).toBe(0);
  });

  it.each([
    ["too short a file", memoryByteSource("m.safetensors", new Uint8Array(7)), /too short.*7 bytes/],
    ["a header beyond the file", file({ a: one }, 4, 5000n), /header length is impossible, got "5000 bytes"/],
    ["a header of 2^63 bytes", file({ a: one }, 4, 2n ** 63n), /header length is impossible/],
    ["no JSON", file("{nonsense"), /not JSON/],
    ["a JSON list", file("[1]"), /not a JSON object/],
    ["a space before the header", file(" {}"), /not a JSON object/],
    ["text after the header", file("{}x"), /not JSON/],
    [
      "a missing field",
      file({ a: { dtype: "F32", shape: [1] } }, 4),
      /tensor "a": data_offsets is malformed/,
    ],
    ["an entry that is a list", file({ a: [1] }, 4), /tensor "a": the entry is malformed/],
    ["a null entry", file({ a: null }), /tensor "a": the entry is malformed/],
    [
      "an unknown dtype",
      file({ a: { ...one, dtype: "F8_E4M3" } }, 4),
      /"a".*got "F8_E4M3", expected one of F64/,
    ],
    ["a dtype named like a method", file({ a: { ...one, dtype: "toString" } }, 4), /got "toString"/],
    ["a gap at the start", file({ a: { ...one, data_offsets: [4, 8] } }, 8), /"a": there is a gap/],
    ["a gap between", file({ a: one, b: { ...one, data_offsets: [5, 9] } }, 9), /"b": there is a gap/],
    ["an overlap", file({ a: one, b: { ...one, data_offsets: [2, 6] } }, 6), /"b": its bytes overlap/],
    ["two tensors on one range", file({ a: one, b: one }, 4), /"b": its bytes overlap/],
    ["bytes of no tensor", file({ a: one }, 5), /bytes at the end belong to no tensor/],
    ["a range outside of the file", file({ a: one }, 3), /"a": the bytes lie outside the file/],
    ["a range in reverse", file({ a: { ...one, data_offsets: [4, 0] } }, 4), /data_offsets is malformed/],
    ["a range of three", file({ a: { ...one, data_offsets: [0, 4, 4] } }, 4), /data_offsets is malformed/],
    ["a negative offset", file({ a: { ...one, data_offsets: [-4, 0] } }, 4), /data_offsets is malformed/],
    ["a fractional offset", file({ a: { ...one, data_offsets: [0, 4.5] } }, 5), /data_offsets is malformed/],
    ["a negative extent", file({ a: { ...one, shape: [-1] } }, 4), /the shape is malformed/],
    ["a fractional extent", file({ a: { ...one, shape: [1.5] } }, 4), /the shape is malformed/],
    ["an extent as text", file({ a: { ...one, shape: ["1"] } }, 4), /the shape is malformed/],
    ["a shape that is a number", file({ a: { ...one, shape: 1 } }, 4), /the shape is malformed/],
    ["33 dimensions", file({ a: { ...one, shape: Array(33).fill(1) } }, 4), /the shape is malformed/],
    ["a shape that overflows", file({ a: { ...one, shape: [2 ** 40, 2 ** 40, 0] } }, 4), /overflows/],
    [
      "a shape that does not fill",
      file({ a: { ...one, shape: [2] } }, 4),
      /do not fill shape \[2\] of F32.*8 bytes/,
    ],
    ["metadata that is a list", file({ __metadata__: [] }), /__metadata__: the metadata is malformed/],
    ["metadata that is null", file({ __metadata__: null }), /__metadata__: the metadata is malformed/],
    [
      "metadata of numbers",
      file({ __metadata__: { n: 1 } }),
      /__metadata__: the value of "n" is malformed, got "number"/,
    ],
    ["a name twice", file('{"a":1,"a":2}', 4), /names something twice, got "a"/],
    ["deep nesting", file('{"a":[[[0]]]}', 4), /nests too deep/],
    [
      "a Git LFS pointer",
      memoryByteSource("m.safetensors", new TextEncoder().encode("version https://git-lfs")),
      /git lfs pull/,
    ],
    [
      "a PyTorch file",
      memoryByteSource("m.safetensors", new TextEncoder().encode("PK\u0003\u0004        ")),
      /PyTorch/,
    ],
  ])("refuses %s", async (_case, source, message) => {
    expect(await refusal(source)).toMatch(message);
  });

  it("refuses bytes that are not UTF-8", async () => {
    const source = file('{"a?":{}}');
    const bytes = await source.read(0, source.sizeBytes);
    bytes[11] = 0xff;
    expect(await refusal(source)).toMatch(/not UTF-8/);
  });

  it("does not read a header above the limit", async () => {
    const sizes: number[] = [];
    const source: ByteSource = {
      ...file("{}"),
      sizeBytes: 1e12,
      async read(_offset, lengthBytes) {
        sizes.push(lengthBytes);
        const prefix = new Uint8Array(8);
        new DataView(prefix.buffer).setBigUint64(0, BigInt(safetensorsLimits.headerBytes + 1), true);
        return prefix;
      },
    };
    expect(await refusal(source)).toMatch(/expected 2 to 100000000 bytes \(the limit\)/);
    expect(sizes).toEqual([8]);
  });

  it("refuses or accepts any bytes, but never fails otherwise", async () => {
    const entry = fc.record({
      dtype: fc.constantFrom("F32", "U8", "F4", 1),
      shape: fc.array(fc.oneof(fc.nat(3), fc.constant(-1), fc.constant(2 ** 52)), { maxLength: 3 }),
      data_offsets: fc.array(fc.nat(12), { minLength: 1, maxLength: 3 }),
    });
    const header = fc.oneof(fc.json(), fc.dictionary(fc.string(), entry, { maxKeys: 3 }));
    await fc.assert(
      fc.asyncProperty(header, fc.nat(16), async (value, dataBytes) => {
        const source = file(value, dataBytes);
        try {
          const { tensors } = await parseSafetensorsHeader(source);
          let covered = 0;
          for (const { lengthBytes } of tensors.values()) covered += lengthBytes;
          expect(covered).toBe(dataBytes);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidModelError);
        }
      }),
    );
  });
});

const dtypes: readonly DType[] = Object.values(safetensorsDTypes);

const anyTensor: fc.Arbitrary<HostTensor> = fc
  .tuple(fc.constantFrom(...dtypes), fc.array(fc.nat(4), { maxLength: 3 }))
  .chain(([dtype, shape]) => {
    const lengthBytes = shape.reduce((product, extent) => product * extent, 1) * dtypeSizeBytes(dtype);
    const bytes = fc.uint8Array({ minLength: lengthBytes, maxLength: lengthBytes });
    return bytes.map((data) => hostTensor<DType>(dtype, shape, new dtypeArrays[dtype](data.slice().buffer)));
  });

function bytesOf({ data }: HostTensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

describe("writeSafetensors", () => {
  it("writes what the parser reads: names, dtypes, shapes, bytes and metadata", async () => {
    const names = fc.string().filter((name) => name !== "__metadata__");
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(names, anyTensor, { maxKeys: 6 }),
        fc.dictionary(fc.string(), fc.string()),
        fc.nat(7),
        async (tensors, metadata, shift) => {
          const written = writeSafetensors(tensors, metadata);
          // A file in memory need not start at an aligned address.
          const moved = new Uint8Array(written.length + shift).subarray(shift);
          moved.set(written);
          const header = await parseSafetensorsHeader(memoryByteSource("round trip", moved));
          expect(header.metadata).toEqual({ ...metadata });
          expect([...header.tensors.keys()].sort()).toEqual(Object.keys(tensors).sort());
          for (const [name, entry] of header.tensors) {
            const [read, original] = [await readTensor(entry), tensors[name]];
            if (original === undefined) throw new Error(`no tensor ${name}`);
            expect([read.dtype, read.shape]).toEqual([original.dtype, original.shape]);
            expect(bytesOf(read)).toEqual(bytesOf(original));
            expect(entry.offset % dtypeSizeBytes(entry.dtype)).toBe(0);
          }
        },
      ),
    );
  });

  it("writes the same bytes whatever the order of the names, data aligned to 8", () => {
    const [a, b] = [zeros("int8", [3]), hostTensor("float32", [2], Float32Array.of(1, 2))];
    const bytes = writeSafetensors({ a, b });
    expect(bytes).toEqual(writeSafetensors({ b, a }));
    expect(new DataView(bytes.buffer).getBigUint64(0, true) % 8n).toBe(0n);
    expect(bytes.subarray(-11)).toEqual(Uint8Array.of(0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 0));
  });

  it("writes an empty file that can be read", async () => {
    const bytes = writeSafetensors({});
    expect((await parseSafetensorsHeader(memoryByteSource("empty", bytes))).tensors.size).toBe(0);
  });

  it("refuses the format's own name and data that do not fill the shape", () => {
    expect(() => writeSafetensors({ __metadata__: zeros("int8", [1]) })).toThrow(/format's own/);
    const short: HostTensor = { dtype: "float32", shape: [3], data: new Float32Array(2) };
    expect(() => writeSafetensors({ short })).toThrow(/"short": the data does not fill shape \[3\]/);
  });
});
