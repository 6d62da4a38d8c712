/**
 * The slope of an objective's loss along one of its parameters, by central differences.
 */

import type { TrainingDocument } from "../../src/train/data/document-source.ts";
import type { Objective } from "../../src/train/objective.ts";
import { zerosLike } from "../../src/train/parameters.ts";

/** Far enough that rounding of losses in float32 does not drown their difference. */
const distance = 0.02;

/** Measures the slope on a document; the parameter is as it was afterwards. */
export async function measureSlope(
  objective: Objective,
  document: TrainingDocument,
  place: { readonly name: string; readonly index: number; readonly step?: number },
): Promise<number> {
  const { name, index, step = 0 } = place;
  const parameter = objective.parameters.get(name);
  const value = parameter?.[index];
  if (parameter === undefined || value === undefined) throw new Error(`no parameter ${name}[${index}]`);
  const lossAt = async (moved: number): Promise<number> => {
    parameter[index] = moved;
    return (await objective.accumulate(document, zerosLike(objective.parameters), step)).loss;
  };
  const above = await lossAt(value + distance);
  const below = await lossAt(value - distance);
  parameter[index] = value;
  return (above - below) / (2 * distance);
}
