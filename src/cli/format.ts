/**
 * Numbers for people: counts, bytes, times, tables. Always in English, whatever the locale.
 */

/** Writes a whole number with separators: 12,345. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

/** Writes a number with up to three significant digits: 0.123, 1.23, 12.3, 123. */
function threeDigits(value: number): string {
  const digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return value.toFixed(digits);
}

const byteUnits = ["B", "KB", "MB", "GB", "TB", "PB"];
const countUnits = ["", " thousand", " million", " billion", " trillion"];

function scale(value: number, units: readonly string[], separator: string): string {
  let scaled = Math.abs(value);
  let index = 0;
  // What rounds to 1000 belongs to the next unit.
  while (scaled >= 999.5 && index < units.length - 1) {
    scaled /= 1000;
    index++;
  }
  const text = index === 0 ? String(Math.round(scaled)) : threeDigits(scaled);
  return `${value < 0 ? "-" : ""}${text}${separator}${units[index]}`;
}

/** Writes bytes with a decimal unit: 71.0 MB. */
export function formatBytes(bytes: number): string {
  return scale(bytes, byteUnits, " ");
}

/** Writes a large count in words: 135 million. */
export function formatLargeCount(count: number): string {
  return scale(count, countUnits, "");
}

/** Writes a change in bytes with its sign: +3.10 MB. */
export function formatByteChange(bytes: number): string {
  return bytes < 0 ? formatBytes(bytes) : `+${formatBytes(bytes)}`;
}

/** Writes a time: 850 ms, 12.3 s, 4 min 05 s, 3 h 07 min. */
export function formatSeconds(seconds: number): string {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number): string => String(value).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** Writes a speed; the unit's name depends on where it stands: 14,652 or 8.25. */
export function formatRate(tokensPerSecond: number | undefined): string {
  if (tokensPerSecond === undefined || !Number.isFinite(tokensPerSecond)) return "?";
  return tokensPerSecond >= 999.5 ? formatCount(tokensPerSecond) : threeDigits(tokensPerSecond);
}

/** Lays out a table: the first column to the left, the others to the right. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  const pad = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0);
  return rows.map((row) => `  ${row.map(pad).join("  ").trimEnd()}\n`).join("");
}
