/**
 * `edgeinfinite demo`: a long document through a tiny model, with the memory that it takes.
 *
 * The tiny model's weights are random: the demo shows that memory and speed stay flat, not what a model knows.
 */

import type { GenerateOptions } from "../engine/generate.ts";
import type { LoadOptions } from "../engine/load-model.ts";
import type { Model } from "../engine/model.ts";
import type { ModelFolder } from "../files/model-folder.ts";
import { createTinyAdapterFolder, createTinyModelFolder } from "../testing/index.ts";
import { AnswerWriter } from "./answer-writer.ts";
import { type OptionValues, parseArguments, parseNumber } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { createDemoSource, writeDocument } from "./demo-document.ts";
import { formatBytes, formatCount, formatRate, formatSeconds, formatTable } from "./format.ts";
import { InputText } from "./input-text.ts";
import { memoryOptions, modelOptions, toLoadOptions } from "./model-options.ts";
import { openModel } from "./open-model.ts";
import { readInput } from "./read-input.ts";
import { ReadingMeter, type ReadingSample } from "./reading-meter.ts";
import { formatSummary } from "./summary.ts";

const options = {
  ...modelOptions,
  ...memoryOptions,
  chars: { type: "string", value: "N", help: "length of the document in characters; default 240000" },
} as const;

const defaultChars = 240_000;
/** Is read before, in another session: Node compiles what is called often, and measuring that would mislead. */
const warmUpChars = 120_000;
/** Rows of the table. */
const rowCount = 10;

interface DemoModel {
  readonly model: string | ModelFolder;
  readonly options: LoadOptions;
  readonly isTiny: boolean;
}

function chooseModel(values: OptionValues<typeof options>): DemoModel {
  const { model } = values;
  const given = toLoadOptions(values);
  if (model !== undefined) return { model, options: given, isTiny: false };
  // Operators of a model this small are not worth sharing among threads.
  const tiny: LoadOptions = {
    threads: 1,
    adapter: createTinyAdapterFolder(),
    ...given,
    context: { sinkTokens: 4, windowTokens: 256, segmentTokens: 128, ...given.context },
  };
  return { model: createTinyModelFolder(), options: tiny, isTiny: true };
}

/** Lays out what was measured at the end of each tenth. */
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

function formatIntroduction({ name, context, policy }: Model, isTiny: boolean, lengthChars: number): string {
  const { sinkTokens, windowTokens, segmentTokens } = context;
  const what = isTiny ? "a tiny model whose weights are random" : name;
  return [
    `Reading a made-up document of ${formatCount(lengthChars)} characters with ${what}, after a short warm-up.`,
    `Exact are the first ${sinkTokens} tokens and the last ${windowTokens} to ${windowTokens + segmentTokens}; ` +
      (policy === "paper" ? "all others are in a compressed memory." : `policy ${policy}.`),
    "",
    "",
  ].join("\n");
}

function formatEnd(isTiny: boolean): string {
  const noise = isTiny
    ? "That text is noise: this model's weights are random, it has learned nothing. What it shows is that memory and\n" +
      "speed do not depend on how much was read.\n\n"
    : "";
  return (
    `\n${noise}To read a file of yours with a model of yours (a folder, or a name on the Hugging Face hub):\n\n` +
    '  edgeinfinite run --model HuggingFaceTB/SmolLM2-135M-Instruct --file book.txt --chat "Who is in this book?"\n'
  );
}

async function demo(context: CommandContext): Promise<void> {
  const { terminal, argv, signal } = context;
  const { values } = parseArguments("demo", options, argv);
  const lengthChars = values.chars === undefined ? defaultChars : parseNumber("chars", values.chars);
  const { stdout } = terminal;
  const chosen = chooseModel(values);
  const loadStart = performance.now();
  await using model = await openModel(terminal, chosen.model, { ...chosen.options, signal }, {});
  await stdout.line(`Loaded in ${formatSeconds((performance.now() - loadStart) / 1000)}.`);
  await stdout.write(formatIntroduction(model, chosen.isTiny, lengthChars));
  await model.createSession().append([...writeDocument(warmUpChars, 2)].join(""), { signal });
  const session = model.createSession();
  const meter = new ReadingMeter();
  const input = new InputText([createDemoSource(lengthChars)]);
  await readInput(session, input, meter, { terminal, signal, mode: {} });
  await stdout.write(formatCourse(meter.samples, model.memoryEstimate.fullCacheBytesPerToken));
  await stdout.write("\nIt continues:\n\n");
  const answer = new AnswerWriter(stdout, false);
  const generate: GenerateOptions = { maxNewTokens: 60, temperature: 0.8, seed: 1, ignoreEos: true, signal };
  await answer.write(session, session.generate(generate));
  await stdout.write(`\n${formatSummary(session.stats, meter.report(), answer.finish)}`);
  await stdout.write(formatEnd(chosen.isTiny));
}

/** Is `edgeinfinite demo`. */
export const demoCommand: Command = {
  usage: "[--model M] [--adapter A]",
  description:
    "Reads a long made-up document and shows that memory and speed stay flat: with a tiny random model in a few\n" +
    "seconds, or with one of yours.",
  options,
  run: demo,
};
