import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findJsonFault } from "./json-outline.ts";

describe("findJsonFault", () => {
  it("finds a name that occurs twice in one object, also when it is written differently", () => {
    expect(findJsonFault('{"a":1,"b":{"a":2},"a":3}', 9)).toEqual({ kind: "duplicate-name", name: "a" });
    expect(findJsonFault('{"a":1,"\\u0061" : 3}', 9)).toEqual({ kind: "duplicate-name", name: "a" });
    expect(findJsonFault('[{"x":{"a":1,"a":1}}]', 9)).toEqual({ kind: "duplicate-name", name: "a" });
  });

  it("takes strings for names only where they are, and brackets for nesting only outside of strings", () => {
    expect(findJsonFault('{"a":"a","b":["a","a"],"c":"{[\\"{"}', 2)).toBeUndefined();
    expect(findJsonFault('{"a":[[]]}', 2)).toEqual({ kind: "too-deep", depth: 3 });
  });

  it("finds nothing in what JSON.stringify wrote", () => {
    fc.assert(fc.property(fc.json({ maxDepth: 5 }), (text) => findJsonFault(text, 50) === undefined));
  });
});
