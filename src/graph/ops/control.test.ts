import { describeShapeRules, parseTypes } from "../../../test/support/describe-shape-rules.ts";
import type { ControlAttributes, Graph } from "../graph.ts";
import { controlShapes } from "./control.ts";

function branch(name: string, outputs: string): Graph {
  const values = parseTypes(outputs).map((type, index) => ({ ...type, name: `${name}${index}` }));
  return { name, inputs: [], initializers: [], nodes: [], outputs: values };
}

const branches = (thenOutputs: string, elseOutputs: string): ControlAttributes["If"] => ({
  thenBranch: branch("then", thenOutputs),
  elseBranch: branch("else", elseOutputs),
});

describeShapeRules<ControlAttributes>(controlShapes, {
  If: {
    gives: [
      ["bool []", branches("float32 [T]; int64 []", "float32 [T]; int64 []"), "float32 [T]; int64 []"],
      ["bool []", branches("", ""), ""],
    ],
    refuses: [
      ["", branches("", ""), /an input is missing/],
      ["float32 []", branches("", ""), /dtype, got "float32", expected bool/],
      ["bool [1]", branches("", ""), /rank/],
      ["bool []", branches("float32 [T]", "float32 [P]"), /the branches' outputs differ/],
      ["bool []", branches("float32 [T]", "int64 [T]"), /the branches' outputs differ/],
      ["bool []", branches("float32 [T]", "float32 [T]; float32 [T]"), /the branches' outputs differ/],
      ["bool []", branches("float32 [T]; float32 [T]", "float32 [T]"), /the branches' outputs differ/],
    ],
  },
});
