import { describe, expect, it } from "vitest";
import { runCommand } from "../../test/support/command-terminal.ts";

describe("edgeinfinite demo", () => {
  it("shows that memory stays flat, and says that the text is noise", async () => {
    const { status, stdout, stderr } = await runCommand(["demo", "--chars", "20000"]);
    expect([status, stderr]).toEqual([0, ""]);
    const [header, ...rows] = stdout.split("\n").filter((line) => /^ {2}(tokens|[\d,]+) /.test(line));
    expect(header).toMatch(/tokens +state +full cache +process +tokens\/s/);
    expect(rows.length).toBe(10);
    const states = rows.map((row) => row.trim().split(/ {2,}/)[1]);
    expect(new Set(states).size).toBe(1);
    expect(stdout).toMatch(/constant throughout/);
    expect(stdout).toMatch(/first tenth .* last tenth/);
    expect(stdout).toMatch(/weights are random.*noise|noise: this model's weights are random/);
    expect(stdout).toMatch(/edgeinfinite run --model/);
  });
});
