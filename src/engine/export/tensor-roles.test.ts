import { describe, expect, it } from "vitest";
import { roleOfTensor } from "./tensor-roles.ts";

describe("roleOfTensor", () => {
  it.each([
    ["token_ids", { role: "token-ids" }],
    ["rotary_cos", { role: "rotary-cos", kind: 0 }],
    ["rotary_sin.2", { role: "rotary-sin", kind: 2 }],
    ["mask", { role: "mask", kind: 0 }],
    ["past_mask.1", { role: "past-mask", kind: 1 }],
    ["past_keys.17", { role: "past-keys", layer: 17 }],
    ["unrotate_cos.1", { role: "unrotate-cos", kind: 1 }],
    ["new_matrix.3", { role: "new-memory-matrix", layer: 3 }],
  ])("knows %s", (name, role) => {
    expect(roleOfTensor(name)).toEqual(role);
  });

  it.each(["", "past_keys", "past_keys.x", "mask.", "token_ids.0", "surprise"])("refuses %j", (name) => {
    expect(() => roleOfTensor(name)).toThrow(/no word for an input or output/);
  });
});
