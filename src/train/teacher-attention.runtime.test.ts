import { describe, expect, it } from "vitest";
import { tinyGeometry } from "../../test/support/tiny-geometry.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/graph.ts";
import { createNodeRuntime } from "../runtime/node.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { firstFarPosition, TeacherAttentionWriter, teacherFeeds } from "./teacher-attention.ts";

const geometry = tinyGeometry({ layerCount: 1, queryHeadCount: 4, keyValueHeadCount: 2, headSize: 4 });
const { queryHeadCount: H, keyValueHeadCount: K, headSize: D, scoreScale } = geometry;
const context = { sinkTokens: 2, slotTokens: 3, windowTokens: 3, segmentTokens: 4 };
const T = 17;

/** Gives element `index` of a fixed sequence that looks random. */
const noise = (index: number): number => 1.5 * Math.sin(index * 12.9898 + index * index * 0.7);
const fill = (length: number, from: number): Float32Array =>
  Float32Array.from({ length }, (_, index) => noise(from + index));
const data = { query: fill(T * H * D, 0), key: fill(T * K * D, 1e3), value: fill(T * K * D, 2e3) };

/** Rotates row t of a head by the angles of position t, in float64. */
function rotated(rows: Float32Array, heads: number, t: number, head: number): number[] {
  const { inverseFrequencies } = geometry.kinds[0] ?? { inverseFrequencies: new Float64Array() };
  const n = inverseFrequencies.length;
  const row = Array.from(rows.subarray((t * heads + head) * D, (t * heads + head + 1) * D));
  return row.map((value, index) => {
    if (index >= 2 * n) return value;
    const angle = t * (inverseFrequencies[index % n] ?? 0);
    const partner = index < n ? -(row[index + n] ?? 0) : (row[index - n] ?? 0);
    return value * Math.cos(angle) + partner * Math.sin(angle);
  });
}

/** Computes softmax(scale q_i k_j) over j <= i. */
function probabilities(head: number, i: number): number[] {
  const query = rotated(data.query, H, i, head);
  const scores = Array.from({ length: i + 1 }, (_, j) => {
    const key = rotated(data.key, K, j, Math.floor(head / (H / K)));
    return scoreScale * query.reduce((sum, value, d) => sum + value * (key[d] ?? 0), 0);
  });
  const powers = scores.map((score) => Math.exp(score - Math.max(...scores)));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

async function runTeacher() {
  const b = new GraphBuilder("teacher");
  const targets: Value[] = [];
  const writer = new TeacherAttentionWriter(b, geometry, (_, __, target) => targets.push(target));
  const output = writer.attend(0, {
    query: b.input("query", "float32", ["T", H, D]),
    key: b.input("key", "float32", ["T", K, D]),
    value: b.input("value", "float32", ["T", K, D]),
    hidden: b.input("hidden", "float32", ["T", 1]),
  });
  const graph = b.finish([b.named("output", output), ...targets.map((target) => b.named("target", target))]);
  await using session = await createNodeRuntime({ threads: 1 }).createSession(graph);
  return session.run({
    ...teacherFeeds(geometry, context, T),
    query: hostTensor("float32", [T, H, D], data.query),
    key: hostTensor("float32", [T, K, D], data.key),
    value: hostTensor("float32", [T, K, D], data.value),
    hidden: hostTensor("float32", [T, 1], new Float32Array(T)),
  });
}

describe("the teacher's attention", () => {
  it("is full causal attention", async () => {
    const { output } = await runTeacher();
    for (let t = 0; t < T; t++) {
      for (let head = 0; head < H; head++) {
        const weights = probabilities(head, t);
        for (let d = 0; d < D; d++) {
          const group = Math.floor(head / (H / K));
          const expected = weights.reduce(
            (sum, weight, j) => sum + weight * (data.value[(j * K + group) * D + d] ?? 0),
            0,
          );
          expect(output?.data[(t * H + head) * D + d]).toBeCloseTo(expected, 5);
        }
      }
    }
  });

  it("is worth, a token, the most that a later query gives it once it has left the window", async () => {
    const { target } = await runTeacher();
    for (let k = 0; k < K; k++) {
      for (let j = 0; j < T; j++) {
        let expected = 0;
        for (let i = firstFarPosition(context, j); i < T; i++) {
          for (let head = k * (H / K); head < (k + 1) * (H / K); head++)
            expected = Math.max(expected, probabilities(head, i)[j] ?? 0);
        }
        expect(target?.data[k * T + j]).toBeCloseTo(expected, 5);
      }
    }
    expect(target?.data.some((value) => Number(value) > 0.05)).toBe(true);
  });
});

describe("firstFarPosition", () => {
  it("is where a token's segment has been committed: never for sinks", () => {
    // S 2, W 3, T 4: segments begin at 2, 6, 10; the first leaves when 2 + 3 + 4 tokens are there.
    expect([0, 1].map((j) => firstFarPosition(context, j))).toEqual([Infinity, Infinity]);
    expect([2, 5, 6, 9, 10].map((j) => firstFarPosition(context, j))).toEqual([9, 9, 13, 13, 17]);
  });
});
