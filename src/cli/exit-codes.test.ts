import { describe, expect, it } from "vitest";
import {
  DisposedError,
  type EdgeInfiniteError,
  FileError,
  InternalError,
  InvalidModelError,
  InvalidRequestError,
  OutOfMemoryError,
  RuntimeMissingError,
  ShapeError,
  UnsupportedError,
} from "../errors.ts";
import { exitCodeOf } from "./exit-codes.ts";

const facts = { where: "here", what: "failed" };

describe("exit codes", () => {
  it.each<[number, EdgeInfiniteError]>([
    [1, new InternalError(facts)],
    [1, new ShapeError(facts)],
    [1, new DisposedError(facts)],
    [2, new InvalidRequestError(facts)],
    [3, new InvalidModelError(facts)],
    [4, new UnsupportedError(facts)],
    [5, new FileError(facts)],
    [6, new OutOfMemoryError(facts)],
    [7, new RuntimeMissingError(facts)],
  ])("%d is that of %s", (exitCode, error) => {
    expect(exitCodeOf(error)).toBe(exitCode);
  });

  it("1 is that of anything else", () => {
    expect(exitCodeOf(new TypeError("x"))).toBe(1);
    expect(exitCodeOf(undefined)).toBe(1);
  });
});
