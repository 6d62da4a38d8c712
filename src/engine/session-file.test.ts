import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tinyGeometry } from "../../test/support/tiny-geometry.ts";
import { InvalidRequestError, UnsupportedError } from "../errors.ts";
import type { ContextSettings } from "../memory/geometry.ts";
import type { MemoryPolicy } from "../memory/policy.ts";
import { createStreamingPolicy } from "../memory/segmented-policies.ts";
import { decodeSession, encodeSession, type SessionIdentity, type SessionSnapshot } from "./session-file.ts";

const geometry = tinyGeometry({ hiddenSize: 16, maxPositions: 64 });
const context: ContextSettings = { sinkTokens: 2, slotTokens: 0, windowTokens: 5, segmentTokens: 3 };
const policy = createStreamingPolicy(geometry, context);
const identity: SessionIdentity = {
  model: "a".repeat(64),
  adapter: "",
  policy: "streaming",
  context: "S2 B0 W5 T3",
};
const V = 11;

/** Numbers that are all different, the odd ones of float32 among them. */
function distinct(length: number, from: number): Float32Array {
  return Float32Array.from({ length }, (_, index) => (index === 3 ? -0 : (from + index) / 7));
}

function makeSnapshot(lengthTokens: number, rest: Partial<SessionSnapshot> = {}): SessionSnapshot {
  const arrays = policy
    .arraySizes(lengthTokens)
    .map(({ name, length, dtype }, index) => [
      name,
      dtype === "float64" ? Float64Array.from(distinct(length, index)) : distinct(length, 1000 * index),
    ]);
  return {
    state: policy.restoreState(lengthTokens, new Map(arrays as [string, Float32Array][])),
    logits: lengthTokens === 0 ? undefined : distinct(V, -5),
    recentIds: Array.from({ length: Math.min(64, lengthTokens) }, (_, index) => index % V),
    transcript: undefined,
    ...rest,
  };
}

const decode = (bytes: Uint8Array, from: MemoryPolicy = policy, who = identity): SessionSnapshot =>
  decodeSession(bytes, who, from, V);

/** Returns the message of a refusal; the error must be of this library and of one of two kinds. */
function refusalOf(bytes: Uint8Array, from?: MemoryPolicy, who?: SessionIdentity): string {
  try {
    decode(bytes, from, who);
  } catch (error) {
    if (error instanceof InvalidRequestError || error instanceof UnsupportedError) return error.message;
    throw error;
  }
  throw new Error("the bytes were accepted");
}

function edit(bytes: Uint8Array, change: (copy: Uint8Array, view: DataView) => void): Uint8Array {
  const copy = bytes.slice();
  change(copy, new DataView(copy.buffer));
  return copy;
}

const saved = await encodeSession(identity, makeSnapshot(20));

describe("a saved session", () => {
  it("comes back whole at any length", async () => {
    // C is 10: empty, partly filled, full, and at several places of later segments.
    for (const length of [0, 1, 2, 9, 10, 11, 12, 13, 14, 1000, 1001, 1002]) {
      const snapshot = makeSnapshot(length);
      const again = decode(await encodeSession(identity, snapshot));
      expect(again.state.lengthTokens).toBe(length);
      expect(again.state.commitCount).toBe(snapshot.state.commitCount);
      expect(await again.state.exportArrays()).toEqual(await snapshot.state.exportArrays());
      expect(again.logits).toEqual(snapshot.logits);
      expect(again.recentIds).toEqual(snapshot.recentIds);
    }
  });

  it("keeps the conversation's digests", async () => {
    const transcript = {
      baseTokens: 3,
      messageCount: 2,
      promptChars: 40,
      promptDigest: "ab",
      replyDigest: null,
      replyEnd: " \n",
    };
    expect(decode(await encodeSession(identity, makeSnapshot(20, { transcript }))).transcript).toEqual(
      transcript,
    );
    expect(decode(saved).transcript).toBeUndefined();
  });

  it("is the same bytes for the same session", async () => {
    expect(await encodeSession(identity, makeSnapshot(20))).toEqual(saved);
  });

  it("is read from the middle of a larger buffer, at any alignment", async () => {
    for (const offset of [0, 1, 3, 4]) {
      const larger = new Uint8Array(saved.length + 16).fill(255);
      larger.set(saved, offset);
      const again = decode(larger.subarray(offset, offset + saved.length));
      expect(await again.state.exportArrays()).toEqual(await makeSnapshot(20).state.exportArrays());
    }
  });

  it("does not keep the caller's bytes", async () => {
    const bytes = saved.slice();
    const again = decode(bytes);
    bytes.fill(0);
    expect(await again.state.exportArrays()).toEqual(await makeSnapshot(20).state.exportArrays());
  });
});

describe("bytes that are refused", () => {
  it("are those cut anywhere", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: saved.length - 1 }), (length) => {
        expect(refusalOf(saved.subarray(0, length))).toMatch(
          /no saved session|header does not fit|checksum|do not fit/,
        );
      }),
      { numRuns: 60, examples: [[0], [7], [8], [16], [47], [48], [49], [saved.length - 1]] },
    );
  });

  it("are those with anything added", () => {
    expect(refusalOf(new Uint8Array([...saved, 0]))).toContain("checksum");
  });

  it("are those altered in any bit", () => {
    fc.assert(
      fc.property(fc.nat(saved.length - 1), fc.nat(7), (index, bit) => {
        const altered = edit(saved, (copy) => {
          copy[index] = (copy[index] ?? 0) ^ (1 << bit);
        });
        expect(refusalOf(altered)).toMatch(/./);
      }),
      // All of the prefix and some of the header, and random places of the rest.
      {
        numRuns: 100,
        examples: Array.from({ length: 56 }, (_, index) => [index, index % 8] as [number, number]),
      },
    );
  });

  it("say that they are no saved session", () => {
    for (const bytes of [new Uint8Array(), new Uint8Array(1000), new TextEncoder().encode("GGUF".repeat(20))])
      expect(refusalOf(bytes)).toContain("no saved session");
    for (const other of [undefined, null, "EDGEINF", [1, 2], saved.buffer])
      expect(refusalOf(other as unknown as Uint8Array)).toContain("no saved session");
  });

  it("say that they are altered", () => {
    const altered = edit(saved, (copy) => {
      copy[copy.length - 1] = 1 ^ (copy.at(-1) ?? 0);
    });
    expect(refusalOf(altered)).toContain("truncated or altered");
  });

  it("say that they are of a newer version, with both numbers", () => {
    const newer = edit(saved, (_, view) => view.setUint32(8, 3, true));
    expect(() => decode(newer)).toThrow(UnsupportedError);
    expect(refusalOf(newer)).toMatch(/version of the format, got 3, expected at most 2.*Update this package/);
  });

  it("say that they are of an earlier version, where their arrays are others; else they are read", async () => {
    const earlier = edit(saved, (_, view) => view.setUint32(8, 1, true));
    expect(decode(earlier).state.lengthTokens).toBe(20);
    const withoutLogits = await encodeSession(identity, { ...makeSnapshot(20), logits: undefined });
    const unlike = edit(withoutLogits, (_, view) => view.setUint32(8, 1, true));
    expect(refusalOf(unlike)).toMatch(
      /an earlier version of the format.*got 1, expected 2.*Read its text again/,
    );
  });

  it("say that the header is too long for them", () => {
    const long = edit(saved, (_, view) => view.setUint32(12, 0xffff_ffff, true));
    expect(refusalOf(long)).toContain("header does not fit");
  });

  it("name what they were saved with: model, policy, adapter or settings", () => {
    const others: readonly [Partial<SessionIdentity>, RegExp][] = [
      [{ model: "b".repeat(64) }, /another model, got "a+", expected b+/],
      [{ policy: "paper" }, /another memory policy, got "streaming", expected paper/],
      [{ adapter: "c" }, /another adapter, got "none", expected c/],
      [{ context: "S2 B0 W6 T3" }, /another context settings, got "S2 B0 W5 T3", expected S2 B0 W6 T3/],
    ];
    for (const [other, reason] of others)
      expect(refusalOf(saved, policy, { ...identity, ...other })).toMatch(reason);
  });

  it("are those whose arrays are not of the stream's length, though every digest is right", async () => {
    const { state } = makeSnapshot(20);
    const wrapped = new Proxy(state, {
      get(target, name) {
        if (name === "lengthTokens") return 21;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    expect(refusalOf(await encodeSession(identity, { ...makeSnapshot(20), state: wrapped }))).toContain(
      "arrays do not fit the length",
    );
    expect(refusalOf(await encodeSession(identity, { ...makeSnapshot(20), logits: undefined }))).toContain(
      "arrays do not fit the length",
    );
    expect(
      refusalOf(await encodeSession(identity, { ...makeSnapshot(20), logits: new Float32Array(V + 1) })),
    ).toContain("arrays do not fit the length");
  });
});
