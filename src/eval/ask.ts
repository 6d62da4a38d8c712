/**
 * One example through one model: reads the document, has the model write on where the task says so, asks, and
 * scores what is generated (greedily).
 *
 * Of several questions about a document each is asked in a copy of the session, so that none sees another.
 */

import type { Model } from "../engine/model.ts";
import type { Session } from "../engine/session.ts";
import type { Example, Question, RecordFacts, WrittenOutput } from "./task.ts";

/** Is what came of a question. */
export interface Outcome {
  readonly score: number;
  readonly answer: string;
  readonly documentTokens: number;
  readonly promptTokens: number;
  readonly commitCount: number;
  readonly stateBytes: number;
  readonly peakResidentBytes: number;
  readonly prefillTokensPerSecond: number | null;
  readonly decodeTokensPerSecond: number | null;
  readonly timeToFirstTokenMs: number | null;
  readonly meanGateOpening: number[];
  readonly gateOpening: number[][];
  /** What the record keeps of how it went. */
  readonly about?: RecordFacts;
}

/** Says how an example is run. */
export interface AskOptions {
  readonly signal: AbortSignal;
  /** Gives the memory that the process holds. */
  readonly residentBytes: () => number;
  /** Is told how many tokens of the example have been read. */
  readonly onProgress: (readTokens: number) => void;
}

async function answer(session: Session, question: Question, signal: AbortSignal): Promise<string> {
  let text = "";
  const { maxNewTokens, stop } = question;
  for await (const event of session.generate({ maxNewTokens, stop, signal })) {
    if (event.type === "token") text += event.text;
  }
  return text;
}

/** Asks a question in a session that has read the document. */
async function ask(session: Session, question: Question, options: AskOptions): Promise<Outcome> {
  const documentTokens = session.lengthTokens;
  await session.append(question.prompt, { signal: options.signal });
  const promptTokens = session.lengthTokens;
  const text = await answer(session, question, options.signal);
  const { stats } = session;
  return {
    score: question.score(text),
    answer: text,
    documentTokens,
    promptTokens,
    commitCount: stats.commitCount,
    stateBytes: stats.stateBytes,
    peakResidentBytes: options.residentBytes(),
    prefillTokensPerSecond: stats.prefillTokensPerSecond ?? null,
    decodeTokensPerSecond: stats.decodeTokensPerSecond ?? null,
    timeToFirstTokenMs: stats.timeToFirstTokenMs ?? null,
    meanGateOpening: [...stats.meanGateOpening],
    gateOpening: stats.gateOpening.map((heads) => [...heads]),
  };
}

/** Counts how often a text holds another, in small letters or capitals. */
const countIn = (text: string, part: string): number =>
  text.toLowerCase().split(part.toLowerCase()).length - 1;

/** Has the model write on; gives its text. */
async function write(
  session: Session,
  output: WrittenOutput,
  { signal, onProgress }: AskOptions,
): Promise<string> {
  const { beginningIds: forcedIds, lengthTokens: maxNewTokens, temperature, seed } = output;
  const options = { forcedIds, maxNewTokens, temperature, seed, ignoreEos: true, signal };
  const texts: string[] = [];
  for await (const event of session.generate(options)) {
    if (event.type === "token") onProgress(texts.push(event.text));
  }
  return texts.join("");
}

/** Tells of a question whether the model wrote its answer once more than it was made to. */
function noteOutput(question: Question, output: WrittenOutput, text: string): RecordFacts {
  const isRestated = question.references.some(
    (reference) => countIn(text, reference) > countIn(output.beginning, reference),
  );
  return { outputTokens: output.lengthTokens, isRestated };
}

/** Runs an example; gives an outcome for each question. @throws the signal's reason on abort. */
export async function askExample(model: Model, example: Example, options: AskOptions): Promise<Outcome[]> {
  const { signal, residentBytes, onProgress } = options;
  let peakBytes = residentBytes();
  using reader = model.createSession();
  const start = performance.now();
  await reader.append(example.document, {
    signal,
    onProgress({ readTokens }) {
      peakBytes = Math.max(peakBytes, residentBytes());
      onProgress(readTokens);
    },
  });
  const { output } = example;
  const written = output && (await write(reader, output, options));
  // With an output, the answer is waited for from the question on.
  const readMs = output ? 0 : performance.now() - start;
  peakBytes = Math.max(peakBytes, residentBytes());
  const finish = (outcome: Outcome, question: Question): Outcome => ({
    ...outcome,
    peakResidentBytes: Math.max(peakBytes, outcome.peakResidentBytes),
    ...(output && written !== undefined && { about: noteOutput(question, output, written) }),
  });
  const [first] = example.questions;
  if (first !== undefined && example.questions.length === 1)
    return [finish(await ask(reader, first, options), first)];
  const { prefillTokensPerSecond = null } = reader.stats;
  const outcomes: Outcome[] = [];
  for (const question of example.questions) {
    using copy = reader.clone();
    const outcome = await ask(copy, question, options);
    // A copy's clock begins with its question.
    const ownMs = outcome.timeToFirstTokenMs;
    const timeToFirstTokenMs = ownMs === null ? null : ownMs + readMs;
    outcomes.push({ ...finish(outcome, question), prefillTokensPerSecond, timeToFirstTokenMs });
  }
  return outcomes;
}
