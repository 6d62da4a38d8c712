/**
 * The table of memory policies: how each is made from what a model and its user give.
 */

import { InvalidRequestError, UnsupportedError } from "../errors.ts";
import type { Adapter } from "./adapter.ts";
import { createFullPolicy } from "./full-policy.ts";
import { type AttentionGeometry, type ContextSettings, memoryLayers } from "./geometry.ts";
import { createHeavyHitterPolicy } from "./h2o.ts";
import { createInfiniPolicy } from "./infini.ts";
import type { MemoryPolicy, PolicyName } from "./policy.ts";
import { createPyramidPolicy } from "./pyramidkv.ts";
import { createPaperPolicy, createStreamingPolicy } from "./segmented-policies.ts";
import { createKeyDifferencePolicy, createPlusPolicy } from "./slot-policies.ts";
import { createSnapPolicy } from "./snapkv.ts";

/** Is what a policy is made from. */
export interface PolicyRequest {
  readonly geometry: AttentionGeometry;
  readonly context: ContextSettings;
  readonly adapter: Adapter | undefined;
}

/** Refuses what leaves no layer anything to remember with. */
function assertMemoryLayers(name: PolicyName, geometry: AttentionGeometry): void {
  if (memoryLayers(geometry).length > 0) return;
  throw new UnsupportedError({
    where: "policy",
    what: `${name} has nothing to remember for a model whose layers all attend within a window`,
    got: "no layer that attends to all before",
    expected: "at least one",
    remedy: 'Choose policy "streaming".',
  });
}

function requireAdapter(name: PolicyName, adapter: Adapter | undefined, alternative: string): Adapter {
  if (adapter !== undefined) return adapter;
  throw new InvalidRequestError({
    where: "policy",
    what: `${name} needs a trained memory`,
    got: "no adapter",
    expected: "an adapter",
    remedy: `Pass an adapter, or choose policy "${alternative}".`,
  });
}

const makers: { readonly [Name in PolicyName]: (request: PolicyRequest) => MemoryPolicy } = {
  paper({ geometry, context, adapter }) {
    const given = requireAdapter("paper", adapter, "streaming");
    assertMemoryLayers("paper", geometry);
    return createPaperPolicy(geometry, context, given);
  },
  plus({ geometry, context, adapter }) {
    const given = requireAdapter("plus", adapter, "keydiff");
    assertMemoryLayers("plus", geometry);
    return createPlusPolicy(geometry, context, given);
  },
  infini({ geometry, context, adapter }) {
    assertMemoryLayers("infini", geometry);
    return createInfiniPolicy(geometry, context, adapter);
  },
  keydiff({ geometry, context }) {
    assertMemoryLayers("keydiff", geometry);
    return createKeyDifferencePolicy(geometry, context);
  },
  h2o({ geometry, context }) {
    assertMemoryLayers("h2o", geometry);
    return createHeavyHitterPolicy(geometry, context);
  },
  snapkv({ geometry, context }) {
    assertMemoryLayers("snapkv", geometry);
    return createSnapPolicy(geometry, context);
  },
  pyramidkv({ geometry, context }) {
    assertMemoryLayers("pyramidkv", geometry);
    return createPyramidPolicy(geometry, context);
  },
  streaming: ({ geometry, context }) => createStreamingPolicy(geometry, context),
  full: ({ geometry, context }) => createFullPolicy(geometry, context.segmentTokens),
};

/** Learned positions cannot be moved, as a commit would have to, nor go on after the last one. */
function assertEndless(name: PolicyName, { maxPositions, hasLearnedPositions }: AttentionGeometry): void {
  if (name === "full" || !hasLearnedPositions) return;
  throw new UnsupportedError({
    where: "policy",
    what: `the model has learned a vector for each of ${maxPositions} positions, so that its streams must end there`,
    got: name,
    expected: "full",
    remedy: `Choose policy "full" for up to ${maxPositions} tokens, or a model with rotary embedding for more.`,
  });
}

/** Lists the policies. */
export const policyNames: readonly PolicyName[] = Object.keys(makers) as PolicyName[];

const withSlots: ReadonlySet<string> = new Set<PolicyName>(["plus", "keydiff", "h2o", "snapkv", "pyramidkv"]);

/** Tells whether a policy has retained slots. @param name what a user gave as one. */
export function keepsSlots(name: string): boolean {
  return withSlots.has(name);
}

/**
 * Creates a policy by its name.
 * @throws {@link InvalidRequestError} on an unknown name, or when the policy needs an adapter and there is none;
 * {@link UnsupportedError} when the model cannot be run so.
 */
export function createPolicy(name: PolicyName, request: PolicyRequest): MemoryPolicy {
  const make = Object.hasOwn(makers, name) ? makers[name] : undefined;
  if (make !== undefined) {
    assertEndless(name, request.geometry);
    return make(request);
  }
  throw new InvalidRequestError({
    where: "policy",
    what: "unknown",
    got: name,
    expected: policyNames.join(", "),
  });
}
