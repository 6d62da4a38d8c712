/**
 * A runtime that follows a script: the real model and session run on it, and nothing is computed.
 *
 * Its logits make the greedy choice the next scripted token. What it must know of a stream (tokens, how far a
 * reply is) travels in the values that it gives the session to remember, so that sessions, clones and streams
 * in any order cannot mix. Every other output is zeros of the right shape.
 */

import { InternalError, InvalidRequestError, OutOfMemoryError } from "../errors.ts";
import { evaluateDim } from "../graph/dim.ts";
import type { Graph, Value } from "../graph/graph.ts";
import { newValuesName, pastMaskName, pastValuesName } from "../memory/local-attention.ts";
import { inferenceNames } from "../models/decoder.ts";
import { checkFeeds } from "../runtime/check-feeds.ts";
import type { NamedTensors, Runtime, RuntimeSession } from "../runtime/runtime.ts";
import { hostTensors } from "../runtime/tensor-memory.ts";
import { type HostTensor, zeros } from "../tensor/host-tensor.ts";

/** Is what a reply may depend on. */
export interface ScriptedPrompt {
  /** The stream's tokens, as far as its session holds them exactly: all, until the first commit. */
  readonly tokenIds: readonly number[];
  /** Counts prompts from 0, over all sessions of the runtime. */
  readonly turnIndex: number;
}

/** Says what the model says. */
export interface Script {
  /** Returns a reply's tokens. Is called at the end of every run that reads a prompt: a long one takes several. */
  readonly reply: (prompt: ScriptedPrompt) => readonly number[];
  /** Follows a reply, for ever: the end-of-text token. */
  readonly endTokenId: number;
  /** Milliseconds that every run takes; default 0. */
  readonly delayMs?: number;
  /** Fails the run that would give the token after so many of a reply; 0 fails the prompt. */
  readonly failAfterTokens?: number;
  /** The failure; by default an {@link OutOfMemoryError}. */
  readonly failWith?: Error;
}

/** Is a reply under way. */
interface Reply {
  readonly turnIndex: number;
  readonly tokenIds: readonly number[];
}

/** Says where a stream is: in which reply, and how many of its tokens it has read. */
interface Cursor {
  readonly replyIndex: number;
  readonly position: number;
}

/** Elements of a remembered row: its token, the number of the reply (from 1), the position in it. */
const rowElements = 3;
/** Makes any sampling choose the token: e^-100 is never drawn. */
const certainLogit = 100;

type HostTensors = Readonly<Record<string, HostTensor>>;

/** Reads what the session remembers: the tokens, and where the stream is. */
function readPast(feeds: HostTensors): { tokenIds: number[]; cursor: Cursor | undefined } {
  const values = feeds[pastValuesName(0)];
  const mask = feeds[pastMaskName]?.data;
  if (!(values?.data instanceof Float32Array && mask instanceof Float32Array)) {
    throw new InternalError({ where: "scripted runtime", what: "the policy keeps no values on the host" });
  }
  const { data } = values;
  const headSize = values.shape.at(-1) ?? 0;
  const count = mask.filter((element) => element === 0).length;
  const tokenIds = Array.from({ length: count }, (_, place) => data[place * headSize] ?? 0);
  const last = (count - 1) * headSize;
  const cursor = { replyIndex: (data[last + 1] ?? 0) - 1, position: data[last + 2] ?? 0 };
  return { tokenIds, cursor: count === 0 ? undefined : cursor };
}

/** Writes the rows to remember: value `[K, T, D]`, of which the first head carries them. */
function writeRows(shape: readonly number[], tokenIds: readonly number[], cursor: Cursor): HostTensor {
  const [, , headSize = 0] = shape;
  const tensor = zeros("float32", shape);
  tokenIds.forEach((id, row) => {
    tensor.data.set([id, cursor.replyIndex + 1, cursor.position], row * headSize);
  });
  return tensor;
}

class ScriptedSession implements RuntimeSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly #graph: Graph;
  readonly #script: Script;
  readonly #replies: Reply[] = [];
  #turnCount = 0;

  constructor(graph: Graph, script: Script) {
    this.#graph = graph;
    this.#script = script;
    this.inputNames = graph.inputs.map(({ name }) => name);
    this.outputNames = graph.outputs.map(({ name }) => name);
  }

  #next(cursor: Cursor): number {
    return this.#replies[cursor.replyIndex]?.tokenIds[cursor.position] ?? this.#script.endTokenId;
  }

  /** Goes on in a reply, or answers a prompt. */
  #advance(past: ReturnType<typeof readPast>, tokenIds: readonly number[]): Cursor {
    const { cursor } = past;
    const known = cursor === undefined ? undefined : this.#replies[cursor.replyIndex];
    if (cursor !== undefined && known !== undefined) {
      if (tokenIds.length === 1 && tokenIds[0] === this.#next(cursor)) {
        return { ...cursor, position: cursor.position + 1 };
      }
    }
    const continues = known !== undefined && cursor?.position === 0;
    const turnIndex = continues ? known.turnIndex : this.#turnCount++;
    const prompt = { tokenIds: [...past.tokenIds, ...tokenIds], turnIndex };
    this.#replies.push({ turnIndex, tokenIds: this.#script.reply(prompt) });
    return { replyIndex: this.#replies.length - 1, position: 0 };
  }

  /** Makes the logits `[N, V]` of the rows asked for; a row before the last foresees what was read after it. */
  #logits(
    shape: readonly number[],
    feeds: HostTensors,
    tokenIds: readonly number[],
    cursor: Cursor,
  ): HostTensor {
    const [, vocabularySize = 0] = shape;
    const tensor = zeros("float32", shape);
    const rows = Array.from(feeds[inferenceNames.logitRows]?.data as BigInt64Array, Number);
    rows.forEach((row, index) => {
      const id = tokenIds[row + 1] ?? this.#next(cursor);
      tensor.data[index * vocabularySize + id] = certainLogit;
    });
    return tensor;
  }

  async run(
    tensors: NamedTensors,
    outputs: readonly string[] = this.outputNames,
  ): Promise<Record<string, HostTensor>> {
    const feeds = hostTensors(tensors);
    const bindings = checkFeeds(this.#graph, feeds, outputs);
    const { delayMs = 0, failAfterTokens = Number.POSITIVE_INFINITY, failWith } = this.#script;
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    const shapeOf = ({ shape }: Value): number[] => shape.map((dim) => evaluateDim(dim, bindings));
    const wanted = this.#graph.outputs.filter(({ name }) => outputs.includes(name));
    const results = Object.fromEntries(
      wanted.map((value): [string, HostTensor] => [value.name, zeros(value.dtype, shapeOf(value))]),
    );
    const ids = feeds[inferenceNames.tokenIds]?.data;
    if (!(ids instanceof BigInt64Array)) return results;
    const tokenIds = Array.from(ids, Number);
    const cursor = this.#advance(readPast(feeds), tokenIds);
    if (cursor.position >= failAfterTokens) throw failWith ?? scriptedFailure();
    for (const value of wanted) {
      const shape = shapeOf(value);
      if (value.name === newValuesName(0)) results[value.name] = writeRows(shape, tokenIds, cursor);
      if (value.name === inferenceNames.logits) {
        results[value.name] = this.#logits(shape, feeds, tokenIds, cursor);
      }
    }
    return results;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function scriptedFailure(): OutOfMemoryError {
  return new OutOfMemoryError({ where: "scripted runtime", what: "the script says to fail here" });
}

function assertRoom(graph: Graph): void {
  const values = graph.inputs.find(({ name }) => name === pastValuesName(0));
  const headSize = values?.shape.at(-1);
  if (typeof headSize !== "number" || headSize >= rowElements) return;
  throw new InvalidRequestError({
    where: "scripted runtime",
    what: "the model's heads are too narrow to carry the script",
    got: headSize,
    expected: `a head width >= ${rowElements}`,
  });
}

/** Creates a runtime that follows a script. */
export function createScriptedRuntime(script: Script): Runtime {
  return {
    name: "scripted",
    async createSession(graph) {
      assertRoom(graph);
      return new ScriptedSession(graph, script);
    },
  };
}
