import { describe, expect, it, vi } from "vitest";
import { Interrupts } from "./interrupts.ts";

describe("Ctrl-C", () => {
  it("aborts the innermost work, then the outer, then ends the process", () => {
    const kill = vi.fn();
    const interrupts = new Interrupts(kill);
    using outer = interrupts.open();
    using inner = interrupts.open();
    interrupts.interrupt();
    expect([outer.signal.aborted, inner.signal.aborted]).toEqual([false, true]);
    interrupts.interrupt();
    expect(outer.signal.aborted).toBe(true);
    expect(kill).not.toHaveBeenCalled();
    interrupts.interrupt();
    expect(kill).toHaveBeenCalledOnce();
  });

  it("does not reach work that has ended", () => {
    const interrupts = new Interrupts(() => {});
    using outer = interrupts.open();
    const inner = interrupts.open();
    inner[Symbol.dispose]();
    interrupts.interrupt();
    expect([outer.signal.aborted, inner.signal.aborted]).toEqual([true, false]);
  });
});
