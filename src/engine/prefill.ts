/**
 * Reading an input into a session: full runs as far as they go, the rest at the end.
 */

import { InvalidRequestError } from "../errors.ts";
import type { SessionCore } from "./session-core.ts";
import { knownTokenCount, type SessionInput, streamTokenIds, type TokenInputOptions } from "./token-input.ts";

/** Tells how far an append is. */
export interface AppendProgress {
  /** Tokens of this input read so far. */
  readonly readTokens: number;
  /** Tokens of this input, where it is known beforehand. */
  readonly totalTokens: number | undefined;
  /** Tokens of the whole stream so far. */
  readonly lengthTokens: number;
}

/** Chooses how an input is appended. */
export interface AppendOptions {
  /** Puts the tokenizer's beginning-of-text token before the first text of a session. Default true. */
  readonly addSpecialTokens?: boolean;
  readonly onProgress?: (progress: AppendProgress) => void;
  /** Ends the reading at the next segment; what was read stays. */
  readonly signal?: AbortSignal;
}

/** Tells what an append has done. */
export interface AppendResult {
  /** Tokens of this input. */
  readonly tokenCount: number;
  /** Tokens of the whole stream. */
  readonly lengthTokens: number;
}

/** Says how an input becomes tokens. */
export type InputEncoding = Omit<TokenInputOptions, "continuation" | "signal">;

function refuseEmpty(): never {
  throw new InvalidRequestError({
    where: "append",
    what: "there is nothing to append",
    got: "an empty input",
    expected: "at least one token",
    remedy: "To begin with the beginning-of-text token alone, append its id.",
  });
}

/** Encodes a text whole, where it must be known before the first run whether it fits. */
async function encodeWhole(text: string, options: TokenInputOptions): Promise<number[]> {
  const ids: number[] = [];
  for await (const piece of streamTokenIds(text, options)) for (const id of piece) ids.push(id);
  return ids;
}

/** Time that may pass before events have their turn, milliseconds. */
const eventWindowMs = 50;

/**
 * Makes a function that gives events their turn when they have waited for long. A runtime that computes on this
 * thread keeps them waiting, and the next run would start before the interrupt that came during the last.
 */
function makeEventWindow(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < eventWindowMs) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    last = performance.now();
  };
}

/** Reads the runs of an input. */
export interface RunReader {
  /** Most tokens of a run, where that is less than there is room for. */
  readonly mostTokens: number;
  /** Reads one run into the session. */
  readonly read: (tokenIds: readonly number[]) => Promise<unknown>;
}

/**
 * Reads an input into a session.
 * @param runs does so in another way than to be read alone.
 * @throws {@link InvalidRequestError} when it is empty, does not fit, or holds an id out of range;
 * the signal's reason on abort, with all that was read kept.
 */
export async function prefill(
  core: SessionCore,
  input: SessionInput,
  options: AppendOptions,
  tokens: InputEncoding,
  runs: RunReader = { mostTokens: Number.POSITIVE_INFINITY, read: (ids) => core.read(ids, "prefill") },
): Promise<AppendResult> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  if (input === "") refuseEmpty();
  const streamOptions = { ...tokens, continuation: core.state.lengthTokens > 0, signal };
  const isBounded = Number.isFinite(core.inference.policy.maxLengthTokens);
  const source = isBounded && typeof input === "string" ? await encodeWhole(input, streamOptions) : input;
  const totalTokens = knownTokenCount(source);
  if (totalTokens !== undefined) core.assertFits(totalTokens);
  const start = performance.now();
  const letEventsIn = makeEventWindow();
  /** Ids not read yet: those of `waiting` from `next` on. */
  let waiting: readonly number[] = [];
  let next = 0;
  let readTokens = 0;
  const readRun = async (count: number): Promise<void> => {
    core.speed.beginPrompt(start);
    await runs.read(waiting.slice(next, next + count));
    next += count;
    readTokens += count;
    onProgress?.({ readTokens, totalTokens, lengthTokens: core.state.lengthTokens });
    if (signal !== undefined) await letEventsIn();
    signal?.throwIfAborted();
  };
  const readFullRuns = async (): Promise<void> => {
    while (next < waiting.length) {
      const room = Math.min(await core.makeRoom("prefill"), runs.mostTokens);
      if (waiting.length - next < room) return;
      await readRun(room);
    }
  };
  for await (const piece of streamTokenIds(source, streamOptions)) {
    waiting = next === waiting.length ? piece : [...waiting.slice(next), ...piece];
    next = 0;
    await readFullRuns();
  }
  if (next < waiting.length) await readRun(waiting.length - next);
  if (readTokens === 0) refuseEmpty();
  return { tokenCount: readTokens, lengthTokens: core.state.lengthTokens };
}
