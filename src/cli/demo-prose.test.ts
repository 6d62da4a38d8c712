import { describe, expect, it } from "vitest";
import { createDraws } from "../train/random-draws.ts";
import { demoProse } from "./demo-prose.ts";

async function take(count: number, seed: number): Promise<string> {
  let text = "";
  for await (const sentence of demoProse.read(createDraws(seed, "test"))) {
    text += sentence;
    if (--count === 0) break;
  }
  return text;
}

describe("the prose of the demo", () => {
  it("is whole sentences in paragraphs: no blank is left unfilled", async () => {
    const text = await take(2000, 1);
    expect(text).not.toMatch(/[{}]|undefined/);
    for (const paragraph of text.trim().split("\n\n")) expect(paragraph).toMatch(/^[A-Z“].*[.”]$/);
  });

  it("has no numbers and no names", async () => {
    const text = await take(2000, 1);
    expect(text).not.toMatch(/\d/);
    // Capitals stand at the beginning of a sentence or a speech alone, but for I.
    const rest = text.trim().replaceAll(/(^|[.?”]\s+)“?[A-Z]/g, "");
    expect(rest.replaceAll(/\bI\b/g, "")).not.toMatch(/[A-Z]/);
  });

  it("is the same for the same draws only", async () => {
    expect(await take(50, 1)).toBe(await take(50, 1));
    expect(await take(50, 2)).not.toBe(await take(50, 1));
  });
});
