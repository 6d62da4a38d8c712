/**
 * The sizes that a memory is trained for: what was asked for, and what steps take in turn beside it.
 */

import { type ContextSettings, fitDefaultContext, validateContext } from "../memory/geometry.ts";
import type { GateValues } from "./gate-options.ts";
import { parseWhole } from "./training-options.ts";

/**
 * Chooses the sizes from options, from what is known, and defaults that fit the model.
 * @throws {@link InvalidRequestError} when they are no sizes, or exceed the model's trained positions.
 */
function chooseContext(
  { sinks, window, segment }: GateValues,
  maxPositions: number,
  slotTokens: number,
  known: Partial<ContextSettings>,
): ContextSettings {
  const context = {
    ...fitDefaultContext(maxPositions, slotTokens),
    ...known,
    slotTokens,
    ...(sinks !== undefined && { sinkTokens: parseWhole("sinks", sinks, 0) }),
    ...(window !== undefined && { windowTokens: parseWhole("window", window, 1) }),
    ...(segment !== undefined && { segmentTokens: parseWhole("segment", segment, 2) }),
  };
  validateContext(context, maxPositions);
  return context;
}

/** Lists the settings that steps take in turn: a gate that has seen one window alone does not serve another. */
export function varyContext(context: ContextSettings): readonly ContextSettings[] {
  const part = (share: number, tokens: number, least: number): number =>
    Math.max(least, Math.ceil(share * tokens));
  const { sinkTokens, windowTokens, segmentTokens } = context;
  const all = [
    context,
    { ...context, windowTokens: part(0.5, windowTokens, 1) },
    { ...context, segmentTokens: part(0.5, segmentTokens, 2) },
    {
      ...context,
      sinkTokens: part(0.5, sinkTokens, 0),
      windowTokens: part(0.75, windowTokens, 1),
      segmentTokens: part(0.75, segmentTokens, 2),
    },
  ];
  const names = all.map((one) => JSON.stringify(one));
  return all.filter((_, index) => names.indexOf(JSON.stringify(all[index])) === index);
}

/**
 * Chooses the sizes that steps take in turn; the first, which was asked for, has the most tokens.
 * @param slotTokens - B.
 * @param known - the sizes of an adapter, which options override.
 * @throws {@link InvalidRequestError} when they are no sizes, or exceed the model's trained positions.
 */
export function chooseContexts(
  values: GateValues,
  maxPositions: number,
  slotTokens: number,
  known: Partial<ContextSettings> = {},
): readonly [ContextSettings, ...ContextSettings[]] {
  const context = chooseContext(values, maxPositions, slotTokens, known);
  return values["fixed-context"] ? [context] : [context, ...varyContext(context).slice(1)];
}
