/**
 * The tokenizer of a model that is trained: one that is given, the run's own from before, or a new one.
 */

import { createHash } from "node:crypto";
import { InvalidModelError } from "../errors.ts";
import { GgufFields } from "../files/gguf-fields.ts";
import { openGgufFile } from "../files/gguf-parts.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { diskModelFolder } from "../files/node-model-folder.ts";
import { trainByteLevelBpe } from "../text/bpe-trainer.ts";
import { readGgufTokenizerFiles } from "../text/gguf-tokenizer.ts";
import { loadTokenizer } from "../text/load-tokenizer.ts";
import { createTokenizer, type Tokenizer } from "../text/tokenizer.ts";
import type { DigitsPerToken } from "../text/word-pattern.ts";
import type { TrainingRecords } from "../train/data/training-records.ts";
import { type ModelTokenizer, makeTokenizerFiles } from "../train/model-files.ts";
import { writeOutputFiles } from "../train/node-output-folder.ts";
import { formatCount } from "./format.ts";
import { nameModel } from "./model-weights.ts";
import { fitParts, formatBar, StatusLine } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { readTexts } from "./training-data.ts";

/** Is a tokenizer that runs, with its files. */
export interface BaseTokenizer {
  readonly tokenizer: Tokenizer;
  readonly files: ModelTokenizer;
  /** SHA-256 of what it makes of a text, in hex. */
  readonly identity: string;
}

/** Says where a tokenizer may come from. */
export interface TokenizerRequest {
  /** What {@link findTokenizer} has found. */
  readonly found: ModelTokenizer | undefined;
  /** The folder of the outcome, which has the tokenizer of a run that goes on. */
  readonly out: string;
  /** Tokens of a new one, at most. */
  readonly vocabularySize: number;
  /** Most digits of a token of a new one; undefined for the default. */
  readonly digitsPerToken: DigitsPerToken | undefined;
  readonly records: TrainingRecords;
}

function toObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

async function readObject(folder: ModelFolder, file: string): Promise<Readonly<Record<string, unknown>>> {
  return (await folder.has(file)) ? toObject(await folder.readJson(file)) : {};
}

/** Reads what the files of a GGUF file's tokenizer would hold. */
async function readGgufFiles(folder: ModelFolder, file: string) {
  const opened = await openGgufFile(folder, file);
  try {
    return readGgufTokenizerFiles(new GgufFields(nameModel(folder), opened.metadata));
  } finally {
    await opened.close();
  }
}

/** Reads a tokenizer out of a GGUF file; undefined where there is none. */
async function readGgufTokenizer(folder: ModelFolder, file: string): Promise<ModelTokenizer | undefined> {
  const found = await readGgufFiles(folder, file);
  if (found === undefined) return undefined;
  const { vocabSize, bosTokenId, eosTokenId } = createTokenizer({ ...found, folderName: nameModel(folder) });
  return {
    ...{ vocabularySize: vocabSize, bosTokenId, eosTokenId },
    tokenizerJson: toObject(found.tokenizerJson),
    // What transformers has to know besides, and no GGUF file tells.
    tokenizerConfig: {
      tokenizer_class: "PreTrainedTokenizerFast",
      clean_up_tokenization_spaces: false,
      ...toObject(found.tokenizerConfig),
    },
  };
}

/** Reads the tokenizer of a folder, or of the GGUF file that is meant; undefined where there is none. */
async function readTokenizer(folder: ModelFolder): Promise<ModelTokenizer | undefined> {
  if (folder.file !== undefined) return readGgufTokenizer(folder, folder.file);
  const tokenizer = await loadTokenizer(folder);
  if (tokenizer === undefined) return undefined;
  const { chatTemplate, vocabSize, bosTokenId, eosTokenId } = tokenizer;
  const own = {
    ...(await readObject(folder, "special_tokens_map.json")),
    ...(await readObject(folder, "tokenizer_config.json")),
  };
  return {
    vocabularySize: vocabSize,
    bosTokenId,
    eosTokenId,
    tokenizerJson: toObject(await folder.readJson("tokenizer.json")),
    tokenizerConfig: { ...own, ...(chatTemplate !== undefined && { chat_template: chatTemplate }) },
  };
}

async function trainTokenizer(
  { vocabularySize, digitsPerToken, records }: TokenizerRequest,
  terminal: Terminal,
  signal: AbortSignal,
  isQuiet: boolean,
): Promise<ModelTokenizer> {
  const status = new StatusLine(terminal.stderr, !isQuiet);
  status.show((columns) => fitParts(["reading the data for a tokenizer"], columns));
  try {
    return await trainByteLevelBpe(readTexts(records, signal), {
      vocabularySize,
      ...(digitsPerToken !== undefined && { digitsPerToken }),
      signal,
      onProgress: ({ tokens, ofTokens }) =>
        status.show((columns) =>
          fitParts([formatBar(tokens / ofTokens), `tokenizer: ${formatCount(tokens)} tokens`], columns),
        ),
    });
  } finally {
    await status.clear();
  }
}

/**
 * Finds a tokenizer that is there already, before the outcome has a folder.
 * @param given a folder, or a GGUF file in it, that was asked for.
 * @param beside the folder of the model's configuration, where none was asked for.
 * @throws {@link InvalidModelError} when what was asked for has none.
 */
export async function findTokenizer(
  given: ModelFolder | undefined,
  beside: string,
): Promise<ModelTokenizer | undefined> {
  const found = await readTokenizer(given ?? diskModelFolder(beside));
  if (found === undefined && given !== undefined) {
    const what = "there is no tokenizer in it";
    throw new InvalidModelError({ where: nameModel(given), what, expected: "tokenizer.json" });
  }
  return found;
}

/**
 * Takes the tokenizer that was found, the run's own from before, or trains one. It is written into the folder of the
 * outcome at once, so that a run that goes on has the same.
 * @throws as {@link trainByteLevelBpe} does.
 */
export async function prepareTokenizer(
  request: TokenizerRequest,
  terminal: Terminal,
  signal: AbortSignal,
  isQuiet: boolean,
): Promise<BaseTokenizer> {
  const { found, out } = request;
  let files = found ?? (await readTokenizer(diskModelFolder(out)));
  files ??= await trainTokenizer(request, terminal, signal, isQuiet);
  await writeOutputFiles(out, makeTokenizerFiles(files));
  const { tokenizerJson, tokenizerConfig } = files;
  const tokenizer = createTokenizer({ tokenizerJson, tokenizerConfig, folderName: out });
  const { specialTokens, chatTemplate } = tokenizer;
  const content = JSON.stringify([tokenizerJson, specialTokens, chatTemplate]);
  return { tokenizer, files, identity: createHash("sha256").update(content).digest("hex") };
}
