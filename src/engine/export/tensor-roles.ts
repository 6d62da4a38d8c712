/**
 * What the inputs and outputs of exported graphs are for: the words of the manifest.
 *
 * A tensor's role follows from its name; one of a layer, or of a kind of layers, says which.
 */

import { z } from "zod";
import { InternalError } from "../../errors.ts";
import { inferenceNames } from "../../models/decoder.ts";

/** Is what is known of a role. */
interface RoleFacts {
  /** Matches the names of its tensors; a group is the layer or the kind. */
  readonly pattern: RegExp;
  /** What the number in a name counts. */
  readonly index?: "layer" | "kind";
  readonly meaning: string;
}

/** Matches a name alone, or with the number of a kind of layers; without one it is that of kind 0. */
const kinds = (name: string): RegExp => new RegExp(`^${name}(?:\\.(\\d+))?$`);
const layers = (name: string): RegExp => new RegExp(`^${name}\\.(\\d+)$`);
const whole = (name: string): RegExp => new RegExp(`^${name}$`);

/** Says what a tensor is for. */
export type TensorRole =
  | "token-ids"
  | "logit-row"
  | "rotary-cos"
  | "rotary-sin"
  | "past-mask"
  | "mask"
  | "past-keys"
  | "past-values"
  | "memory-matrix"
  | "memory-normalizer"
  | "unrotate-cos"
  | "unrotate-sin"
  | "logits"
  | "new-keys"
  | "new-values"
  | "new-memory-matrix"
  | "new-memory-normalizer";

const roles: { readonly [Role in TensorRole]: RoleFacts } = {
  "token-ids": {
    pattern: whole(inferenceNames.tokenIds),
    meaning: "[T]: the ids of the n new tokens; rows from n on are padding and may hold any id, such as 0",
  },
  "logit-row": {
    pattern: whole(inferenceNames.logitRows),
    meaning: "[1]: the row of the new tokens whose logits are wanted: n - 1",
  },
  "rotary-cos": {
    pattern: kinds("rotary_cos"),
    index: "kind",
    meaning:
      "[1, T, pairs]: element [0, t, i] is rotaryScale * cos((length + t) * inverseFrequencies[i]), with the numbers of " +
      "attention.kinds[kind]; compute the angle in float64; padding rows may hold anything finite",
  },
  "rotary-sin": {
    pattern: kinds("rotary_sin"),
    index: "kind",
    meaning: "[1, T, pairs]: as rotary-cos, with sin",
  },
  "past-mask": {
    pattern: kinds("past_mask"),
    index: "kind",
    meaning:
      "[P], for a single token: 0 at a place that it attends to, maskedValue elsewhere. It attends to place p when " +
      "p < used, and p > used - windowTokens where attention.kinds[kind].windowTokens is not null",
  },
  mask: {
    pattern: kinds("mask"),
    index: "kind",
    meaning:
      "[T, P + T]: 0 where the new token of the row attends to the column, maskedValue elsewhere. Column p < P is place " +
      "p of the cache, as in past-mask with p > used + t - windowTokens for row t; column P + s is new token s: row t " +
      "attends to s when s <= t, and s > t - windowTokens where there is a window. Padding rows too",
  },
  "past-keys": {
    pattern: layers("past_keys"),
    index: "layer",
    meaning: "[K, 1, P, D]: the layer's cached keys; places from used on may hold anything finite",
  },
  "past-values": {
    pattern: layers("past_values"),
    index: "layer",
    meaning: "[K, 1, P, D]: the layer's cached values",
  },
  "memory-matrix": {
    pattern: layers("memory_matrix"),
    index: "layer",
    meaning: "[K, D, D]: the layer's memory; zeros before the first commit",
  },
  "memory-normalizer": {
    pattern: layers("memory_normalizer"),
    index: "layer",
    meaning: "[K, D, 1]: the normalizer of the layer's memory; zeros before the first commit",
  },
  "unrotate-cos": {
    pattern: kinds("unrotate_cos"),
    index: "kind",
    meaning:
      "[1, T, pairs]: element [0, t, i] is cos((S + T * commits + t) * inverseFrequencies[i]) / rotaryScale, with the " +
      "numbers of attention.kinds[kind] and angles in float64",
  },
  "unrotate-sin": {
    pattern: kinds("unrotate_sin"),
    index: "kind",
    meaning: "[1, T, pairs]: as unrotate-cos, with -sin of the angle",
  },
  logits: {
    pattern: whole(inferenceNames.logits),
    meaning: "[1, V]: the logits after the token of the logit row",
  },
  "new-keys": {
    pattern: layers("new_keys"),
    index: "layer",
    meaning: "[K, T, D]: rows 0 to n - 1 go to places used to used + n - 1 of past-keys",
  },
  "new-values": {
    pattern: layers("new_values"),
    index: "layer",
    meaning: "[K, T, D]: rows 0 to n - 1 go to places used to used + n - 1 of past-values",
  },
  "new-memory-matrix": {
    pattern: layers("new_matrix"),
    index: "layer",
    meaning: "[K, D, D]: the layer's memory-matrix after the commit",
  },
  "new-memory-normalizer": {
    pattern: layers("new_normalizer"),
    index: "layer",
    meaning: "[K, D, 1]: the layer's memory-normalizer after the commit",
  },
};

const entries = Object.entries(roles) as [TensorRole, RoleFacts][];

/** Parses a role. */
export const tensorRoleSchema: z.ZodType<TensorRole> = z.enum(
  entries.map(([role]) => role) as [TensorRole, ...TensorRole[]],
);

/** Gives the meaning of every role, for the manifest. */
export const roleMeanings: Readonly<Record<string, string>> = Object.fromEntries(
  entries.map(([role, { meaning }]) => [role, meaning]),
);

/** Is the role of one tensor. */
export interface RoleOfTensor {
  readonly role: TensorRole;
  readonly layer?: number;
  /** Index into the kinds of layers. */
  readonly kind?: number;
}

/** Finds what a tensor of an exported graph is for, by its name. @throws {@link InternalError} when none fits. */
export function roleOfTensor(name: string): RoleOfTensor {
  for (const [role, { pattern, index }] of entries) {
    const match = pattern.exec(name);
    if (match === null) continue;
    return index === undefined ? { role } : { role, [index]: Number(match[1] ?? 0) };
  }
  throw new InternalError({
    where: "export",
    what: "the manifest has no word for an input or output",
    got: name,
    expected: entries.map(([role]) => role).join(", "),
  });
}
