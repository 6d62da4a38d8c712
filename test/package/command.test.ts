import { describe, expect, it } from "vitest";
import { commandFile, runNode, version } from "./manifest.ts";

describe("the edgeinfinite command", () => {
  it("prints the package's version", () => {
    expect(runNode([commandFile, "--version"])).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
  });

  it("prints how it is used, naming itself", () => {
    const { status, stdout, stderr } = runNode([commandFile, "--help"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/usage/i);
    expect(stdout).toContain("edgeinfinite");
  });
});
