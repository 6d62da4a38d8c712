/**
 * `edgeinfinite demo`: facts hidden in a long document, read in constant memory and asked for at its end.
 *
 * The package's own model is asked with its memory and again without, so that it shows what the memory does. Wrong
 * answers are shown as they are.
 */

import type { LoadOptions } from "../engine/load-model.ts";
import type { Model } from "../engine/model.ts";
import { nodePlatform } from "../engine/node.ts";
import type { Session } from "../engine/session.ts";
import { embeddedModelName } from "../files/embedded-model.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import type { ContextSettings } from "../memory/geometry.ts";
import { type OptionValues, parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { ask, type DemoAnswer, type DemoDocument, makeDemoDocument, toTextSource } from "./demo-questions.ts";
import { formatBytes, formatCount, formatRate, formatSeconds, formatTable } from "./format.ts";
import { InputText } from "./input-text.ts";
import { memoryOptions, modelOptions, toLoadOptions } from "./model-options.ts";
import { openModel } from "./open-model.ts";
import { readInput } from "./read-input.ts";
import { ReadingMeter, type ReadingSample } from "./reading-meter.ts";
import { parseWhole } from "./training-options.ts";

const options = {
  ...modelOptions,
  ...memoryOptions,
  tokens: { type: "string", value: "N", help: "length of the document; default 40000" },
  facts: { type: "string", value: "N", help: "facts that are hidden in it and asked for; default 8" },
  seed: { type: "string", value: "N", help: "makes another document; default 1" },
} as const;

const defaults = { tokens: 40_000, facts: 8, seed: 1 };
/** Rows of the table of the reading. */
const rowCount = 5;
/** What the package's own model keeps where it has no adapter. */
const slotContext: ContextSettings = { sinkTokens: 4, slotTokens: 128, windowTokens: 64, segmentTokens: 64 };

type DemoValues = OptionValues<typeof options>;

interface DemoModel {
  readonly model: string | ModelFolder;
  readonly options: LoadOptions;
  readonly isOwn: boolean;
}

async function chooseModel(values: DemoValues, signal: AbortSignal): Promise<DemoModel> {
  const given = toLoadOptions(values);
  if (values.model !== undefined) return { model: values.model, options: given, isOwn: false };
  const model = await nodePlatform.openFolder(embeddedModelName, { signal });
  const hasMemory = given.adapter !== undefined || given.policy !== undefined || model.adapters?.size !== 0;
  const context = hasMemory ? given.context : { ...slotContext, ...given.context };
  // Operators of a model this small are not worth sharing among threads.
  return { model, options: { threads: 1, ...given, ...(context && { context }) }, isOwn: true };
}

function formatPolicy({ context, memoryEstimate: { policy } }: Model): string {
  const { sinkTokens, slotTokens, windowTokens, segmentTokens } = context;
  const window = `the last ${windowTokens} to ${windowTokens + segmentTokens}`;
  const slots = slotTokens === 0 ? "" : `${slotTokens} chosen ones a layer and head on average, `;
  const exact = `Exact in memory are the first ${sinkTokens} tokens, ${slots}and ${window}`;
  const rest: Readonly<Record<string, string>> = {
    plus: "by its trained adapter `plus`",
    paper: "all others are in the linear memory of its adapter `paper`",
    infini: "all others are in the linear memory of Infini-attention",
    keydiff: "without an adapter, by KeyDiff: the keys that differ most",
    h2o: "by H2O: those that have received the most attention",
    snapkv: "by SnapKV: those that the last tokens before a commit looked at",
    pyramidkv: "by PyramidKV: as SnapKV, with more slots in the first layers than in the last",
    streaming: "what is older is forgotten",
    full: "an ordinary cache",
  };
  return `${exact} (policy ${policy}: ${rest[policy] ?? policy}).`;
}

/** Lays out what was measured at the end of each part. */
function formatCourse(samples: readonly ReadingSample[], fullCacheBytesPerToken: number): string {
  const total = samples.at(-1)?.readTokens ?? 0;
  let before: Pick<ReadingSample, "readTokens" | "seconds"> = { readTokens: 0, seconds: 0 };
  const rows = [["tokens", "state", "full cache", "process", "tokens/s"]];
  for (let row = 1; row <= rowCount; row++) {
    const sample = samples.find(({ readTokens }) => readTokens >= (total * row) / rowCount);
    if (sample === undefined || sample.readTokens === before.readTokens) continue;
    const { readTokens, stateBytes, residentBytes, seconds } = sample;
    rows.push([
      formatCount(readTokens),
      formatBytes(stateBytes),
      formatBytes(readTokens * fullCacheBytesPerToken),
      formatBytes(residentBytes),
      formatRate((readTokens - before.readTokens) / (seconds - before.seconds)),
    ]);
    before = sample;
  }
  return formatTable(rows);
}

async function read(
  session: Session,
  document: DemoDocument,
  meter: ReadingMeter,
  { terminal, signal }: CommandContext,
): Promise<void> {
  await readInput(session, new InputText([toTextSource(document)]), meter, { terminal, signal, mode: {} });
}

async function askAll(
  session: Session,
  model: Model,
  { questions }: DemoDocument,
  signal: AbortSignal,
): Promise<DemoAnswer[]> {
  const answers: DemoAnswer[] = [];
  for (const { question } of questions) answers.push(await ask(session, model, question, signal));
  return answers;
}

function countRight({ questions }: DemoDocument, answers: readonly DemoAnswer[]): number {
  return questions.filter(({ truth }, index) => answers[index]?.text === truth).length;
}

function formatAnswers({ questions }: DemoDocument, answers: readonly DemoAnswer[]): string {
  return questions
    .map(({ question, truth, distanceTokens }, index) => {
      const said = answers[index]?.text ?? "";
      const isRight = said === truth;
      const verdict = isRight ? "right" : "WRONG";
      const wrong = isRight ? "" : `, but it is ${truth}`;
      const shown = said.replaceAll(/\s+/g, " ").slice(0, 60);
      return `  ${verdict}  ${question}  (told ${formatCount(distanceTokens)} tokens before)\n         ${shown}${wrong}\n`;
    })
    .join("");
}

/** Reads and asks once more with the window alone. */
async function askWithoutMemory(
  context: CommandContext,
  { model, options: own }: DemoModel,
  { sinkTokens, windowTokens, segmentTokens }: ContextSettings,
  document: DemoDocument,
): Promise<number> {
  const { terminal, signal } = context;
  const sizes = { sinkTokens, slotTokens: 0, windowTokens, segmentTokens };
  const { adapter: _, ...rest } = own;
  await using plain = await openModel(
    terminal,
    model,
    { ...rest, policy: "streaming", context: sizes, signal },
    { quiet: true },
  );
  using session = plain.createSession();
  await read(session, document, new ReadingMeter(), context);
  return countRight(document, await askAll(session, plain, document, signal));
}

function formatCosts(session: Session, answers: readonly DemoAnswer[], readSeconds: number): string {
  const { stateBytes, fullCacheBytes, lengthTokens } = session.stats;
  const waits = answers.flatMap(({ firstTokenMs }) => (firstTokenMs === undefined ? [] : [firstTokenMs]));
  const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length;
  return [
    `memory    ${formatBytes(stateBytes)} after ${formatCount(lengthTokens)} tokens, constant; an ordinary cache would take ${formatBytes(fullCacheBytes)}`,
    `answers   the first token after ${formatSeconds(mean / 1000)}; reading the document again would take ${formatSeconds(readSeconds)}`,
    "",
  ].join("\n");
}

const ownWay =
  "\nA model and a file of yours (a folder, a .gguf file, or a name on the Hugging Face hub):\n\n" +
  '  edgeinfinite run --model HuggingFaceTB/SmolLM2-135M-Instruct --file book.txt --chat "Who is in this book?"\n' +
  "  edgeinfinite chat --file notes.txt      (this small model; it knows little but what it was told)\n";

async function demo(context: CommandContext): Promise<void> {
  const { terminal, argv, signal } = context;
  const { values, positionals } = parseArguments("demo", options, argv);
  if (positionals.length > 0)
    throw usageError("an argument without an option", { got: positionals.join(" "), command: "demo" });
  const whole = (name: keyof typeof defaults, least: number): number =>
    parseWhole(name, values[name] ?? String(defaults[name]), least);
  const sizes = { lengthTokens: whole("tokens", 1), factCount: whole("facts", 1), seed: whole("seed", 0) };
  const { stdout } = terminal;
  const start = performance.now();
  const chosen = await chooseModel(values, signal);
  await using model = await openModel(terminal, chosen.model, { ...chosen.options, signal }, {});
  const document = await makeDemoDocument(model, { ...sizes, signal });
  const weights = formatBytes(model.memoryEstimate.weightBytes);
  await stdout.write(
    `${model.name}, ${weights} of weights, loaded in ${formatSeconds((performance.now() - start) / 1000)}.\n` +
      `${formatPolicy(model)}\n\n` +
      `It reads a made-up document of ${formatCount(document.lengthTokens)} tokens, in which ${sizes.factCount} facts are hidden;\n` +
      "no such names and values were in its training.\n\n",
  );
  const meter = new ReadingMeter();
  using session = model.createSession();
  await read(session, document, meter, context);
  await stdout.write(formatCourse(meter.samples, model.memoryEstimate.fullCacheBytesPerToken));
  const answers = await askAll(session, model, document, signal);
  await stdout.write(`\nIts answers at the end:\n\n${formatAnswers(document, answers)}\n`);
  await stdout.line(`${countRight(document, answers)} of ${sizes.factCount} right.`);
  if (chosen.isOwn && session.stats.policy !== "streaming") {
    const without = await askWithoutMemory(context, chosen, model.context, document);
    await stdout.line(
      `The same model with its window alone, without memory: ${without} of ${sizes.factCount}.`,
    );
  }
  await stdout.write(`\n${formatCosts(session, answers, meter.report()?.seconds ?? 0)}${ownWay}`);
}

/** Is `edgeinfinite demo`. */
export const demoCommand: Command = {
  usage: "[--model M] [--adapter A] [--tokens N]",
  description:
    "Hides facts in a long made-up document, reads it in constant memory, and asks for them at its end: with the\n" +
    "small model of the package and its trained memory, or with one of yours.",
  options,
  run: demo,
};
