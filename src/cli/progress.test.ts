import { describe, expect, it } from "vitest";
import { createTestTerminal } from "../../test/support/command-terminal.ts";
import { formatBar, formatReadingProgress, StatusLine } from "./progress.ts";

const progress = {
  share: 0.25,
  readTokens: 12_345,
  tokensPerSecond: 4115,
  stateBytes: 507_000,
  residentBytes: 209_000_000,
  seconds: 3,
};

describe("the progress of a reading", () => {
  it("tells the share, tokens, speed, time left, state and resident memory", () => {
    expect(formatReadingProgress(progress, 200)).toBe(
      " 25% █████░░░░░░░░░░░░░░░  12,345 tokens  4,115 tokens/s  9.0 s left  state 507 KB  resident 209 MB",
    );
  });

  it("leaves out what cannot be told of a pipe", () => {
    expect(formatReadingProgress({ ...progress, share: undefined }, 200)).toBe(
      "reading  12,345 tokens  4,115 tokens/s  state 507 KB  resident 209 MB",
    );
  });

  it("stays within the width", () => {
    for (let columns = 1; columns < 120; columns++)
      expect(formatReadingProgress(progress, columns).length).toBeLessThan(columns);
  });

  it("does not fill the bar before the end, nor beyond it", () => {
    expect(formatBar(0)).toBe(`  0% ${"░".repeat(20)}`);
    expect(formatBar(0.999)).toMatch(/^ 99% /);
    expect(formatBar(1)).toBe(`100% ${"█".repeat(20)}`);
    expect(formatBar(1.2)).toMatch(/█{20}$/);
  });
});

describe("StatusLine", () => {
  it("writes nothing where nobody looks", async () => {
    const { terminal, stderr } = createTestTerminal();
    const status = new StatusLine(terminal.stderr);
    status.show(() => "text");
    await status.clear();
    expect(stderr.text).toBe("");
  });

  it("draws over itself, not too often, and is gone in the end", async () => {
    const { terminal, stderr } = createTestTerminal({ isInteractive: true });
    const status = new StatusLine(terminal.stderr);
    status.show((columns) => `width ${columns}`);
    status.show(() => "too soon");
    await status.clear();
    await status.clear();
    expect(stderr.text).toBe("\r\u001b[2Kwidth 120\r\u001b[2K");
  });
});
