/**
 * What a task is: documents of a length, questions about them, and what counts as right.
 */

/** Holds facts that a record keeps. */
export type RecordFacts = Readonly<Record<string, string | number | boolean | null>>;

/** Is a question about a document. */
export interface Question {
  /** What is read behind the document, before the answer. */
  readonly prompt: string;
  /** The right answers, as records keep them. */
  readonly references: readonly string[];
  /** Most tokens of an answer. */
  readonly maxNewTokens: number;
  /** Texts that end an answer. */
  readonly stop: readonly string[];
  /** What the record keeps of the question. */
  readonly about: RecordFacts;
  /** Scores an answer, in [0, 1]. */
  score(answer: string): number;
}

/** Is text that the model writes behind a document, before any question. */
export interface WrittenOutput {
  /** What it begins with, whatever the model would write: read token by token, as all that is generated. */
  readonly beginning: string;
  readonly beginningIds: readonly number[];
  /** Generated tokens, those of the beginning included; an end-of-text token does not end them. */
  readonly lengthTokens: number;
  /** How tokens behind the beginning are drawn. */
  readonly temperature: number;
  readonly seed: number;
}

/** Is a document with questions, each asked as if the others were not. */
export interface Example {
  readonly document: string;
  /** What the model writes behind the document; nothing where it is left out. */
  readonly output?: WrittenOutput;
  /** Most tokens of all that is read and generated; the length asked for where it is left out. */
  readonly totalTokens?: number;
  /** At least one. */
  readonly questions: readonly Question[];
  /** What the record keeps of the document. */
  readonly about: RecordFacts;
}

/** Is a document whose tokens are scored one by one. */
export interface LikelihoodExample {
  /** At least two: nothing predicts the first. */
  readonly tokenIds: readonly number[];
  /** The first position that counts as past the window. */
  readonly distanceTokens: number;
  /** What the record keeps of the document. */
  readonly about: RecordFacts;
}

/** Makes the documents of a task whose score is the mean negative log likelihood of their tokens. */
export interface LikelihoodTask {
  readonly name: string;
  /** All that decides its documents, besides length and index; tells its rows apart. */
  readonly settings: RecordFacts;
  readonly metric: "nll";
  /** Counts the documents of a length: at most `wanted`. */
  countExamples(lengthTokens: number, wanted: number, signal?: AbortSignal): Promise<number>;
  /**
   * Makes a document; the same length and index give the same.
   * @throws {@link InvalidRequestError} when there is none of this length.
   */
  makeExample(lengthTokens: number, index: number, signal?: AbortSignal): Promise<LikelihoodExample>;
}

/** Is a task of either kind. */
export type AnyTask = EvaluationTask | LikelihoodTask;

/** Makes the examples of a task that asks. */
export interface EvaluationTask {
  readonly name: string;
  /** All that decides its examples, besides length and index; tells its rows apart. */
  readonly settings: RecordFacts;
  /** Whether scores are 0 or 1, or anything between. */
  readonly metric: "proportion" | "mean";
  /** How many examples there are; without end where it is left out. */
  readonly exampleCount?: number;
  /**
   * Makes an example; the same length and index give the same.
   * @throws {@link InvalidRequestError} when there is none of this length.
   */
  makeExample(lengthTokens: number, index: number, signal?: AbortSignal): Promise<Example>;
}
