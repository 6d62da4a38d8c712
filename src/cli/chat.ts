/**
 * `edgeinfinite chat`: a conversation, turn by turn; at a terminal or from a pipe, where each line is a turn.
 */

import { createInterface, type Interface } from "node:readline";
import type { GenerateOptions } from "../engine/generate.ts";
import type { Model } from "../engine/model.ts";
import { isEdgeInfiniteError } from "../errors.ts";
import { type OptionValues, parseArguments } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { Conversation } from "./conversation.ts";
import { openInputText } from "./input-text.ts";
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
import { formatStats } from "./summary.ts";
import type { Terminal } from "./terminal.ts";

const options = {
  ...modelOptions,
  ...memoryOptions,
  system: { type: "string", value: "TEXT", help: "tells the model how to behave" },
  file: {
    type: "string",
    multiple: true,
    value: "FILE",
    help: "is read before the conversation; may be repeated",
  },
  load: { type: "string", value: "FILE", help: "goes on from a saved session" },
  ...generateOptions,
  ...outputOptions,
} as const;

type ChatValues = OptionValues<typeof options>;

interface SlashCommand {
  readonly value?: string;
  readonly help: string;
  /** Returns what is told to the user; undefined ends the chat. */
  run(conversation: Conversation, argument: string): Promise<string | undefined> | string | undefined;
}

function requireFile(argument: string, use: (path: string) => Promise<string>): Promise<string> | string {
  return argument === "" ? "Give the name of a file." : use(argument);
}

const slashCommands: Readonly<Record<string, SlashCommand>> = {
  "/save": {
    value: "FILE",
    help: "saves the session",
    run: (conversation, argument) =>
      requireFile(argument, async (path) => `saved ${path}: ${await conversation.save(path)} bytes`),
  },
  "/load": {
    value: "FILE",
    help: "goes on from a saved session",
    run: (conversation, argument) =>
      requireFile(argument, async (path) => {
        await conversation.load(path);
        const { lengthTokens } = conversation.session;
        return `loaded ${path}: ${lengthTokens} tokens, ${conversation.messages.length} messages`;
      }),
  },
  "/stats": {
    help: "tells what the session holds and costs",
    run: ({ session: { stats } }) =>
      [`length    ${stats.lengthTokens} tokens`, ...formatStats(stats)].join("\n"),
  },
  "/clear": {
    help: "starts over; what was read before the conversation stays",
    run(conversation) {
      conversation.clear();
      return `cleared: ${conversation.session.lengthTokens} tokens`;
    },
  },
  "/help": {
    help: "lists these commands",
    run: () =>
      Object.entries(slashCommands)
        .map(([name, { value = "", help }]) => `${`${name} ${value}`.padEnd(12)} ${help}`)
        .join("\n"),
  },
  "/exit": { help: "ends the chat; so does Ctrl-D", run: () => undefined },
};

/** Takes a line; tells whether the chat goes on. */
async function takeLine(
  line: string,
  conversation: Conversation,
  generate: GenerateOptions,
  terminal: Terminal,
): Promise<boolean> {
  const text = line.trim();
  if (text === "") return true;
  if (!text.startsWith("/")) {
    await conversation.takeTurn(line, generate);
    return true;
  }
  const [name = "", ...rest] = text.split(/\s+/);
  const command = Object.hasOwn(slashCommands, name) ? slashCommands[name] : undefined;
  const answer =
    command === undefined
      ? `There is no command ${name}; /help lists them.`
      : await command.run(conversation, rest.join(" "));
  if (answer !== undefined) await terminal.stderr.line(answer);
  return answer !== undefined;
}

function openLines({ stdin, stdout, isInputInteractive, interrupts }: Terminal): Interface {
  if (!isInputInteractive) return createInterface({ input: stdin, terminal: false });
  const lines = createInterface({ input: stdin, output: stdout.stream, prompt: "> " });
  // A terminal in raw mode sends no signal: the key comes here.
  lines.on("SIGINT", () => interrupts.interrupt());
  return lines;
}

/** Takes lines to their end. At a terminal an error ends a turn, in a pipe it ends everything. */
async function converse(
  { terminal, signal }: CommandContext,
  conversation: Conversation,
  generate: GenerateOptions,
): Promise<void> {
  const lines = openLines(terminal);
  const close = (): void => lines.close();
  signal.addEventListener("abort", close);
  const prompt = (): void => {
    if (terminal.isInputInteractive) lines.prompt();
  };
  // It listens from here on: what comes while the prompt is written is not lost.
  const typed = lines[Symbol.asyncIterator]();
  try {
    if (!signal.aborted) prompt();
    for await (const line of typed) {
      try {
        if (!(await takeLine(line, conversation, generate, terminal))) return;
      } catch (error) {
        if (!terminal.isInputInteractive || signal.aborted || !isEdgeInfiniteError(error)) throw error;
        await terminal.stderr.line(`error: ${error.message}`);
      }
      if (terminal.stdout.isClosed) return;
      prompt();
    }
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener("abort", close);
    lines.close();
  }
}

async function openConversation(
  context: CommandContext,
  model: Model,
  values: ChatValues,
): Promise<Conversation> {
  const { terminal, signal } = context;
  const system = values.system === undefined ? [] : [{ role: "system", content: values.system }];
  const conversation = new Conversation(model, system, terminal, values.json ?? false);
  if (values.load !== undefined) await conversation.load(values.load);
  if (values.file !== undefined) {
    const input = await openInputText({ files: values.file, prompt: "", stdin: terminal.stdin });
    const meter = new ReadingMeter();
    await readInput(conversation.session, input, meter, { terminal, signal, mode: values });
    conversation.markStart();
  }
  return conversation;
}

async function chat(context: CommandContext): Promise<void> {
  const { terminal, signal } = context;
  const { values, positionals } = parseArguments("chat", options, context.argv);
  const loadOptions = toLoadOptions(values);
  const generate = toGenerateOptions(values);
  await using model = await openModel(
    terminal,
    values.model ?? positionals[0],
    { ...loadOptions, signal },
    values,
  );
  requireChatTemplate(model);
  const conversation = await openConversation(context, model, values);
  if (terminal.isInputInteractive && !values.quiet)
    await terminal.stderr.line(`${model.name}. /help lists commands; Ctrl-C stops an answer, Ctrl-D ends.`);
  await converse(context, conversation, generate);
}

/** Is `edgeinfinite chat`. */
export const chatCommand: Command = {
  usage: "[--model M] [--system TEXT] [--file FILE]… [options]",
  description:
    "Talks with a model. Each turn reads only what is new, so that long conversations stay quick, in constant\n" +
    "memory. At the prompt, /help lists commands. From a pipe, each line is a turn.",
  options,
  run: chat,
};
