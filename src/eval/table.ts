/**
 * Tables as text, whatever they are shown in.
 */

/** Is a table: its first row holds the headings. */
export type Table = readonly (readonly string[])[];

/** Stands in a cell for what does not apply, or was not measured. */
export const notApplicable = "n/a";

/** Leaves out the columns in which no row has anything. @param fixedCount - first columns that stay in any case. */
export function dropEmptyColumns([head = [], ...rows]: Table, fixedCount: number): Table {
  const isFilled = (text = ""): boolean => text !== "" && text !== notApplicable;
  const isKept = head.map((_, column) => column < fixedCount || rows.some((row) => isFilled(row[column])));
  return [head, ...rows].map((row) => row.filter((_, column) => isKept[column]));
}
