/**
 * What is evaluated: a way to remember, with its settings, and an ablation if one is asked for.
 */

import type { ContextSettings } from "../memory/geometry.ts";
import type { PolicyName } from "../memory/policy.ts";
import type { Ablation } from "./ablations.ts";

/** Is one way to remember. */
export interface Subject {
  /** Names its rows. */
  readonly label: string;
  readonly policy: PolicyName;
  /** A folder or hub name; undefined for policies that have none. */
  readonly adapter: string | undefined;
  readonly context: Partial<ContextSettings>;
  readonly ablation: Ablation | undefined;
}
