/**
 * Where a record of training data lies in its file.
 */

/** Says where a record lies. */
export interface RecordPlace {
  /** In bytes. */
  readonly offset: number;
  readonly lengthBytes: number;
  /** Counted from 1: the line of a JSONL file, or the passage of a text. */
  readonly number: number;
  /** Whether nothing of the file follows. */
  readonly isLast: boolean;
}

/** Is a record that was found, with its bytes. */
export interface FoundRecord {
  readonly place: RecordPlace;
  /** Valid until the next record is asked for. */
  readonly bytes: Uint8Array;
}

/** Returns where a file's content begins: behind a byte order mark, if it has one. */
export function contentStart(head: Uint8Array): number {
  return head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf ? 3 : 0;
}
