/**
 * Errors, by what the caller can do about them.
 *
 * Every error of this library is an {@link EdgeInfiniteError} with a stable `code`. Its message reads
 * `where: what, got X, expected Y. Remedy.` The brand is a property, so that `isEdgeInfiniteError`
 * also holds across two copies of the package. Exit codes and HTTP statuses are mapped elsewhere.
 */

const brand = "__edgeinfiniteError";

/** Names every class of error; each value is stable across versions. */
export type ErrorCode =
  | "invalid-model"
  | "invalid-request"
  | "unsupported"
  | "runtime-missing"
  | "out-of-memory"
  | "file"
  | "disposed"
  | "shape"
  | "internal";

/** Describes one failure: the parts that its message is made of. */
export interface ErrorFacts {
  /** The place: a file, a function, a tensor, a configuration field. */
  readonly where: string;
  /** What went wrong, as a clause without a final full stop. */
  readonly what: string;
  /** The offending value. */
  readonly got?: unknown;
  /** What would have been right. */
  readonly expected?: string;
  /** What the caller can do, as a full sentence. */
  readonly remedy?: string;
  /** The error underneath. */
  readonly cause?: unknown;
}

function formatValue(value: unknown): string {
  if (typeof value === "string")
    return JSON.stringify(value.length > 200 ? `${value.slice(0, 200)}…` : value);
  if (Array.isArray(value)) {
    return `[${value.slice(0, 16).map(formatValue).join(", ")}${value.length > 16 ? ", …" : ""}]`;
  }
  return String(value);
}

function formatMessage(facts: ErrorFacts): string {
  const got = "got" in facts ? `, got ${formatValue(facts.got)}` : "";
  const expected = facts.expected === undefined ? "" : `, expected ${facts.expected}`;
  const remedy = facts.remedy === undefined ? "" : ` ${facts.remedy}`;
  return `${facts.where}: ${facts.what}${got}${expected}.${remedy}`;
}

/** Is the base of every error that this library throws, aborts excepted (those are the signal's reason). */
export abstract class EdgeInfiniteError extends Error {
  /** Marks errors of this library across copies of the package. */
  readonly __edgeinfiniteError = true;
  abstract readonly code: ErrorCode;
  readonly where: string;
  readonly got: unknown;
  readonly expected: string | undefined;
  readonly remedy: string | undefined;

  constructor(facts: ErrorFacts) {
    super(formatMessage(facts), facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = new.target.name;
    this.where = facts.where;
    this.got = facts.got;
    this.expected = facts.expected;
    this.remedy = facts.remedy;
  }
}

/** Reports a checkpoint, adapter or tokenizer that is damaged or does not fit: use another one. */
export class InvalidModelError extends EdgeInfiniteError {
  readonly code = "invalid-model";
}

/** Reports an argument out of range or of the wrong kind: change the call. */
export class InvalidRequestError extends EdgeInfiniteError {
  readonly code = "invalid-request";
}

/** Reports something valid that this version does not do: the message names it. */
export class UnsupportedError extends EdgeInfiniteError {
  readonly code = "unsupported";
}

/** Reports a runtime or device that cannot be started here: install it or choose another. */
export class RuntimeMissingError extends EdgeInfiniteError {
  readonly code = "runtime-missing";
}

/** Reports memory that could not be had: choose smaller settings. */
export class OutOfMemoryError extends EdgeInfiniteError {
  readonly code = "out-of-memory";
}

/** Reports a file or download that could not be read or written. */
export class FileError extends EdgeInfiniteError {
  readonly code = "file";
}

/** Reports the use of a model or session after its end. */
export class DisposedError extends EdgeInfiniteError {
  readonly code = "disposed";
}

/** Reports tensors whose shapes or dtypes do not go together. */
export class ShapeError extends EdgeInfiniteError {
  readonly code = "shape";
}

/** Reports a broken invariant of this library: a defect to report. */
export class InternalError extends EdgeInfiniteError {
  readonly code = "internal";
}

/** Tells whether a value is an error of this library, also one of another copy of the package. */
export function isEdgeInfiniteError(value: unknown): value is EdgeInfiniteError {
  return value instanceof Error && (value as { [brand]?: unknown })[brand] === true;
}
