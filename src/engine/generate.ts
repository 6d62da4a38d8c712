/**
 * Generation: an async generator of events over a session.
 *
 * A token is yielded while the session reads it, and the session has read it when the consumer comes back,
 * also when the consumer never does: what was yielded is in the session. Text that may still become part of
 * a character or a stop string is held back together with its tokens.
 */

import { InvalidRequestError } from "../errors.ts";
import { createIncrementalDecoder, type IncrementalDecoder } from "../text/incremental-decoder.ts";
import { createStopMatcher } from "../text/stop-strings.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { makeSampler, type Sampler, type SamplingOptions } from "./sampler.ts";
import type { SessionCore } from "./session-core.ts";
import { checkTokenIds } from "./token-input.ts";

/** Chooses what is generated. */
export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to generate; default 512. */
  readonly maxNewTokens?: number;
  /** Texts that end the generation; they are not part of its text. */
  readonly stop?: string | readonly string[];
  /** Goes on after an end-of-text token. Default false. */
  readonly ignoreEos?: boolean;
  /** Token ids that come first, whatever the model would choose; they count as generated. Default none. */
  readonly forcedIds?: readonly number[];
  /** Ends the generation with the signal's reason; the session keeps what was generated. */
  readonly signal?: AbortSignal;
}

/** Is one token of the answer. */
export interface TokenEvent {
  readonly type: "token";
  readonly id: number;
  /** The text that has become certain with it; all texts put together are the answer's. */
  readonly text: string;
}

/** Tells why a generation ended: an end-of-text token or a stop string, or the length. */
export type FinishReason = "stop" | "length";

/** Counts tokens as the OpenAI API does. */
export interface Usage {
  /** Tokens in the session before the answer. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly totalTokens: number;
}

/** Ends a generation. */
export interface FinishEvent {
  readonly type: "finish";
  readonly reason: FinishReason;
  /** The stop string that was met, if one was. */
  readonly stopString: string | undefined;
  readonly usage: Usage;
}

/** Is an event of a generation. */
export type GenerateEvent = TokenEvent | FinishEvent;

/** Is what generation needs of a model. */
export interface GenerationModel {
  readonly tokenizer: Tokenizer | undefined;
  readonly eosTokenIds: ReadonlySet<number>;
  /** V: ids are below it. */
  readonly vocabularySize: number;
}

const defaultMaxNewTokens = 512;

function checkMaxNewTokens(maxNewTokens: number): void {
  const fits = maxNewTokens === Number.POSITIVE_INFINITY || Number.isSafeInteger(maxNewTokens);
  if (fits && maxNewTokens >= 1) return;
  throw new InvalidRequestError({
    where: "maxNewTokens",
    what: "out of range",
    got: maxNewTokens,
    expected: "a whole number >= 1, or Infinity",
  });
}

function listStops(stop: GenerateOptions["stop"], tokenizer: Tokenizer | undefined): readonly string[] {
  const stops = stop === undefined ? [] : typeof stop === "string" ? [stop] : stop;
  if (!Array.isArray(stops)) {
    throw new InvalidRequestError({
      where: "stop",
      what: "not valid",
      got: stop,
      expected: "a string or an array of strings",
    });
  }
  if (stops.length > 0 && tokenizer === undefined) {
    throw new InvalidRequestError({
      where: "stop",
      what: "stop strings need a tokenizer",
      remedy: "Add tokenizer.json to the checkpoint's folder.",
    });
  }
  return stops;
}

const silentDecoder: IncrementalDecoder = { push: () => "", flush: () => "" };

/** Turns token ids into events: holds tokens back while their text is not certain. */
class EventAssembler {
  readonly #tokenizer: Tokenizer | undefined;
  readonly #decoder: IncrementalDecoder;
  readonly #matcher: ReturnType<typeof createStopMatcher>;
  #heldIds: number[] = [];
  #heldText = "";
  #received = 0;
  #given = 0;
  stopped: string | undefined;

  constructor(tokenizer: Tokenizer | undefined, stops: readonly string[], contextIds: readonly number[]) {
    this.#tokenizer = tokenizer;
    this.#decoder = tokenizer === undefined ? silentDecoder : createIncrementalDecoder(tokenizer, contextIds);
    this.#matcher = createStopMatcher(stops);
  }

  /** Takes a token; gives the events of all tokens whose text is certain now. */
  push(id: number): TokenEvent[] {
    const isFirst = this.#heldIds.length === 0;
    this.#heldIds.push(id);
    const decoded = this.#decoder.push(id);
    this.#take(decoded);
    const isDecoded = decoded !== "" || (isFirst && !this.#hasText(id));
    const certain = isDecoded && this.#given === this.#received;
    return certain || this.stopped !== undefined ? this.#release() : [];
  }

  /** Tells whether a token can have text at all: special ones have none. */
  #hasText(id: number): boolean {
    const tokenizer = this.#tokenizer;
    return tokenizer?.idToToken(id) !== undefined && !tokenizer.isSpecial(id);
  }

  /** Gives the events of the tokens held back. */
  flush(): TokenEvent[] {
    this.#take(this.#decoder.flush());
    this.#heldText += this.#matcher.flush();
    return this.#release();
  }

  #take(decoded: string): void {
    const { text, stopped } = this.#matcher.push(decoded);
    this.#received += decoded.length;
    this.#given += text.length;
    this.#heldText += text;
    this.stopped ??= stopped;
  }

  #release(): TokenEvent[] {
    const ids = this.#heldIds;
    const text = this.#heldText;
    this.#heldIds = [];
    this.#heldText = "";
    return ids.map((id, index) => ({ type: "token", id, text: index === ids.length - 1 ? text : "" }));
  }
}

/** Ends with a session that has read every token yielded. */
function finish(
  reason: FinishReason,
  stopString: string | undefined,
  promptTokens: number,
  completionTokens: number,
): FinishEvent {
  const usage = { promptTokens, completionTokens, totalTokens: promptTokens + completionTokens };
  return { type: "finish", reason, stopString, usage };
}

/** Is what options have become once they are found to be in range. */
export interface PreparedGeneration {
  readonly maxNewTokens: number;
  readonly ignoreEos: boolean;
  readonly forcedIds: readonly number[];
  readonly signal: AbortSignal | undefined;
  readonly sample: Sampler;
  readonly stops: readonly string[];
}

/**
 * Checks options before anything is read.
 * @throws {@link InvalidRequestError} naming the option that is out of range; the signal's reason on abort.
 */
export function prepareGeneration(options: GenerateOptions, model: GenerationModel): PreparedGeneration {
  const { maxNewTokens = defaultMaxNewTokens, ignoreEos = false, forcedIds = [], signal } = options;
  checkMaxNewTokens(maxNewTokens);
  checkTokenIds(forcedIds, model.vocabularySize);
  const sample = makeSampler(options);
  const stops = listStops(options.stop, model.tokenizer);
  createStopMatcher(stops);
  signal?.throwIfAborted();
  return { maxNewTokens, ignoreEos, forcedIds, signal, sample, stops };
}

/**
 * Generates tokens after what the session has read.
 * @throws {@link InvalidRequestError} on an empty session; the signal's reason on abort.
 */
export async function* generate(
  core: SessionCore,
  { maxNewTokens, ignoreEos, forcedIds, signal, sample, stops }: PreparedGeneration,
  model: GenerationModel,
): AsyncGenerator<GenerateEvent, void, void> {
  const assembler = new EventAssembler(model.tokenizer, stops, core.recentIds);
  // An empty session is refused before the clock runs; one without room may still end at once.
  lastLogits(core);
  core.speed.beginPrompt();
  const promptTokens = core.state.lengthTokens;
  let reason: FinishReason = "length";
  let count = 0;
  while (count < maxNewTokens && core.state.lengthTokens < core.inference.policy.maxLengthTokens) {
    const forced = forcedIds[count];
    const id = forced ?? sample(lastLogits(core), core.recentIds);
    if (count === 0) core.speed.noteFirstToken();
    if (forced === undefined && !ignoreEos && model.eosTokenIds.has(id)) {
      reason = "stop";
      break;
    }
    count += 1;
    const events = assembler.push(id);
    const reading = core.readOne(id);
    // Whoever waits below gets the error; until then it must not count as unhandled.
    reading.catch(() => {});
    try {
      yield* events;
    } finally {
      await reading;
    }
    if (assembler.stopped !== undefined) {
      reason = "stop";
      break;
    }
    signal?.throwIfAborted();
  }
  yield* assembler.flush();
  yield finish(assembler.stopped === undefined ? reason : "stop", assembler.stopped, promptTokens, count);
}

function lastLogits(core: SessionCore): Float32Array {
  if (core.logits !== undefined) return core.logits;
  throw new InvalidRequestError({
    where: "generate",
    what: "the session is empty",
    got: "0 tokens",
    expected: "at least one token to go on from",
    remedy: "Append a prompt first.",
  });
}
