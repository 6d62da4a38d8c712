import { describe, expect, it } from "vitest";
import { dropEmptyColumns } from "./table.ts";

describe("dropEmptyColumns", () => {
  it("leaves out columns without a value, but for the first ones", () => {
    const table = [
      ["policy", "score", "state", "decode", "gate"],
      ["full", "n/a", "1", "n/a", ""],
      ["plus", "n/a", "2", "n/a", "n/a"],
      ["short", "n/a"],
    ];
    expect(dropEmptyColumns(table, 2)).toEqual([
      ["policy", "score", "state"],
      ["full", "n/a", "1"],
      ["plus", "n/a", "2"],
      ["short", "n/a"],
    ]);
    expect(dropEmptyColumns(table.slice(0, 1), 2)).toEqual([["policy", "score"]]);
    expect(dropEmptyColumns([...table, ["paper", "n/a", "3", "0", "0.5"]], 0)[1]).toEqual([
      ...["full", "1", "n/a", ""],
    ]);
  });
});
