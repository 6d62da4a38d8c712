/**
 * A scripted model: loads at once, answers what it is told to. For tests of servers, commands and agents.
 */

import { type LoadOptions, loadModelOn } from "../engine/load-model.ts";
import type { Model } from "../engine/model.ts";
import { InvalidRequestError } from "../errors.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { loadTokenizer } from "../text/load-tokenizer.ts";
import { createScriptedRuntime, type Script, type ScriptedPrompt } from "./scripted-runtime.ts";
import { createTinyModelFolder } from "./tiny-model.ts";

/** Says what a scripted model answers, how slowly, and when it fails. */
export interface ScriptedModelOptions
  extends Pick<LoadOptions, "context" | "policy" | "onNotice" | "signal">,
    Pick<Script, "delayMs" | "failAfterTokens" | "failWith"> {
  /**
   * The replies in the order of prompts, over all sessions, again from the first after the last; or a function
   * of the stream's text, as far as its window holds it, special tokens included. Each ends with end-of-text.
   */
  readonly replies: readonly string[] | ((promptText: string) => string);
  /** Its configuration and tokenizer; the tiny model by default. Its weights do not matter. */
  readonly model?: ModelFolder;
  readonly adapter?: ModelFolder;
}

/**
 * Loads a scripted model.
 * @throws {@link InvalidRequestError} when there is no reply or no tokenizer.
 * @example
 * const model = await loadScriptedModel({ replies: ["Hello.", "Goodbye."] });
 */
export async function loadScriptedModel(options: ScriptedModelOptions): Promise<Model> {
  const { replies, model = createTinyModelFolder(), delayMs, failAfterTokens, failWith, ...load } = options;
  const tokenizer = await loadTokenizer(model);
  const endTokenId = tokenizer?.eosTokenId;
  if (tokenizer === undefined || endTokenId === undefined) {
    throw new InvalidRequestError({
      where: "loadScriptedModel",
      what: "the model has no tokenizer with an end-of-text token",
    });
  }
  if (typeof replies !== "function" && replies.length === 0) {
    throw new InvalidRequestError({ where: "loadScriptedModel", what: "there is no reply" });
  }
  const textOf = ({ tokenIds, turnIndex }: ScriptedPrompt): string =>
    typeof replies === "function"
      ? replies(tokenizer.decode(tokenIds))
      : (replies[turnIndex % replies.length] ?? "");
  const runtime = createScriptedRuntime({
    reply: (prompt) => tokenizer.encode(textOf(prompt), { addSpecialTokens: false, continuation: true }),
    endTokenId,
    ...(delayMs !== undefined && { delayMs }),
    ...(failAfterTokens !== undefined && { failAfterTokens }),
    ...(failWith !== undefined && { failWith }),
  });
  const platform = {
    openFolder: () =>
      Promise.reject(
        new InvalidRequestError({
          where: "loadScriptedModel",
          what: "folders are given opened, not by name",
        }),
      ),
    createRuntime: async () => runtime,
  };
  return loadModelOn(platform, model, load);
}
