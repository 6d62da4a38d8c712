import { describe, expect, it } from "vitest";
import { InvalidModelError } from "../errors.ts";
import { loadTokenizer } from "./load-tokenizer.ts";
import { tinySentencePieceJson } from "./tiny-tokenizers.ts";

function folderOf(files: Readonly<Record<string, unknown>>) {
  return {
    name: "some/model",
    has: async (file: string) => file in files,
    readText: async (file: string) => {
      const content = files[file];
      return typeof content === "string" ? content : JSON.stringify(content);
    },
  };
}

const tokenizer = { "tokenizer.json": tinySentencePieceJson() };

describe("loadTokenizer", () => {
  it("gives no tokenizer for a folder without tokenizer.json", async () => {
    expect(await loadTokenizer(folderOf({ "tokenizer_config.json": {} }))).toBeUndefined();
  });

  it("needs only tokenizer.json", async () => {
    const loaded = await loadTokenizer(folderOf(tokenizer));
    expect(loaded?.encode("the")).toHaveLength(2);
    expect(loaded?.eosTokenId).toBeUndefined();
  });

  it("reads special tokens from the configuration, then from the map", async () => {
    const files = {
      ...tokenizer,
      "tokenizer_config.json": { eos_token: "</s>" },
      "special_tokens_map.json": { eos_token: "<unk>", bos_token: { content: "<s>" } },
    };
    const loaded = await loadTokenizer(folderOf(files));
    expect([loaded?.bosTokenId, loaded?.eosTokenId]).toEqual([1, 2]);
  });

  it("prefers the chat template in a file of its own", async () => {
    const config = { ...tokenizer, "tokenizer_config.json": { chat_template: "config" } };
    const json = { ...config, "chat_template.json": { chat_template: "json" } };
    const jinja = { ...json, "chat_template.jinja": "jinja" };
    expect((await loadTokenizer(folderOf(config)))?.chatTemplate).toBe("config");
    expect((await loadTokenizer(folderOf(json)))?.chatTemplate).toBe("json");
    expect((await loadTokenizer(folderOf(jinja)))?.chatTemplate).toBe("jinja");
  });

  it.each(["tokenizer.json", "tokenizer_config.json"])("names %s when it is not JSON", async (file) => {
    const broken = folderOf({ ...tokenizer, [file]: "version https://git-lfs.github.com/spec/v1" });
    await expect(loadTokenizer(broken)).rejects.toThrow(InvalidModelError);
    await expect(loadTokenizer(broken)).rejects.toThrow(`some/model/${file}: the file is not JSON`);
  });

  it("names the file and field that is not valid", async () => {
    const broken = folderOf({ ...tokenizer, "tokenizer_config.json": { chat_template: 5 } });
    await expect(loadTokenizer(broken)).rejects.toThrow(
      /some\/model\/tokenizer_config\.json: field chat_template/,
    );
  });
});
