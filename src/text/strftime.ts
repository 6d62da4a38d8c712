/**
 * Formats a date as Python's `strftime` does in the C locale, for chat templates that state today's date.
 *
 * Always English, whatever the locale: models were trained on it. Refuses to know any clock.
 */

const monthNames = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
] as const;
const dayNames = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"] as const;

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

const directives: Readonly<Record<string, (date: Date) => string>> = {
  "%": () => "%",
  A: (date) => dayNames[date.getDay()] ?? "",
  a: (date) => (dayNames[date.getDay()] ?? "").slice(0, 3),
  B: (date) => monthNames[date.getMonth()] ?? "",
  b: (date) => (monthNames[date.getMonth()] ?? "").slice(0, 3),
  d: (date) => pad(date.getDate()),
  H: (date) => pad(date.getHours()),
  I: (date) => pad(date.getHours() % 12 === 0 ? 12 : date.getHours() % 12),
  M: (date) => pad(date.getMinutes()),
  m: (date) => pad(date.getMonth() + 1),
  p: (date) => (date.getHours() < 12 ? "AM" : "PM"),
  S: (date) => pad(date.getSeconds()),
  Y: (date) => String(date.getFullYear()),
  y: (date) => pad(date.getFullYear() % 100),
};

/** Formats a date in local time; a directive that is not known stays as it is. */
export function strftime(date: Date, format: string): string {
  return format.replace(/%(-?)([%A-Za-z])/g, (whole, unpadded: string, letter: string) => {
    const text = Object.hasOwn(directives, letter) ? directives[letter]?.(date) : undefined;
    if (text === undefined) return whole;
    return unpadded === "" ? text : text.replace(/^0(?=\d)/, "");
  });
}
