/**
 * The plot of a run's loss over its steps, as SVG: each step's, and the mean of the last ones.
 */

import { drawLinePlots } from "./line-plot.ts";

/** Is a step with its loss; one without a finite loss is left out. */
export interface LossPoint {
  readonly step: number;
  readonly loss: number;
}

/** Bounds the points that are drawn. */
const mostPoints = 2000;

/** Draws the losses of a run, in the order of their steps; gives the text of an SVG file. */
export function drawLossPlot(title: string, losses: readonly LossPoint[]): string {
  const finite = losses.filter(({ loss }) => Number.isFinite(loss));
  const windowSteps = Math.max(1, Math.round(finite.length / 50));
  let sum = 0;
  const means = finite.map(({ step, loss }, index): readonly [number, number] => {
    sum += loss - (finite[index - windowSteps]?.loss ?? 0);
    return [step, sum / Math.min(index + 1, windowSteps)];
  });
  const stride = Math.ceil(finite.length / mostPoints);
  const thin = <Point>(points: readonly Point[]): Point[] =>
    points.filter((_, index) => index % stride === 0 || index === points.length - 1);
  return drawLinePlots([
    {
      title,
      xLabel: "step",
      yLabel: "loss",
      xScale: "linear",
      yScale: "linear",
      formatX: String,
      formatY: String,
      lines: [
        {
          label: "of a step",
          color: "#9cd",
          width: 1,
          points: thin(finite.map(({ step, loss }) => [step, loss] as const)),
        },
        { label: `mean of ${windowSteps} steps`, color: "#c33", points: thin(means) },
      ],
    },
  ]);
}
