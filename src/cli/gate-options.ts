/**
 * The options of `edgeinfinite train gate`, and which of them only some recipes take.
 */

import type { OptionValues } from "./arguments.ts";
import { memoryOptions, outputOptions } from "./model-options.ts";
import { trainingOptions } from "./training-options.ts";

const own = {
  model: { type: "string", value: "M", help: "the base: a folder or a hub name, safetensors" },
  recipe: {
    type: "string",
    value: "R",
    help: "lm: every token behind the window is learned; sft: completions and answers alone; attention-transfer: what full attention gives in each layer; retention: which tokens it comes back to; distill: what it predicts",
  },
  variant: {
    type: "string",
    value: "V",
    help: "paper (recipes lm, sft, attention-transfer and distill), infini (lm and sft) or plus (retention, attention-transfer and distill); default: the recipe's, or that of --init",
  },
  init: {
    type: "string",
    value: "A",
    help: "attention-transfer, distill: the adapter to begin with; for plus one of retention",
  },
  "slot-bias": { type: "boolean", help: "distill, plus: trains a bias of the slots" },
  "linear-memory": {
    type: "boolean",
    help: "attention-transfer, distill, plus: trains a linear memory that what leaves the slots goes into",
  },
  features: {
    type: "string",
    value: "N",
    help: "distill, with --linear-memory: its features are N learned ones, exp(W x); default elu(x) + 1",
  },
  "write-gate": {
    type: "boolean",
    help: "distill, with --linear-memory: a trained gate says how much of a token is written",
  },
  rank: {
    type: "string",
    value: "R",
    help: "inner width of a gate, default 16, of a retention score, default 32, or of a bias, default 8",
  },
  "gate-bias": {
    type: "string",
    value: "X",
    help: "all but retention: where gates begin; default -4: 1.8% open",
  },
  "delta-rule": {
    type: "boolean",
    help: "lm, sft, infini: the memory takes in only what it does not give for a key already",
  },
  slots: {
    type: "string",
    value: "B",
    help: "plus: older tokens a layer and head that stay exact; default those of --init, or 128, or an eighth of the trained positions",
  },
  segments: {
    type: "string",
    value: "N",
    help: "lm, sft: segments of a document that are learned from; default 16",
  },
  "bptt-depth": {
    type: "string",
    value: "K",
    help: "lm, sft: earlier segments that the gradient of a segment's loss goes back through at most (truncated back-propagation through time); default 0: none",
  },
  length: {
    type: "string",
    value: "N",
    help: "attention-transfer, retention, distill: tokens of a document; default the trained positions, at most 2048",
  },
  kernel: {
    type: "string",
    value: "N",
    help: "retention: a token is worth what the most wanted of N tokens around it is, odd; default 1",
  },
  "score-kernel": {
    type: "string",
    value: "N",
    help: "retention: a token's score is the mean of N tokens' around it, odd; default 1. Training is the same; slots are chosen by it",
  },
  "slot-shares": {
    type: "string",
    value: "X,…",
    help: "retention: how layers share the slots, a number each: 1,1,1,3 gives the last half of all; default alike",
  },
  "weigh-queries": {
    type: "boolean",
    help: "retention: attention counts by the weight that recall documents give the token that pays it",
  },
  "fixed-context": {
    type: "boolean",
    help: "trains for the sizes asked for alone, and not in turn for three smaller ones too",
  },
} as const;

const { revision, sinks, window, segment } = memoryOptions;

/** Choose what is trained, over what, and on what. */
export const gateOptions: typeof own &
  typeof trainingOptions &
  Pick<typeof memoryOptions, "revision" | "sinks" | "window" | "segment"> &
  typeof outputOptions = {
  ...own,
  revision,
  sinks,
  window,
  segment,
  ...trainingOptions,
  ...outputOptions,
};

/** Holds what was given. */
export type GateValues = OptionValues<typeof gateOptions>;

/** Lists the options that only some recipes take. */
export const ownOptions = [
  "gate-bias",
  "delta-rule",
  "slots",
  "segments",
  "bptt-depth",
  "length",
  "kernel",
  "score-kernel",
  "slot-shares",
  "weigh-queries",
  "init",
  "slot-bias",
  "linear-memory",
  "features",
  "write-gate",
] as const;
