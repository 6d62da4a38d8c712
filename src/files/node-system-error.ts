/**
 * Turns the errors of the operating system into errors that say what to do.
 */

import { FileError } from "../errors.ts";

const reasons: Readonly<Record<string, { readonly got: string; readonly remedy: string }>> = {
  ENOENT: { got: "nothing there", remedy: "Check the path." },
  ENOTDIR: { got: "a file where a folder should be", remedy: "Check the path." },
  EISDIR: { got: "a folder", remedy: "Give the path of a file in it." },
  EACCES: { got: "no permission", remedy: "Change the permissions, or run as the owner." },
  EPERM: { got: "no permission", remedy: "Change the permissions, or run as the owner." },
  ENOSPC: { got: "a full disk", remedy: "Free some space or choose another disk, then try again." },
  EDQUOT: { got: "a used-up disk quota", remedy: "Free some space or choose another disk, then try again." },
  EROFS: { got: "a read-only disk", remedy: "Choose another folder." },
  EMFILE: { got: "too many open files", remedy: "Close some, or raise the limit (ulimit -n)." },
  ENAMETOOLONG: { got: "too long a name", remedy: "Choose a shorter path." },
};

/** Returns the code of an operating-system error (`ENOENT`, ...), or undefined. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/**
 * Wraps an operating-system error as a {@link FileError}.
 * @param where - the file or folder.
 * @param what - what could not be done, as a clause: "the file cannot be opened".
 */
export function systemFileError(where: string, what: string, error: unknown): FileError {
  const code = systemErrorCode(error);
  const reason = code === undefined ? undefined : reasons[code];
  const got = reason?.got ?? (error instanceof Error ? error.message : String(error));
  return new FileError({
    where,
    what,
    got: code === undefined ? got : `${got} (${code})`,
    ...(reason === undefined ? {} : { remedy: reason.remedy }),
    cause: error,
  });
}
