import { describe, expect, it } from "vitest";
import { createTestTerminal } from "../../test/support/command-terminal.ts";
import { loadScriptedModel } from "../testing/index.ts";
import { AnswerWriter } from "./answer-writer.ts";

const reply = "one\u001b[31m\ttwo\r\nthree";

async function write(isInteractive: boolean, asJson: boolean): Promise<{ stdout: string; text: string }> {
  await using model = await loadScriptedModel({ replies: [reply] });
  const session = model.createSession();
  const { terminal, stdout } = createTestTerminal({ isInteractive });
  const answer = new AnswerWriter(terminal.stdout, asJson);
  await answer.write(session, session.chat([{ role: "user", content: "Hello" }]));
  expect(answer.finish?.reason).toBe("stop");
  return { stdout: stdout.text, text: answer.text };
}

describe("an answer", () => {
  it("is written as it is, with a line break in the end", async () => {
    expect(await write(false, false)).toEqual({ stdout: `${reply}\n`, text: reply });
  });

  it("cannot command a terminal", async () => {
    expect(await write(true, false)).toEqual({
      stdout: "one\uFFFD[31m\ttwo\uFFFD\nthree\n",
      text: reply,
    });
  });

  it("is an object a token for machines, the end kept back", async () => {
    const { stdout, text } = await write(false, true);
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events.map(({ text: part = "" }) => part).join("")).toBe(text);
    expect(events.some(({ type }) => type === "finish")).toBe(false);
  });
});
