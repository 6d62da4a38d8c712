/**
 * The options of `edgeinfinite eval`, and what they mean: subjects, lengths, counts, shards.
 */

import { z } from "zod";
import { InvalidRequestError } from "../errors.ts";
import { type Ablation, ablations } from "../eval/ablations.ts";
import type { Shard } from "../eval/evaluation-record.ts";
import type { LengthPlan } from "../eval/run-evaluation.ts";
import type { Subject } from "../eval/subject.ts";
import { keepsSlots, policyNames } from "../memory/policies.ts";
import type { PolicyName } from "../memory/policy.ts";
import { type OptionValues, parseChoice, usageError } from "./arguments.ts";
import { type memoryOptions, toMemoryOptions } from "./model-options.ts";
import { parseWhole, readUserJson } from "./training-options.ts";

/** Choose what is evaluated, on what, and where records go. */
export const evalOptions = {
  policies: {
    type: "string",
    value: "P,…",
    help: "ways to remember, side by side; default full, streaming, keydiff with --slots, and those with an adapter; infini without one, h2o, snapkv and pyramidkv when named",
  },
  "paper-adapter": { type: "string", value: "A", help: "the trained memory of the policy paper" },
  "plus-adapter": { type: "string", value: "A", help: "the trained memory of the policy plus" },
  "infini-adapter": { type: "string", value: "A", help: "the trained gates of the policy infini" },
  "policy-file": {
    type: "string",
    value: "FILE",
    help: "JSON: an array of {label, policy, adapter, sinks, slots, window, segment, ablation}, each a way to remember",
  },
  ablations: {
    type: "string",
    value: "A,…",
    help: "of paper, plus and infini, besides the whole: slots-off, memory-off, gate-open, gate-closed, window-halved",
  },
  "equal-bytes": {
    type: "string",
    value: "P,…",
    help: "streaming, paper, infini: each (once more, if --policies has it) with a window as long as the state of the largest policy with slots allows",
  },
  lengths: {
    type: "string",
    value: "N,…",
    help: "of documents in the model's own tokens, such as 260,1K,1M; default 1K",
  },
  examples: {
    type: "string",
    value: "N[,N@L…]",
    help: "documents of each length; another number from a length on: 100,50@64K,20@256K; default 20",
  },
  seed: { type: "string", value: "N", help: "draws the examples; default 1" },
  haystack: {
    type: "string",
    multiple: true,
    value: "PATH",
    help: "text that is read around what is asked for, or scored: a file or folder; may be repeated",
  },
  out: { type: "string", value: "DIR", help: "where records go; a run that has ended early goes on there" },
  limit: { type: "string", value: "N", help: "most examples of a policy in this run" },
  shard: { type: "string", value: "I/N", help: "does the I-th of N parts, into a file of its own" },
} as const;

/** Holds what was given for them. */
export type EvalValues = OptionValues<typeof evalOptions> &
  Pick<OptionValues<typeof memoryOptions>, "sinks" | "slots" | "window" | "segment">;

const kilo = 1024;

/** Parses a number of tokens, such as 4K or 1M. @throws {@link InvalidRequestError} */
function parseTokens(name: string, text: string): number {
  const unit = { K: kilo, M: kilo * kilo }[text.slice(-1).toUpperCase()];
  return unit === undefined ? parseWhole(name, text, 1) : unit * parseWhole(name, text.slice(0, -1), 1);
}

/** Takes a list apart at its commas. */
export function splitList(text: string): readonly string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** Plans lengths with their numbers of examples. @throws {@link InvalidRequestError} */
export function toLengthPlans({ lengths = "1K", examples = "20" }: EvalValues): readonly LengthPlan[] {
  const counts = splitList(examples).map((part) => {
    const [count = "", from = "1"] = part.split("@");
    return { from: parseTokens("examples", from), count: parseWhole("examples", count, 1) };
  });
  const asked = [...new Set(splitList(lengths).map((text) => parseTokens("lengths", text)))];
  if (asked.length === 0 || counts.length === 0)
    throw usageError("--lengths or --examples is empty", { command: "eval" });
  return asked.map((lengthTokens) => {
    const fitting = counts.filter(({ from }) => from <= lengthTokens).sort((a, b) => b.from - a.from);
    return { lengthTokens, exampleCount: fitting[0]?.count ?? counts[0]?.count ?? 1 };
  });
}

/** Parses a shard such as 2/4. @throws {@link InvalidRequestError} */
export function toShard(text = "1/1"): Shard {
  const [index, count] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).slice(1).map(Number);
  if (index !== undefined && count !== undefined && index >= 1 && index <= count) return { index, count };
  const expected = "I/N, I from 1 to N";
  throw new InvalidRequestError({ where: "--shard", what: "not understood", got: text, expected });
}

const size = z.number().int().nonnegative().optional();
const subjectsSchema = z
  .array(
    z.strictObject({
      label: z.string().min(1).optional(),
      policy: z.enum(policyNames),
      adapter: z.string().optional(),
      sinks: size,
      slots: size,
      window: size,
      segment: size,
      ablation: z.enum(ablations).optional(),
    }),
  )
  .min(1);

async function readSubjects(path: string): Promise<Subject[]> {
  const entries = await readUserJson(path, "the list of policies", subjectsSchema);
  return entries.map(({ label, policy, adapter, sinks: S, slots: B, window: W, segment: T, ablation }) => ({
    label: label ?? (ablation === undefined ? policy : `${policy} ${ablation}`),
    policy,
    adapter,
    context: {
      ...(S !== undefined && { sinkTokens: S }),
      ...(B !== undefined && { slotTokens: B }),
      ...(W !== undefined && { windowTokens: W }),
      ...(T !== undefined && { segmentTokens: T }),
    },
    ablation,
  }));
}

function choosePolicies(values: EvalValues): readonly PolicyName[] {
  if (values.policies !== undefined)
    return splitList(values.policies).map((text) => parseChoice("policies", text, policyNames));
  if (values["policy-file"] !== undefined) return [];
  const chosen: [PolicyName, boolean][] = [
    ["full", true],
    ["streaming", true],
    ["keydiff", values.slots !== undefined && values.slots !== "0"],
    ["paper", values["paper-adapter"] !== undefined],
    ["plus", values["plus-adapter"] !== undefined],
    ["infini", values["infini-adapter"] !== undefined],
  ];
  return chosen.flatMap(([name, isChosen]) => (isChosen ? [name] : []));
}

/** Refuses two subjects of one label. @throws {@link InvalidRequestError} */
export function assertLabels(subjects: readonly Subject[]): void {
  const twice = subjects.find(({ label }, index) => subjects.findIndex((one) => one.label === label) < index);
  if (twice === undefined) return;
  throw usageError("two policies have the same label", { got: twice.label, command: "eval" });
}

/** Tells whether a policy has something trained. */
const isTrained = (policy: PolicyName): policy is "plus" | "paper" | "infini" =>
  policy === "plus" || policy === "paper" || policy === "infini";

/**
 * Lists the policies that run with a longer window.
 * @param subjects - of `--policies` and of a file.
 * @returns their names, and subjects of those that are not evaluated otherwise: to measure, not to evaluate.
 * @throws {@link InvalidRequestError}
 */
export function toEqualBytes(
  values: EvalValues,
  subjects: readonly Subject[],
): { readonly policies: readonly PolicyName[]; readonly others: readonly Subject[] } {
  const withoutSlots = policyNames.filter((name) => !keepsSlots(name) && name !== "full");
  const names = splitList(values["equal-bytes"] ?? "");
  const policies = names.map((text) => parseChoice("equal-bytes", text, withoutSlots));
  const others = policies.filter((name) => subjects.every(({ policy }) => policy !== name));
  return { policies, others: others.map((policy) => subjectOfFlags(values, policy)) };
}

/** Gives the subject of a policy with the sizes and the adapter that flags name. @throws {@link InvalidRequestError} */
function subjectOfFlags(values: EvalValues, policy: PolicyName): Subject {
  const { slotTokens, ...plain } =
    toMemoryOptions({
      ...(values.sinks !== undefined && { sinks: values.sinks }),
      ...(values.slots !== undefined && { slots: values.slots }),
      ...(values.window !== undefined && { window: values.window }),
      ...(values.segment !== undefined && { segment: values.segment }),
    }).context ?? {};
  return {
    label: policy,
    policy,
    adapter: isTrained(policy) ? values[`${policy}-adapter`] : undefined,
    context: { ...plain, ...(keepsSlots(policy) && slotTokens !== undefined && { slotTokens }) },
    ablation: undefined,
  };
}

/** Lists the subjects: of flags, then of a file. @throws {@link InvalidRequestError} {@link FileError} */
export async function toSubjects(values: EvalValues): Promise<readonly Subject[]> {
  const asked: readonly Ablation[] = splitList(values.ablations ?? "").map((text) =>
    parseChoice("ablations", text, ablations),
  );
  const ofFlags = choosePolicies(values).flatMap((policy): Subject[] => {
    const whole = subjectOfFlags(values, policy);
    const ablated = isTrained(policy) ? asked : [];
    return [whole, ...ablated.map((ablation) => ({ ...whole, label: `${policy} ${ablation}`, ablation }))];
  });
  const file = values["policy-file"];
  const subjects = [...ofFlags, ...(file === undefined ? [] : await readSubjects(file))];
  assertLabels(subjects);
  if (subjects.length === 0)
    throw usageError("--policies is empty", { expected: policyNames.join(", "), command: "eval" });
  return subjects;
}
