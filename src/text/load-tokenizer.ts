/**
 * Loads the tokenizer of a model's folder.
 *
 * Reads `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json` and the chat template, which
 * newer repositories keep in a file of its own. Refuses to know where the folder lies: disk, hub or memory.
 */

import { InvalidModelError } from "../errors.ts";
import { createTokenizer, type Tokenizer, type TokenizerParts } from "./tokenizer.ts";

/** Gives the text files of a model's folder. */
export interface TextFolder {
  /** Names the folder in messages. */
  readonly name: string;
  has(file: string): Promise<boolean>;
  readText(file: string): Promise<string>;
}

async function readTextIfThere(folder: TextFolder, file: string): Promise<string | undefined> {
  return (await folder.has(file)) ? folder.readText(file) : undefined;
}

async function readJsonIfThere(folder: TextFolder, file: string): Promise<unknown> {
  const text = await readTextIfThere(folder, file);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidModelError({
      where: `${folder.name}/${file}`,
      what: "the file is not JSON",
      got: text.slice(0, 80),
      expected: "a JSON object",
      remedy: "Fetch it again: a page or a Git LFS pointer may have been saved in its place.",
      cause,
    });
  }
}

async function readChatTemplate(folder: TextFolder): Promise<string | undefined> {
  const source = await readTextIfThere(folder, "chat_template.jinja");
  if (source !== undefined) return source;
  const json = await readJsonIfThere(folder, "chat_template.json");
  const named = typeof json === "object" && json !== null && "chat_template" in json ? json : undefined;
  return typeof named?.chat_template === "string" ? named.chat_template : undefined;
}

async function readConfig(folder: TextFolder): Promise<unknown> {
  const config = await readJsonIfThere(folder, "tokenizer_config.json");
  const map = await readJsonIfThere(folder, "special_tokens_map.json");
  const isPlain = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
  // What the configuration says itself takes precedence over the map.
  if (isPlain(map) && (config === undefined || isPlain(config))) return Object.assign({}, map, config);
  return config;
}

/**
 * Reads the parts of a folder's tokenizer; undefined when it has no `tokenizer.json`.
 * @throws {@link InvalidModelError} when a file is not JSON; {@link FileError} when it cannot be read.
 */
export async function readTokenizerParts(folder: TextFolder): Promise<TokenizerParts | undefined> {
  const tokenizerJson = await readJsonIfThere(folder, "tokenizer.json");
  if (tokenizerJson === undefined) return undefined;
  const chatTemplate = await readChatTemplate(folder);
  return {
    tokenizerJson,
    tokenizerConfig: await readConfig(folder),
    folderName: folder.name,
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  };
}

/**
 * Loads a folder's tokenizer; undefined when it has no `tokenizer.json`, so that token ids still work.
 * @throws {@link InvalidModelError} when a file is damaged, naming it and the field.
 * @throws {@link UnsupportedError} when the tokenizer has a component that is not known.
 * @throws {@link FileError} when a file cannot be read.
 */
export async function loadTokenizer(folder: TextFolder): Promise<Tokenizer | undefined> {
  const parts = await readTokenizerParts(folder);
  return parts === undefined ? undefined : createTokenizer(parts);
}
