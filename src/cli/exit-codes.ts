/**
 * What the process's exit status says, by class of error.
 */

import { type ErrorCode, isEdgeInfiniteError } from "../errors.ts";

const byErrorCode: { readonly [Code in ErrorCode]: number } = {
  "invalid-request": 2,
  "invalid-model": 3,
  unsupported: 4,
  file: 5,
  "out-of-memory": 6,
  "runtime-missing": 7,
  disposed: 1,
  shape: 1,
  internal: 1,
};

/** Holds the statuses that no error has. 130 is what shells give for Ctrl-C: 128 + SIGINT. */
export const exitCodes: { readonly ok: 0; readonly internal: 1; readonly interrupted: 130 } = {
  ok: 0,
  internal: 1,
  interrupted: 130,
};

/** Returns the exit status for an error. */
export function exitCodeOf(error: unknown): number {
  return isEdgeInfiniteError(error) ? byErrorCode[error.code] : exitCodes.internal;
}
