/**
 * Builds graphs: one method an operator, types derived by the shape rules as it goes.
 *
 * A builder writes one graph. A branch of `If` is written by a builder of its own that shares the outer
 * one's names and constants.
 */

import { ShapeError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { definedValues } from "./branches.ts";
import { addDims, type Dim, type Shape } from "./dim.ts";
import type {
  ExternalData,
  Graph,
  Initializer,
  InitializerData,
  Node,
  OpAttributes,
  OpName,
  Value,
} from "./graph.ts";
import { shapeRules } from "./op-table.ts";
import type { ShapeRule } from "./shape-rule.ts";

/** Is what a graph and its branches share: constants and names in use. */
interface BuilderScope {
  readonly names: Set<string>;
  /** Where the search for a free name goes on, per base name. */
  readonly nextSuffixes: Map<string, number>;
  readonly initializers: Initializer[];
  readonly scalars: Map<string, Value>;
  /** What each reshaped value is a view of. */
  readonly viewed: Map<Value, Value>;
}

/** Lists the names that a node reads, with its branches. */
function namesRead(node: Node): string[] {
  const names = node.inputs.map(({ name }) => name);
  if (node.op !== "If") return names;
  const { thenBranch, elseBranch } = node.attributes as OpAttributes["If"];
  const ofBranch = ({ nodes, outputs }: Graph): string[] => [
    ...nodes.flatMap(namesRead),
    ...outputs.map(({ name }) => name),
  ];
  return [...names, ...ofBranch(thenBranch), ...ofBranch(elseBranch)];
}

/** Leaves out the nodes that nothing reads. */
function pruneNodes(nodes: readonly Node[], outputs: readonly Value[]): Node[] {
  const read = new Set(outputs.map(({ name }) => name));
  const kept = [...nodes].reverse().filter((node) => {
    if (!node.outputs.some(({ name }) => read.has(name))) return false;
    for (const name of namesRead(node)) read.add(name);
    return true;
  });
  return kept.reverse();
}

/** Builds a {@link Graph}. Values belong to the builder that made them. */
export class GraphBuilder {
  readonly name: string;
  readonly #inputs: Value[] = [];
  readonly #nodes: Node[] = [];
  readonly #scope: BuilderScope;
  readonly #isBranch: boolean;

  constructor(name: string, scope?: BuilderScope) {
    this.name = name;
    this.#isBranch = scope !== undefined;
    this.#scope = scope ?? {
      names: new Set(),
      nextSuffixes: new Map(),
      initializers: [],
      scalars: new Map(),
      viewed: new Map(),
    };
  }

  /** Goes on with a finished graph: what it has stays as it is, names included. */
  static extend(graph: Graph): GraphBuilder {
    const builder = new GraphBuilder(graph.name);
    const { names, initializers } = builder.#scope;
    builder.#inputs.push(...graph.inputs);
    builder.#nodes.push(...graph.nodes);
    initializers.push(...graph.initializers);
    for (const { name } of [...graph.inputs, ...initializers.map(({ value }) => value)]) names.add(name);
    for (const { name } of definedValues(graph.nodes)) names.add(name);
    return builder;
  }

  #uniqueName(base: string): string {
    const { names, nextSuffixes } = this.#scope;
    let suffix = nextSuffixes.get(base) ?? 0;
    let name = suffix === 0 ? base : `${base}_${suffix}`;
    while (names.has(name)) name = `${base}_${++suffix}`;
    nextSuffixes.set(base, suffix + 1);
    names.add(name);
    return name;
  }

  #claimName(name: string): string {
    if (this.#scope.names.has(name)) {
      throw new ShapeError({
        where: `graph ${this.name}`,
        what: "a name is taken",
        got: name,
        expected: "unique names",
      });
    }
    return this.#uniqueName(name);
  }

  /** Declares an input. @throws {@link ShapeError} when the name is taken or an extent is malformed. */
  input(name: string, dtype: DType, shape: Shape): Value {
    const value = { name: this.#claimName(name), dtype, shape: shape.map((dim) => addDims(dim)) };
    this.#inputs.push(value);
    return value;
  }

  #initializer(name: string, dtype: DType, shape: Shape, data: InitializerData): Value {
    const value = { name, dtype, shape };
    this.#scope.initializers.push({ value, data });
    return value;
  }

  /** Adds a constant held in memory. */
  constant(name: string, tensor: HostTensor): Value {
    return this.#initializer(this.#uniqueName(name), tensor.dtype, tensor.shape, { kind: "inline", tensor });
  }

  /** Adds a float32 scalar constant `[]`; equal scalars are shared. */
  scalar(value: number): Value {
    const key = Object.is(value, -0) ? "-0" : String(value);
    const known = this.#scope.scalars.get(key);
    if (known !== undefined) return known;
    const made = this.constant("scalar", hostTensor("float32", [], new Float32Array([value])));
    this.#scope.scalars.set(key, made);
    return made;
  }

  /** Adds a constant whose bytes stay in a file. @throws {@link ShapeError} when the name is taken. */
  external(name: string, dtype: DType, shape: readonly number[], external: ExternalData): Value {
    return this.#initializer(this.#claimName(name), dtype, shape, { kind: "external", external });
  }

  /**
   * Applies an operator; outputs are named after it, or as given.
   * @throws {@link ShapeError} when the inputs do not fit; the message names the node.
   */
  apply<Op extends OpName>(
    op: Op,
    inputs: readonly Value[],
    attributes: OpAttributes[Op],
    names: readonly string[] = [],
  ): Value[] {
    const rule: ShapeRule<OpAttributes[Op]> = shapeRules[op];
    let types: ReturnType<typeof rule>;
    try {
      types = rule(inputs, attributes);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      const list = inputs
        .map(({ name, dtype, shape }) => `${name} ${dtype} [${shape.join(", ")}]`)
        .join("; ");
      throw new ShapeError({
        where: `graph ${this.name}, ${op}(${list})`,
        what: error.message,
        cause: error,
      });
    }
    const outputs = types.map(({ dtype, shape }, index) => ({
      name: this.#uniqueName(names[index] ?? op.toLowerCase()),
      dtype,
      shape,
    }));
    this.#nodes.push({ op, inputs, attributes, outputs });
    return outputs;
  }

  #one<Op extends OpName>(
    op: Op,
    inputs: readonly Value[],
    attributes: OpAttributes[Op],
    name?: string,
  ): Value {
    const [output] = this.apply(op, inputs, attributes, name === undefined ? [] : [name]);
    if (output === undefined) throw new ShapeError({ where: op, what: "the operator has no output" });
    return output;
  }

  add(a: Value, b: Value): Value {
    return this.#one("Add", [a, b], {});
  }
  sub(a: Value, b: Value): Value {
    return this.#one("Sub", [a, b], {});
  }
  mul(a: Value, b: Value): Value {
    return this.#one("Mul", [a, b], {});
  }
  div(a: Value, b: Value): Value {
    return this.#one("Div", [a, b], {});
  }
  max(a: Value, b: Value): Value {
    return this.#one("Max", [a, b], {});
  }
  min(a: Value, b: Value): Value {
    return this.#one("Min", [a, b], {});
  }
  /** Tells where a is larger than b: a bool. */
  greater(a: Value, b: Value): Value {
    return this.#one("Greater", [a, b], {});
  }
  neg(x: Value): Value {
    return this.#one("Neg", [x], {});
  }
  exp(x: Value): Value {
    return this.#one("Exp", [x], {});
  }
  log(x: Value): Value {
    return this.#one("Log", [x], {});
  }
  sqrt(x: Value): Value {
    return this.#one("Sqrt", [x], {});
  }
  sigmoid(x: Value): Value {
    return this.#one("Sigmoid", [x], {});
  }
  tanh(x: Value): Value {
    return this.#one("Tanh", [x], {});
  }
  erf(x: Value): Value {
    return this.#one("Erf", [x], {});
  }
  elu(x: Value, alpha = 1): Value {
    return this.#one("Elu", [x], { alpha });
  }
  gelu(x: Value, approximate: OpAttributes["Gelu"]["approximate"]): Value {
    return this.#one("Gelu", [x], { approximate });
  }
  /** Computes `x * sigmoid(x)`. */
  silu(x: Value): Value {
    return this.mul(x, this.sigmoid(x));
  }
  where(condition: Value, yes: Value, no: Value): Value {
    return this.#one("Where", [condition, yes, no], {});
  }
  cast(x: Value, to: DType): Value {
    return x.dtype === to ? x : this.#one("Cast", [x], { to });
  }
  matMul(a: Value, b: Value): Value {
    return this.#one("MatMul", [a, b], {});
  }
  /** Computes `x w^T + bias`: x `[n, k]`, w `[m, k]` as checkpoints store it, bias `[m]`. */
  linear(x: Value, weight: Value, bias?: Value): Value {
    return this.gemm(bias === undefined ? [x, weight] : [x, weight, bias], false, true);
  }
  /** Computes the product of two matrices, each as it is or transposed, and adds a bias `[m]` if there is a third. */
  gemm(inputs: readonly Value[], transposeA: boolean, transposeB: boolean): Value {
    return this.#one("Gemm", inputs, { transposeA, transposeB });
  }
  /** Views x in another shape; of a view, it views what that is of. */
  reshape(x: Value, shape: Shape): Value {
    const { viewed } = this.#scope;
    const whole = viewed.get(x) ?? x;
    const view = this.#one("Reshape", [whole], { shape });
    viewed.set(view, whole);
    return view;
  }
  transpose(x: Value, permutation: readonly number[]): Value {
    return this.#one("Transpose", [x], { permutation });
  }
  concat(inputs: readonly Value[], axis: number): Value {
    return this.#one("Concat", inputs, { axis });
  }
  slice(x: Value, axis: number, start: number, end: number): Value {
    return this.#one("Slice", [x], { axis, start, end });
  }
  /** Cuts an axis into parts; `sizeValues`, int64 `[parts]`, is needed when an extent is symbolic. */
  split(x: Value, axis: number, sizes: readonly Dim[], sizeValues?: Value): Value[] {
    return this.apply("Split", sizeValues === undefined ? [x] : [x, sizeValues], { axis, sizes });
  }
  gather(x: Value, indices: Value): Value {
    return this.#one("Gather", [x, indices], {});
  }
  /** Takes one element of an axis for each index; see {@link MovementAttributes}. */
  gatherElements(x: Value, indices: Value, axis: number): Value {
    return this.#one("GatherElements", [x, indices], { axis });
  }
  /** Adds updates to x where the indices say; equal ones add up. */
  scatterAdd(x: Value, indices: Value, updates: Value, axis: number): Value {
    return this.#one("ScatterElements", [x, indices, updates], { axis, reduction: "add" });
  }
  /** Broadcasts to a shape; `extents`, int64 `[rank]`, is needed when one of them is symbolic. */
  expand(x: Value, shape: Shape, extents?: Value): Value {
    return this.#one("Expand", extents === undefined ? [x] : [x, extents], { shape });
  }
  /** Gives the extents of x, int64 `[rank]`. */
  shapeOf(x: Value): Value {
    return this.#one("Shape", [x], {});
  }
  reduceSum(x: Value, axes: readonly number[], keepDims: boolean): Value {
    return this.#one("ReduceSum", [x], { axes, keepDims });
  }
  reduceMean(x: Value, axes: readonly number[], keepDims: boolean): Value {
    return this.#one("ReduceMean", [x], { axes, keepDims });
  }
  reduceMax(x: Value, axes: readonly number[], keepDims: boolean): Value {
    return this.#one("ReduceMax", [x], { axes, keepDims });
  }
  softmax(x: Value, axis: number): Value {
    return this.#one("Softmax", [x], { axis });
  }
  logSoftmax(x: Value, axis: number): Value {
    return this.#one("LogSoftmax", [x], { axis });
  }
  rmsNorm(x: Value, weight: Value, epsilon: number): Value {
    return this.#one("RMSNormalization", [x, weight], { epsilon });
  }
  layerNorm(x: Value, weight: Value, bias: Value, epsilon: number): Value {
    return this.#one("LayerNormalization", [x, weight, bias], { epsilon });
  }
  /** Computes `x w^T` with quantised weights; see {@link QuantizedAttributes}. */
  matMulNBits(x: Value, weights: readonly Value[], format: OpAttributes["MatMulNBits"]): Value {
    return this.#one("MatMulNBits", [x, ...weights], format);
  }
  /** Takes rows of a quantised table; see {@link QuantizedAttributes}. */
  gatherBlockQuantized(
    data: Value,
    indices: Value,
    scales: Value,
    format: OpAttributes["GatherBlockQuantized"],
  ): Value {
    return this.#one("GatherBlockQuantized", [data, indices, scales], format);
  }
  rotaryEmbedding(x: Value, cos: Value, sin: Value): Value {
    return this.#one("RotaryEmbedding", [x, cos, sin], {});
  }

  /** Computes `softmax(scale q k^T + mask) v`; see {@link AttentionAttributes}. */
  attention(query: Value, key: Value, value: Value, mask: Value, scale: number): Value {
    return this.#one("Attention", [query, key, value, mask], { scale });
  }

  /** Evaluates one of two branches by a bool scalar; both must give values of the same types. */
  if(
    condition: Value,
    thenBranch: (builder: GraphBuilder) => readonly Value[],
    elseBranch: (builder: GraphBuilder) => readonly Value[],
    names: readonly string[] = [],
  ): Value[] {
    const build = (suffix: string, write: (builder: GraphBuilder) => readonly Value[]): Graph => {
      const builder = new GraphBuilder(`${this.name}_${suffix}`, this.#scope);
      return builder.finish(write(builder));
    };
    const branches = { thenBranch: build("then", thenBranch), elseBranch: build("else", elseBranch) };
    return this.apply("If", [condition], branches, names);
  }

  /** Gives a value a name of its own, as outputs need. @throws {@link ShapeError} when the name is taken. */
  named(name: string, x: Value): Value {
    if (this.#scope.names.has(name)) this.#claimName(name);
    return this.#one("Identity", [x], {}, name);
  }

  /** Ends the graph; what no output needs is left out. Constants belong to the outermost graph. */
  finish(outputs: readonly Value[]): Graph {
    return {
      name: this.name,
      inputs: this.#inputs,
      outputs,
      initializers: this.#isBranch ? [] : this.#scope.initializers,
      nodes: pruneNodes(this.#nodes, outputs),
    };
  }
}
