/**
 * Greedy streams with their logits, from any engine, and how far two engines' logits are apart.
 */

/** Reads ids after those read before; gives the logits after the last one, `[V]`. */
export type ReadLogits = (ids: readonly number[]) => Promise<Float32Array>;

/** Is a greedy continuation: the ids, and the logits that each was chosen from. */
export interface GreedyStream {
  readonly ids: readonly number[];
  readonly logits: readonly Float32Array[];
}

/** Returns the index of the largest value and by how much it is larger than any other. */
function findBest(logits: Float32Array): { id: number; margin: number } {
  let [id, best, second] = [0, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const [index, value] of logits.entries()) {
    if (value > best) [id, best, second] = [index, value, best];
    else if (value > second) second = value;
  }
  return { id, margin: best - second };
}

/** Continues a prompt greedily; ends early where a choice is closer than `leastMargin`. */
export async function continueGreedily(
  read: ReadLogits,
  prompt: readonly number[],
  count: number,
  leastMargin = 0,
): Promise<GreedyStream> {
  const ids: number[] = [];
  const rows: Float32Array[] = [];
  let logits = await read(prompt);
  for (;;) {
    const { id, margin } = findBest(logits);
    if (margin < leastMargin) break;
    ids.push(id);
    rows.push(logits);
    if (ids.length === count) break;
    logits = await read([id]);
  }
  return { ids, logits: rows };
}

/** Reads a prompt and then given ids; gives the logits that each of them would have been chosen from. */
export async function followIds(
  read: ReadLogits,
  prompt: readonly number[],
  ids: readonly number[],
): Promise<Float32Array[]> {
  const rows = [await read(prompt)];
  for (const id of ids.slice(0, -1)) rows.push(await read([id]));
  return rows;
}

/** Tells how far rows of logits are apart. */
export interface LogitDistance {
  readonly largest: number;
  /** Root of the mean squared difference. */
  readonly rms: number;
}

/** Returns how far rows of logits are apart. @throws when their numbers differ. */
export function measureDistance(
  first: readonly Float32Array[],
  second: readonly Float32Array[],
): LogitDistance {
  let [largest, squares, count] = [0, 0, 0];
  for (const [index, row] of first.entries()) {
    const other = second[index];
    if (other?.length !== row.length) throw new Error(`${row.length} logits against ${other?.length}`);
    for (const [id, value] of row.entries()) {
      const difference = Math.abs(value - (other[id] ?? Number.NaN));
      // Math.max keeps a NaN.
      largest = Math.max(largest, difference);
      squares += difference ** 2;
      count += 1;
    }
  }
  if (second.length !== first.length) throw new Error(`${first.length} rows against ${second.length}`);
  return { largest, rms: Math.sqrt(squares / count) };
}
