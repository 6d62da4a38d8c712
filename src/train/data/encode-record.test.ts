import { describe, expect, it } from "vitest";
import { tinyByteLevelJson } from "../../text/tiny-tokenizers.ts";
import { createTokenizer } from "../../text/tokenizer.ts";
import { encodeRecord } from "./encode-record.ts";
import type { TrainingRecord } from "./training-record.ts";

const template =
  "{% for message in messages %}{{ '<|begin|>' + message['role'] + '\n' + message['content'] + '<|end|>\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|begin|>assistant\n' }}{% endif %}";

function makeTokenizer(chatTemplate = template) {
  const tokenizerConfig = { bos_token: "<|begin|>", eos_token: "<|end|>", chat_template: chatTemplate };
  return createTokenizer({ tokenizerJson: tinyByteLevelJson(), tokenizerConfig });
}

const tokenizer = makeTokenizer();

/** The texts of the tokens that are learned, and of all. */
async function encode(record: TrainingRecord): Promise<{ all: string; learned: string }> {
  const { tokens, weights } = await encodeRecord("here", record, tokenizer);
  expect(weights.length).toBe(tokens.length);
  return {
    all: tokenizer.decode(tokens),
    learned: tokenizer.decode(tokens.filter((_, index) => weights[index] === 1)),
  };
}

describe("encodeRecord", () => {
  it("learns a text and its end", async () => {
    const text = "the abc";
    expect(await encode({ kind: "text", text, isComplete: true })).toEqual({
      all: "the abc<|end|>",
      learned: "the abc<|end|>",
    });
  });

  it("does not learn the end of a text that was cut", async () => {
    expect(await encode({ kind: "text", text: "the abc", isComplete: false })).toEqual({
      all: "the abc<|end|>",
      learned: "the abc",
    });
  });

  it("learns a completion and its end, not the prompt", async () => {
    expect(await encode({ kind: "completion", prompt: "2+2=", completion: "4" })).toEqual({
      all: "2+2=4<|end|>",
      learned: "4<|end|>",
    });
  });

  it("cuts tokens between a prompt and its completion, as generation does", async () => {
    const { tokens } = await encodeRecord(
      "here",
      { kind: "completion", prompt: "t", completion: "he" },
      tokenizer,
    );
    const ids = ["t", "he", "<|end|>"].map((token) => tokenizer.tokenToId(token));
    expect(tokens).toEqual(ids);
  });

  it("learns what the assistant says, with the template's end of it, in every turn", async () => {
    const messages = [
      { role: "system", content: "Be kind." },
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Hello" },
      { role: "user", content: "Bye" },
      { role: "assistant", content: "Farewell" },
      { role: "user", content: "?" },
    ];
    expect(await encode({ kind: "chat", messages })).toEqual({
      all:
        "<|begin|>system\nBe kind.<|end|>\n<|begin|>user\nHi<|end|>\n<|begin|>assistant\nHello<|end|>\n" +
        "<|begin|>user\nBye<|end|>\n<|begin|>assistant\nFarewell<|end|>\n<|begin|>user\n?<|end|>\n",
      learned: "Hello<|end|>\nFarewell<|end|>\n",
    });
  });

  it("learns a conversation that the assistant begins", async () => {
    const messages = [
      { role: "assistant", content: "Hello" },
      { role: "user", content: "Hi" },
    ];
    const learned = "<|begin|>assistant\nHello<|end|>\n";
    expect(await encode({ kind: "chat", messages })).toEqual({
      learned,
      all: `${learned}<|begin|>user\nHi<|end|>\n`,
    });
  });

  it("says which record the template refuses", async () => {
    const strict = makeTokenizer("{{ raise_exception('no system role') }}");
    const record: TrainingRecord = { kind: "chat", messages: [{ role: "system", content: "x" }] };
    await expect(encodeRecord("a.jsonl, line 7", record, strict)).rejects.toThrow(
      /^a\.jsonl, line 7: this is no conversation \(.*no system role/,
    );
  });

  it("refuses a template that changes earlier messages, naming the record", async () => {
    const forgetful = makeTokenizer("{{ messages[-1]['content'] }}");
    const messages = [
      { role: "assistant", content: "One" },
      { role: "assistant", content: "Two" },
    ];
    await expect(encodeRecord("a.jsonl, line 7", { kind: "chat", messages }, forgetful)).rejects.toThrow(
      /a\.jsonl, line 7: the chat template rewrites earlier messages/,
    );
  });
});
