/**
 * The table of commands, each loaded when it is asked for.
 */

import type { Command } from "./command.ts";

/** Is a command before it is loaded. */
export interface CommandEntry {
  readonly summary: string;
  load(): Promise<Command>;
}

/** Lists the commands by name, of one word or two. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  run: {
    summary: "reads files, stdin and a prompt of any length, and writes a continuation",
    load: async () => (await import("./run.ts")).runCommand,
  },
  chat: {
    summary: "talks with a model, turn by turn",
    load: async () => (await import("./chat.ts")).chatCommand,
  },
  inspect: {
    summary: "says what a checkpoint is and what memory it needs",
    load: async () => (await import("./inspect.ts")).inspectCommand,
  },
  pull: {
    summary: "downloads a model from the Hugging Face hub",
    load: async () => (await import("./pull.ts")).pullCommand,
  },
  export: {
    summary: "writes a model as ONNX graphs of fixed shapes, for toolchains of NPUs",
    load: async () => (await import("./export.ts")).exportCommand,
  },
  convert: {
    summary: "writes a model as one GGUF file, for this program and for llama.cpp",
    load: async () => (await import("./convert.ts")).convertCommand,
  },
  "train base": {
    summary: "pre-trains a small model, its tokenizer first",
    load: async () => (await import("./train-base.ts")).trainBaseCommand,
  },
  "train gate": {
    summary: "trains the memory gates of a checkpoint, which stays as it is",
    load: async () => (await import("./train-gate.ts")).trainGateCommand,
  },
  eval: {
    summary: "puts long-context tasks to a model under several ways to remember",
    load: async () => (await import("./eval.ts")).evalCommand,
  },
  "eval report": {
    summary: "writes the tables and plots of an evaluation as a page",
    load: async () => (await import("./eval-report.ts")).evalReportCommand,
  },
  "eval merge": {
    summary: "puts the records of several evaluations into one folder",
    load: async () => (await import("./eval-merge.ts")).evalMergeCommand,
  },
  demo: {
    summary: "hides facts in a long document, reads it in constant memory, and asks for them",
    load: async () => (await import("./demo.ts")).demoCommand,
  },
};
