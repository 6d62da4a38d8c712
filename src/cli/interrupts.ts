/**
 * What Ctrl-C does: it aborts the innermost work under way. When that has been aborted already, the next outer
 * one; when nothing is left, the process ends at once. So a second Ctrl-C always gets further than the first.
 */

/** Is work that one Ctrl-C aborts. */
export interface InterruptScope extends Disposable {
  readonly signal: AbortSignal;
}

/** Hands each Ctrl-C to the work that it is meant for. */
export class Interrupts {
  readonly #scopes = new Set<AbortController>();
  readonly #kill: () => void;

  /** @param kill ends the process at once. */
  constructor(kill: () => void) {
    this.#kill = kill;
  }

  /** Opens a scope; it is the innermost until it is disposed. */
  open(): InterruptScope {
    const controller = new AbortController();
    this.#scopes.add(controller);
    return { signal: controller.signal, [Symbol.dispose]: () => void this.#scopes.delete(controller) };
  }

  /** Takes one Ctrl-C. */
  interrupt(): void {
    const innermost = [...this.#scopes].findLast(({ signal }) => !signal.aborted);
    if (innermost === undefined) this.#kill();
    else innermost.abort();
  }
}
