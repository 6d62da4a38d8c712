/**
 * Makes inputs of constants, so that what they hold can change from run to run: weights that are trained.
 */

import { ShapeError } from "../errors.ts";
import type { Graph } from "./graph.ts";
import { rewriteGraph } from "./rewrite.ts";

/**
 * Makes float32 inputs of constants that are floats of any kind; they keep their names, shapes and order, behind the
 * inputs that the graph had. Branches of `If` stay as they are: specialise the graph first.
 * @throws {@link ShapeError} when a name is not that of a constant, or not of floats.
 */
export function freeConstants(graph: Graph, names: readonly string[]): Graph {
  const left = new Set(names);
  const refuse = (what: string, got: string, expected: string): never => {
    throw new ShapeError({ where: `graph ${graph.name}`, what, got, expected });
  };
  const freed = rewriteGraph(graph, {
    initializer({ builder }, { value: { name, dtype, shape } }) {
      if (!left.delete(name)) return undefined;
      if (!dtype.includes("float")) refuse(`the constant ${name} is not of floats`, dtype, "floats");
      return builder.input(name, "float32", shape);
    },
    node(context, { op, outputs: [output] }, [first]) {
      // What widened the constant has nothing left to do.
      const isIdle = op === "Cast" && output !== undefined && first?.dtype === output.dtype;
      return isIdle && !context.isOutput(output) ? [first] : undefined;
    },
  });
  const [unknown] = left;
  if (unknown !== undefined) refuse("there is no such constant", unknown, "the name of a constant");
  return freed;
}
