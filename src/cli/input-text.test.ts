import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { createTemporaryFolder } from "../../test/support/command-terminal.ts";
import { FileError, InvalidRequestError } from "../errors.ts";
import { InputText, openInputText, type TextSource } from "./input-text.ts";

const stdin = Readable.from([]);
const { signal } = new AbortController();

function sourceOf(name: string, ...chunks: readonly Uint8Array[]): TextSource {
  return {
    name,
    sizeBytes: chunks.reduce((sum, { length }) => sum + length, 0),
    async *open() {
      yield* chunks;
    },
  };
}

async function readAll(input: InputText): Promise<string> {
  let text = "";
  for await (const piece of input.stream(signal)) text += piece;
  return text;
}

describe("the text that is read", () => {
  it("is that of the files in order, of stdin and of the prompt", async () => {
    await using folder = await createTemporaryFolder();
    const files = [await folder.writeFile("a.txt", "one \n"), "-", await folder.writeFile("b.txt", "three ")];
    const input = await openInputText({
      files,
      prompt: "four",
      stdin: Readable.from([Buffer.from("two\n")]),
    });
    expect(input.totalBytes).toBeUndefined();
    expect(await readAll(input)).toBe("one \ntwo\nthree four");
    expect(input.readBytes).toBe(19);
  });

  it("is kept apart by a line break where a text ends in the middle of a line", async () => {
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
    const input = new InputText([
      sourceOf("a", bytes("one")),
      sourceOf("empty"),
      sourceOf("b", bytes("two\n")),
      sourceOf("c", bytes("three")),
    ]);
    expect(await readAll(input)).toMatch(/^one\n+two\nthree$/);
    expect(input.totalBytes).toBe(12);
  });

  it("is the same wherever the bytes are cut, also within a character", async () => {
    const text = "né 和 🙂 fin";
    const bytes = new TextEncoder().encode(text);
    for (let cut = 0; cut <= bytes.length; cut++)
      expect(await readAll(new InputText([sourceOf("a", bytes.slice(0, cut), bytes.slice(cut))]))).toBe(text);
  });

  it("has U+FFFD for bytes that are no UTF-8, and no byte order mark", async () => {
    const bytes = Uint8Array.of(0xef, 0xbb, 0xbf, 0x61, 0xff, 0x62, 0xe5);
    expect(await readAll(new InputText([sourceOf("a", bytes)]))).toBe("a\uFFFDb\uFFFD");
  });

  it("is refused when there is none, naming what was empty", async () => {
    const input = new InputText([sourceOf("a.txt"), sourceOf("b.txt")]);
    const failure = await readAll(input).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InvalidRequestError);
    expect(String(failure)).toContain("a.txt: 0 bytes, b.txt: 0 bytes");
  });

  it("comes in small pieces, so that a file is never whole in memory", async () => {
    await using folder = await createTemporaryFolder();
    const path = await folder.writeFile("long.txt", "x".repeat(1_000_000));
    const input = await openInputText({ files: [path], prompt: "", stdin });
    expect(input.totalBytes).toBe(1_000_000);
    const sizes: number[] = [];
    for await (const { length } of input.stream(signal)) sizes.push(length);
    expect(Math.max(...sizes)).toBeLessThan(100_000);
  });

  it("tells where it is", async () => {
    const input = new InputText([
      sourceOf("a", new Uint8Array(10).fill(32)),
      sourceOf("b", new Uint8Array(7).fill(97), new Uint8Array(8).fill(97)),
    ]);
    expect(input.place).toBe("before the first input");
    const places: string[] = [];
    for await (const piece of input.stream(signal)) if (piece !== "") places.push(input.place);
    expect(places).toEqual(["a, about byte 10", "b, about byte 7", "b, about byte 15"]);
  });

  it("is refused before anything is read when a file is missing or a folder", async () => {
    await using folder = await createTemporaryFolder();
    const there = await folder.writeFile("there.txt", "x");
    for (const bad of [`${folder.path}/missing.txt`, folder.path]) {
      const opening = openInputText({ files: [there, bad], prompt: "", stdin });
      await expect(opening).rejects.toThrow(bad);
      await expect(opening).rejects.toBeInstanceOf(FileError);
    }
  });

  it("ends with the signal's reason also while a pipe says nothing", async () => {
    const controller = new AbortController();
    const silent = new Readable({ read() {} });
    const input = await openInputText({ files: ["-"], prompt: "", stdin: silent });
    const reading = input.stream(controller.signal).next();
    controller.abort(new Error("enough"));
    await expect(reading).rejects.toThrow("enough");
  });
});
