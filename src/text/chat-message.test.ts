import { describe, expect, it } from "vitest";
import { InvalidRequestError, UnsupportedError } from "../errors.ts";
import { parseChatMessages } from "./chat-message.ts";

const user = { role: "user", content: "Hi" };

describe("parseChatMessages", () => {
  it("joins text parts and keeps further fields", () => {
    const content = [
      { type: "text", text: "one " },
      { type: "text", text: "two" },
    ];
    expect(parseChatMessages([{ role: "user", content, name: "Ann" }])).toEqual([
      { role: "user", content: "one two", name: "Ann" },
    ]);
  });

  it("allows no content only beside tool calls", () => {
    const calls = { role: "assistant", content: null, tool_calls: [{ id: "1" }] };
    expect(parseChatMessages([user, calls])[1]).toEqual(calls);
    expect(() => parseChatMessages([{ role: "user", content: null }])).toThrow(InvalidRequestError);
  });

  it.each([
    ["messages", undefined],
    ["messages", []],
    ["messages", user],
    ["messages[1]", [user, "Hi"]],
    ["messages[0].role", [{ content: "Hi" }]],
    ["messages[0].role", [{ role: "", content: "Hi" }]],
    ["messages[1].content", [user, { role: "user" }]],
    ["messages[0].content", [{ role: "user", content: 5 }]],
    ["messages[0].content[1]", [{ role: "user", content: [{ type: "text", text: "" }, "Hi"] }]],
    ["messages[0].content[0].text", [{ role: "user", content: [{ type: "text" }] }]],
    ["messages[0].name", [{ ...user, name: 5 }]],
  ])("names %s when it is wrong", (where, messages) => {
    expect(() => parseChatMessages(messages)).toThrow(InvalidRequestError);
    expect(() => parseChatMessages(messages)).toThrow(`${where}: `);
  });

  it("refuses content other than text by its name", () => {
    const messages = [{ role: "user", content: [{ type: "image_url", image_url: { url: "" } }] }];
    expect(() => parseChatMessages(messages)).toThrow(UnsupportedError);
    expect(() => parseChatMessages(messages)).toThrow('got "image_url"');
  });
});
