import { describe, expect, it } from "vitest";
import { writeDocument } from "./demo-document.ts";

describe("the made-up document", () => {
  const text = [...writeDocument(20_000)].join("");

  it("is as long as asked for, to a paragraph", () => {
    expect(text.length).toBeGreaterThanOrEqual(20_000);
    expect(text.length).toBeLessThan(21_000);
  });

  it("is the same for the same seed only", () => {
    expect([...writeDocument(20_000)].join("")).toBe(text);
    expect([...writeDocument(20_000, 2)].join("")).not.toBe(text);
  });

  it("is prose: no blank is left unfilled", () => {
    expect(text).not.toMatch(/[{}]|undefined/);
    expect(text).toMatch(/^1\. [A-Z“][^\n]+\.\n\n2\. /);
  });
});
