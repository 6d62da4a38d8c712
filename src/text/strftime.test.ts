import { expect, it } from "vitest";
import { strftime } from "./strftime.ts";

const date = new Date(2024, 6, 4, 0, 5, 9);

it.each([
  ["%d %b %Y", "04 Jul 2024"],
  ["%A, %B %-d, %y", "Thursday, July 4, 24"],
  ["%Y-%m-%d %H:%M:%S", "2024-07-04 00:05:09"],
  ["%I:%M %p %a", "12:05 AM Thu"],
  ["100%% %Q %", "100% %Q %"],
])("formats %s as Python does in the C locale", (format, text) => {
  expect(strftime(date, format)).toBe(text);
});
