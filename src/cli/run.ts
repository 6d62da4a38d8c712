/**
 * `edgeinfinite run`: reads files, stdin and a prompt, and writes a continuation.
 */

import type { GenerateOptions } from "../engine/generate.ts";
import type { Session } from "../engine/session.ts";
import type { ChatMessage } from "../text/chat-message.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { type OptionValues, parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { type InputText, openInputText } from "./input-text.ts";
import {
  generateOptions,
  memoryOptions,
  modelOptions,
  outputOptions,
  toGenerateOptions,
  toLoadOptions,
} from "./model-options.ts";
import { openModel, requireChatTemplate } from "./open-model.ts";
import { readInput } from "./read-input.ts";
import { ReadingMeter } from "./reading-meter.ts";
import { assertCanSave, loadSession, saveSession } from "./session-files.ts";
import { formatSummary } from "./summary.ts";
import type { Terminal } from "./terminal.ts";

const options = {
  ...modelOptions,
  ...memoryOptions,
  file: {
    type: "string",
    multiple: true,
    value: "FILE",
    help: "reads a text file; may be repeated; - is stdin",
  },
  ...generateOptions,
  chat: { type: "boolean", help: "puts the prompt as a message, through the model's chat template" },
  load: { type: "string", value: "FILE", help: "goes on from a saved session" },
  save: { type: "string", value: "FILE", help: "saves the session in the end" },
  "no-generate": { type: "boolean", help: "only reads, as to save the session" },
  ...outputOptions,
} as const;

type RunValues = OptionValues<typeof options>;

/** Chooses what is read: stdin also unasked, when the shell has put something there and nothing else is given. */
function chooseInput(
  { file: files = [], load, chat }: RunValues,
  positionals: readonly string[],
  terminal: Terminal,
): { files: readonly string[]; prompt: string } {
  const dashes = positionals.filter((text) => text === "-");
  const prompt = positionals.filter((text) => text !== "-").join(" ");
  const isAsked = dashes.length > 0 || files.includes("-");
  if (dashes.length + files.filter((file) => file === "-").length > 1)
    throw usageError("stdin can be read once only", { got: "- twice", command: "run" });
  const isBare = files.length === 0 && prompt === "" && load === undefined && !terminal.isInputInteractive;
  const isPiped = files.length === 0 && terminal.isInputPiped && !isAsked && load === undefined;
  const all = dashes.length > 0 || (!isAsked && (isBare || isPiped)) ? [...files, "-"] : files;
  if (all.length === 0 && prompt === "" && load === undefined)
    throw usageError("there is nothing to read", { expected: "a prompt, --file or stdin", command: "run" });
  if (chat && prompt === "") throw usageError("--chat needs a prompt", { command: "run" });
  return { files: all, prompt };
}

/** Is one run under way. */
class Run {
  readonly #context: CommandContext;
  readonly #values: RunValues;
  readonly #input: InputText;
  readonly #meter = new ReadingMeter();
  readonly #answer: AnswerWriter;
  readonly session: Session;
  #messages: readonly ChatMessage[];

  constructor(
    context: CommandContext,
    values: RunValues,
    input: InputText,
    start: { readonly session: Session; readonly messages: readonly ChatMessage[] },
  ) {
    this.#context = context;
    this.#values = values;
    this.#input = input;
    this.session = start.session;
    this.#messages = start.messages;
    this.#answer = new AnswerWriter(context.terminal.stdout, values.json ?? false);
  }

  /** Reads the input and writes the answer. */
  async work(message: string | undefined, generate: GenerateOptions): Promise<void> {
    const { terminal, signal } = this.#context;
    const mode = this.#values;
    if (!this.#input.isAbsent)
      await readInput(this.session, this.#input, this.#meter, { terminal, signal, mode });
    if (mode["no-generate"]) return;
    if (message === undefined) {
      await this.#answer.write(this.session, this.session.generate({ ...generate, signal }));
      return;
    }
    const messages = [...this.#messages, { role: "user", content: message }];
    await this.#answer.write(this.session, this.session.chat(messages, { ...generate, signal }));
    this.#messages = [...messages, { role: "assistant", content: this.#answer.text }];
  }

  /** Saves what ended early: beside the file that was asked for, so that no whole session is lost. */
  async savePartial(): Promise<void> {
    const { save } = this.#values;
    if (save === undefined || this.session.lengthTokens === 0) return;
    try {
      await this.#saveTo(`${save}.partial`, []);
    } catch (error) {
      // Why the run ended matters more; this is told beside it.
      await this.#context.terminal.stderr.line(`error: ${error instanceof Error ? error.message : error}`);
    }
  }

  /** Saves the session where it was asked for. */
  async save(): Promise<void> {
    if (this.#values.save !== undefined) await this.#saveTo(this.#values.save, this.#messages);
  }

  async #saveTo(path: string, messages: readonly ChatMessage[]): Promise<void> {
    const sizeBytes = await saveSession(path, this.session, messages);
    const { json, quiet } = this.#values;
    if (quiet) return;
    const { lengthTokens } = this.session;
    if (json) await this.#context.terminal.stdout.json({ type: "saved", path, sizeBytes, lengthTokens });
    else await this.#context.terminal.stderr.line(`saved     ${path}`);
  }

  /** Tells how it went. */
  async report(isWhole: boolean): Promise<void> {
    const { json, quiet } = this.#values;
    const { stdout, stderr } = this.#context.terminal;
    const { stats } = this.session;
    const { finish } = this.#answer;
    const reading = this.#meter.report();
    const place = this.#input.place;
    if (json) {
      const end = isWhole ? { ...finish, type: "finish" } : { type: "interrupted", place };
      await stdout.json({ ...end, lengthTokens: stats.lengthTokens, stats, reading });
    }
    if (!isWhole) {
      const during = this.#answer.text === "" ? ` (${place})` : "";
      await stderr.line(`stopped after ${stats.lengthTokens} tokens${during}`);
    }
    if (!json && !quiet) await stderr.write(formatSummary(stats, reading, finish));
  }
}

async function run(context: CommandContext): Promise<void> {
  const { terminal, signal } = context;
  const { values, positionals } = parseArguments("run", options, context.argv);
  const loadOptions = toLoadOptions(values);
  const generate = toGenerateOptions(values);
  const { files, prompt } = chooseInput(values, positionals, terminal);
  if (values.save !== undefined) await assertCanSave(values.save);
  const message = values.chat ? prompt : undefined;
  const input = await openInputText({ files, prompt: values.chat ? "" : prompt, stdin: terminal.stdin });
  await using model = await openModel(terminal, values.model, { ...loadOptions, signal }, values);
  if (values.chat) requireChatTemplate(model);
  const start =
    values.load === undefined
      ? { session: model.createSession(), messages: [] }
      : await loadSession(model, values.load);
  const work = new Run(context, values, input, start);
  try {
    await work.work(message, generate);
  } catch (error) {
    if (signal.aborted) await work.report(false);
    await work.savePartial();
    throw error;
  }
  await work.report(true);
  await work.save();
}

/** Is `edgeinfinite run`. */
export const runCommand: Command = {
  usage: "[prompt…] [--model M] [--file FILE]… [options]",
  description:
    "Reads files, stdin and the prompt, in this order, through one session of constant memory, and writes what\n" +
    "the model continues with. Ctrl-C stops cleanly and says how much was read.",
  options,
  run,
};
