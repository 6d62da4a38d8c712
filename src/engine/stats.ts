/**
 * What a session tells of itself.
 */

import type { MemoryState, PolicyName, TokenCounts } from "../memory/policy.ts";

/** Tells what a session holds, what it costs and how fast it has been. */
export interface SessionStats {
  /** How the session remembers. */
  readonly policy: PolicyName;
  /** Which path attention takes now: the base model's alone, or gated with the memory. */
  readonly path: "base" | "gated";
  readonly lengthTokens: number;
  /** Where the tokens are; their sum is `lengthTokens`. */
  readonly tokens: TokenCounts;
  readonly commitCount: number;
  /** Bytes of the model's weights in memory, shared by all its sessions. */
  readonly weightBytes: number;
  /** Bytes of this session's state. */
  readonly stateBytes: number;
  /** Bytes that an ordinary KV cache would need at this length. */
  readonly fullCacheBytes: number;
  /** Tokens read by appending, and how fast, commits included; undefined before the first. */
  readonly prefillTokens: number;
  readonly prefillTokensPerSecond: number | undefined;
  /** Tokens generated, and how fast, commits included; undefined before the first. */
  readonly decodeTokens: number;
  readonly decodeTokensPerSecond: number | undefined;
  /** From the beginning of the last prompt to the first token of its answer, in milliseconds. */
  readonly timeToFirstTokenMs: number | undefined;
  /** Mean opening of the read gates over all tokens that passed them, per layer with a memory; empty when none has. */
  readonly meanGateOpening: readonly number[];
  /** The same of each query head, `[layer][head]`. */
  readonly gateOpening: readonly (readonly number[])[];
}

/** Names what tokens are read for: they were appended, or generated. */
export type ReadingKind = "prefill" | "decode";

/** Measures a session's speed. Times in milliseconds. */
export class SpeedMeter {
  prefillTokens = 0;
  decodeTokens = 0;
  timeToFirstTokenMs: number | undefined;
  #prefillMs = 0;
  #decodeMs = 0;
  #promptStart: number | undefined;

  /** Notes when a prompt began, unless one has begun already. */
  beginPrompt(startMs: number = performance.now()): void {
    this.#promptStart ??= startMs;
  }

  /** Notes the first token of an answer. */
  noteFirstToken(): void {
    if (this.#promptStart !== undefined) this.timeToFirstTokenMs = performance.now() - this.#promptStart;
    this.#promptStart = undefined;
  }

  /** Counts tokens that took since `startMs`; none, where it was a commit that makes room for some. */
  count(kind: ReadingKind, tokenCount: number, startMs: number): void {
    const elapsed = performance.now() - startMs;
    if (kind === "prefill") {
      this.prefillTokens += tokenCount;
      this.#prefillMs += elapsed;
    } else {
      this.decodeTokens += tokenCount;
      this.#decodeMs += elapsed;
    }
  }

  get prefillTokensPerSecond(): number | undefined {
    return this.prefillTokens === 0 ? undefined : (1000 * this.prefillTokens) / this.#prefillMs;
  }

  get decodeTokensPerSecond(): number | undefined {
    return this.decodeTokens === 0 ? undefined : (1000 * this.decodeTokens) / this.#decodeMs;
  }
}

/** Gathers a session's stats. */
export function gatherStats(
  state: MemoryState,
  speed: SpeedMeter,
  sizes: {
    readonly policy: PolicyName;
    readonly weightBytes: number;
    readonly stateBytes: number;
    readonly fullCacheBytes: number;
  },
): SessionStats {
  return {
    ...sizes,
    path: state.path,
    lengthTokens: state.lengthTokens,
    tokens: state.tokenCounts,
    commitCount: state.commitCount,
    prefillTokens: speed.prefillTokens,
    prefillTokensPerSecond: speed.prefillTokensPerSecond,
    decodeTokens: speed.decodeTokens,
    decodeTokensPerSecond: speed.decodeTokensPerSecond,
    timeToFirstTokenMs: speed.timeToFirstTokenMs,
    meanGateOpening: state.gateOpening.map(
      (heads) => heads.reduce((sum, one) => sum + one, 0) / heads.length,
    ),
    gateOpening: state.gateOpening,
  };
}
