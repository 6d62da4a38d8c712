import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { createTestTerminal, runCommand } from "../../test/support/command-terminal.ts";
import { runCommandLine } from "./command-line.ts";
import { commands } from "./commands.ts";
import { TextOutput } from "./terminal.ts";

describe("the command line", () => {
  it("prints the version, and nothing else", async () => {
    expect(await runCommand(["--version"])).toEqual({
      status: 0,
      stdout: `${manifest.version}\n`,
      stderr: "",
    });
  });

  it.each(["--help", "-h", "help"])("says with %s how it is used, and lists the commands", async (flag) => {
    const { status, stdout, stderr } = await runCommand([flag]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/usage: edgeinfinite/i);
    for (const name of Object.keys(commands)) expect(stdout).toContain(`  ${name} `);
  });

  it("says how it is used when no command is given, as an error", async () => {
    const { status, stdout, stderr } = await runCommand([]);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/usage[\s\S]*error: arguments: a command is missing/i);
  });

  it.each(["frob", "--frob", "constructor"])("refuses %s in one line", async (name) => {
    const { status, stdout, stderr } = await runCommand([name]);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^error: arguments: unknown (command|option), got "[^\n]*\n$/);
  });

  it("prints errors as objects, too, for machines", async () => {
    const { status, stdout, stderr } = await runCommand(["frob", "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ type: "error", code: "invalid-request", exitCode: status });
    expect(stderr).toMatch(/^error: /);
  });

  it("shows stacks only to those who ask", async () => {
    const environment = { EDGEINFINITE_DEBUG: "1" };
    expect((await runCommand(["frob"], { environment })).stderr).toMatch(/\n\s+at /);
    expect((await runCommand(["frob"])).stderr).not.toMatch(/\n\s+at /);
  });
});

describe("output that cannot be written", () => {
  async function runWithFailingOutput(code: string): Promise<{ status: number; stderr: string }> {
    const { terminal, stderr } = createTestTerminal();
    const failing = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error("failed"), { code })),
    });
    const status = await runCommandLine(["--version"], {
      ...terminal,
      stdout: new TextOutput(failing, false),
    });
    return { status, stderr: stderr.text };
  }

  it("is no error when the reader has gone", async () => {
    expect(await runWithFailingOutput("EPIPE")).toEqual({ status: 0, stderr: "" });
  });

  it("is one when the disk is full", async () => {
    const { status, stderr } = await runWithFailingOutput("ENOSPC");
    expect(status).toBe(5);
    expect(stderr).toMatch(/^error: stdout: the output cannot be written/);
  });
});
