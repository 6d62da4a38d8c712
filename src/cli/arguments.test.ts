import { describe, expect, it } from "vitest";
import { InvalidRequestError } from "../errors.ts";
import { formatOptions, parseArguments, parseChoice, parseNumber } from "./arguments.ts";

const options = {
  file: { type: "string", multiple: true, value: "FILE", help: "reads a file" },
  seed: { type: "string", value: "N", help: "a seed" },
  json: { type: "boolean", help: "prints JSON" },
} as const;

describe("arguments", () => {
  it("are sorted into options and the rest, also with = and after --", () => {
    const argv = ["a", "--file", "x", "--json", "--file=y", "-", "--", "--seed"];
    const { values, positionals } = parseArguments("run", options, argv);
    expect({ ...values }).toEqual({ file: ["x", "y"], json: true });
    expect(positionals).toEqual(["a", "-", "--seed"]);
  });

  it.each([
    [["--bogus"], /unknown option '--bogus'\. See edgeinfinite run --help/],
    [["--seed"], /'--seed <value>' argument missing/],
    [["--seed", "--json"], /'--seed' argument is ambiguous/],
    [["--json=yes"], /'--json' does not take an argument/],
  ])("%j are refused in one line", (argv, message) => {
    const parse = (): unknown => parseArguments("run", options, argv);
    expect(parse).toThrow(InvalidRequestError);
    expect(parse).toThrow(message);
    expect(parse).not.toThrow(/\n/);
  });

  it("hold numbers that are numbers", () => {
    expect(["0.5", "-3", "1e6", "Infinity"].map((text) => parseNumber("x", text))).toEqual([
      0.5,
      -3,
      1e6,
      Number.POSITIVE_INFINITY,
    ]);
    for (const text of ["", " ", "ten", "1,000", "NaN"])
      expect(() => parseNumber("top-k", text)).toThrow(/--top-k: not a number/);
  });

  it("hold words of a list", () => {
    expect(parseChoice("policy", "full", ["auto", "full"])).toBe("full");
    expect(() => parseChoice("policy", "Full", ["auto", "full"])).toThrow(/expected auto, full/);
  });

  it("are explained in two columns", () => {
    expect(formatOptions(options)).toBe(
      "  --file FILE  reads a file\n  --seed N     a seed\n  --json       prints JSON\n",
    );
  });
});
