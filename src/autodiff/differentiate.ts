/**
 * Reverse-mode differentiation: from a graph to one that gives gradients too.
 *
 * The nodes between parameters and loss are walked back; each hands the gradient of its outputs on to those of its
 * inputs that a parameter lies behind. What comes out is one graph: the forward values that are asked for, and the
 * gradients. Every operator has a row in the table of rules.
 */

import { InternalError, InvalidRequestError, UnsupportedError } from "../errors.ts";
import { definedValues, usedValues } from "../graph/branches.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Graph, Node, OpName, Value } from "../graph/graph.ts";
import { pruneGraph } from "../graph/rewrite.ts";
import { formatShape } from "../tensor/shape.ts";
import { GradientMap, writeScalar } from "./gradient-map.ts";
import type { GradientContext, GradientRule } from "./gradient-rule.ts";
import { findStretches } from "./joined-parts.ts";
import { gradientRules } from "./rule-table.ts";
import { expandLike } from "./shape-changes.ts";

/** Says what is differentiated by what. Everything is named as in the graph. */
export interface Differentiation {
  /** The float output of one element whose gradients are wanted; may be left out when there are others. */
  readonly loss?: string;
  /** Further values whose gradients are fed, as inputs named by {@link upstreamName}: what a later graph gave. */
  readonly upstream?: readonly string[];
  /** The inputs, constants or values in between whose gradients are wanted, as outputs named by {@link gradientName}. */
  readonly parameters: readonly string[];
  /** Values that count as constants: nothing behind them gets a gradient through them. */
  readonly detached?: readonly string[];
  /** The outputs of the graph that stay outputs; all by default. */
  readonly outputs?: readonly string[];
}

/** Names the output that is the gradient of a value. */
export const gradientName = (name: string): string => `gradient.${name}`;

/** Names the input that takes the gradient of a value. */
export const upstreamName = (name: string): string => `upstream.${name}`;

const isFloat = ({ dtype }: Value): boolean => dtype.includes("float");

/** Finds the values that are named. */
class ValueIndex {
  readonly #where: string;
  readonly #values: ReadonlyMap<string, Value>;

  constructor({ name, inputs, initializers, nodes }: Graph) {
    const all = [...inputs, ...initializers.map(({ value }) => value), ...definedValues(nodes)];
    this.#where = `graph ${name}`;
    this.#values = new Map(all.map((value) => [value.name, value]));
  }

  refuse(what: string, got: string, expected: string): never {
    throw new InvalidRequestError({ where: this.#where, what, got, expected });
  }

  /** @param role what the value is named for, in messages. */
  find(role: string, name: string): Value {
    const value = this.#values.get(name);
    if (value === undefined)
      this.refuse(`there is no such ${role}`, name, "the name of a value of the graph");
    if (!isFloat(value)) this.refuse(`the ${role} ${name} has no gradient`, value.dtype, "a float");
    return value;
  }

  findLoss(name: string): Value {
    const value = this.find("loss", name);
    if (value.shape.some((dim) => dim !== 1))
      this.refuse(`the loss ${name} has more than one element`, formatShape(value.shape), "one");
    return value;
  }
}

/** Names the values that depend on a parameter other than through what is detached. */
function findDependents(
  graph: Graph,
  parameters: readonly string[],
  detached: readonly string[],
): Set<string> {
  const dependents = new Set(parameters);
  for (const node of graph.nodes) {
    if (!usedValues(node).some(({ name }) => dependents.has(name))) continue;
    for (const output of node.outputs)
      if (isFloat(output) && !detached.includes(output.name)) dependents.add(output.name);
  }
  return dependents;
}

function valueAt(node: Node, values: readonly Value[], index: number): Value {
  const value = values[index];
  if (value === undefined)
    throw new InternalError({
      where: node.op,
      what: "a gradient needs a value that is not there",
      got: index,
    });
  return value;
}

/** Is the walk back over a graph. */
interface Walk {
  readonly b: GraphBuilder;
  readonly gradients: GradientMap;
  /** Names of the values that depend on a parameter. */
  readonly dependents: ReadonlySet<string>;
  /** The node that gives each value, by its name. */
  readonly producers: ReadonlyMap<string, Node>;
}

function contextOf<Op extends OpName>(
  { b, gradients, dependents, producers }: Walk,
  node: Node<Op>,
): GradientContext<Op> {
  const input = (index: number): Value => valueAt(node, node.inputs, index);
  const output = (index = 0): Value => valueAt(node, node.outputs, index);
  return {
    b,
    attributes: node.attributes,
    inputs: node.inputs,
    input,
    output,
    gradient: (index) => gradients.whole(output(index)),
    summands: () => gradients.parts(output()),
    stretches(index, axis) {
      const all = findStretches(producers, input(index), axis);
      const moving = all?.filter(({ part }) => dependents.has(part.name));
      return moving?.length === all?.length ? undefined : moving;
    },
    scalar: (value) => writeScalar(b, value, output()),
  };
}

/** Hands the gradient of a node's outputs on to its inputs that depend on a parameter. */
function walkBack<Op extends OpName>(walk: Walk, node: Node<Op>): void {
  const { b, gradients, dependents } = walk;
  const lacks = (name: string, reason: string): UnsupportedError =>
    new UnsupportedError({
      where: `graph ${b.name}`,
      what: `${node.op} has no gradient for ${name}: ${reason}`,
    });
  const rule: GradientRule<Op> = gradientRules[node.op];
  if (typeof rule !== "function") throw lacks(node.outputs[0]?.name ?? "its inputs", rule.reason);
  const handed = rule(contextOf(walk, node));
  for (const [index, input] of node.inputs.entries()) {
    const gradient = handed[index];
    if (gradient === undefined || !dependents.has(input.name)) continue;
    if (typeof gradient !== "function") throw lacks(input.name, gradient.reason);
    for (const summand of [gradient()].flat()) {
      if ("to" in summand) gradients.add(summand.to, summand.gradient);
      else gradients.add(input, summand);
    }
  }
}

/**
 * Writes the graph that computes gradients.
 *
 * @returns the graph with its inputs that are still needed and those of `upstream`; its outputs are those of the
 * forward graph that stay and, in the order of `parameters`, the gradients, each of its parameter's shape and dtype.
 * @throws {@link InvalidRequestError} when a name is unknown or nothing depends on a parameter.
 * @throws {@link UnsupportedError} when an operator on the way has no gradient; the message says why.
 */
export function differentiate(graph: Graph, differentiation: Differentiation): Graph {
  const { loss, upstream = [], parameters, detached = [] } = differentiation;
  const { outputs = graph.outputs.map(({ name }) => name) } = differentiation;
  const index = new ValueIndex(graph);
  const b = GraphBuilder.extend(graph);
  const gradients = new GradientMap(b);
  const wanted = parameters.map((name) => index.find("parameter", name));
  if (loss !== undefined) {
    const value = index.findLoss(loss);
    gradients.add(value, expandLike(b, writeScalar(b, 1, value), value));
  }
  for (const name of upstream) {
    const value = index.find("upstream value", name);
    gradients.add(value, b.input(upstreamName(name), value.dtype, value.shape));
  }
  const dependents = findDependents(graph, parameters, detached);
  const producers = new Map(
    graph.nodes.flatMap((node) => node.outputs.map(({ name }) => [name, node] as const)),
  );
  const walk = { b, gradients, dependents, producers };
  for (const node of graph.nodes.toReversed()) {
    const isReached = node.outputs.some((output) => gradients.has(output) && !detached.includes(output.name));
    if (isReached && usedValues(node).some(({ name }) => dependents.has(name))) walkBack(walk, node);
  }
  const given = wanted.map((value) => {
    if (!gradients.has(value))
      index.refuse("nothing that is differentiated depends on a parameter", value.name, "a path to it");
    return b.named(gradientName(value.name), gradients.whole(value));
  });
  const kept = graph.outputs.filter(({ name }) => outputs.includes(name));
  return pruneGraph(b.finish([...kept, ...given]));
}
