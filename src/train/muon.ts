/**
 * Muon: momentum whose matrices are made orthogonal, so that rare directions learn as fast as frequent ones
 * (K. Jordan and others, 2024); steps of the size that AdamW's have (Moonlight, arXiv 2502.16982, section 2.2).
 *
 *     m = momentum m + g,  u = g + momentum m
 *     p = p - rate 0.2 sqrt(max(rows, columns)) orthogonal(u) - rate decay p
 *
 * It moves matrices of hidden layers. Whatever else there is, embeddings, norms and biases, another optimizer moves.
 */

import { InvalidRequestError } from "../errors.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import {
  checkGroups,
  checkLearningRate,
  checkSetting,
  groupOf,
  type Optimizer,
  type ParameterGroup,
} from "./optimizer.ts";
import { buildOrthogonalization, type MatrixStack, stackNames } from "./orthogonalize.ts";
import { assertAlike, type NamedArrays } from "./parameters.ts";

/** Chooses how matrices move, and who moves the rest. */
export interface MuonOptions {
  /** The matrices, by name: rows and columns. */
  readonly matrices: ReadonlyMap<string, readonly [rows: number, columns: number]>;
  /** Moves every other parameter, with the same learning rate; its moments of all begin as zeros. */
  readonly others: Optimizer;
  /** Computes the orthogonal matrices. */
  readonly runtime: Runtime;
  /** In [0, 1); default 0.95. */
  readonly momentum?: number;
  /** Of the matrices. */
  readonly groups: readonly ParameterGroup[];
}

/** A step's root mean square over a matrix, in learning rates: what AdamW's steps have. */
const stepSize = 0.2;

/** Is the matrices of one shape. */
interface Shelf extends MatrixStack {
  readonly names: readonly string[];
  /** What is to be made orthogonal, one matrix behind the other. */
  readonly blended: HostTensor<"float32">;
}

function layShelves(matrices: MuonOptions["matrices"]): Shelf[] {
  const byShape = new Map<string, string[]>();
  for (const [name, shape] of matrices) {
    const names = byShape.get(String(shape)) ?? [];
    byShape.set(String(shape), [...names, name]);
  }
  return [...byShape.values()].map((names) => {
    const [rows, columns] = matrices.get(names[0] ?? "") ?? [0, 0];
    const count = names.length;
    const data = new Float32Array(count * rows * columns);
    return { names, count, rows, columns, blended: hostTensor("float32", [count, rows, columns], data) };
  });
}

function arrayOf(arrays: NamedArrays, name: string): Float32Array {
  const array = arrays.get(name);
  if (array !== undefined) return array;
  throw new InvalidRequestError({ where: `Muon: ${name}`, what: "there is no such parameter" });
}

/** Checks that the parameters have every matrix, in its size. @throws {@link InvalidRequestError} */
function checkMatrices(matrices: MuonOptions["matrices"], parameters: NamedArrays): void {
  for (const [name, [rows, columns]] of matrices) {
    const { length } = arrayOf(parameters, name);
    checkSetting(`Muon: ${name}`, length, length === rows * columns, `${rows} times ${columns} elements`);
  }
}

/** Counts a gradient into its moment, and writes into `out` what is to be made orthogonal. */
function blendMoment(
  moment: Float32Array,
  gradient: Float32Array,
  momentum: number,
  out: Float32Array,
): void {
  for (let index = 0; index < moment.length; index++) {
    const slope = gradient[index] ?? 0;
    const blended = momentum * (moment[index] ?? 0) + slope;
    moment[index] = blended;
    out[index] = slope + momentum * blended;
  }
}

/**
 * Creates a Muon.
 * @throws {@link InvalidRequestError} naming the option that is out of range.
 */
export async function createMuon(options: MuonOptions): Promise<Optimizer & AsyncDisposable> {
  const { matrices, others, runtime, momentum = 0.95, groups } = options;
  checkSetting("Muon: momentum", momentum, momentum >= 0 && momentum < 1, "a number in [0, 1)");
  checkGroups("Muon", groups);
  const shelves = layShelves(matrices);
  const session = await runtime.createSession(buildOrthogonalization(shelves));
  const pickOthers = (arrays: NamedArrays): NamedArrays =>
    new Map([...arrays].filter(([name]) => !matrices.has(name)));

  const blendShelf = (
    { names, rows, columns, blended }: Shelf,
    gradients: NamedArrays,
    moments: NamedArrays,
  ) => {
    const size = rows * columns;
    for (const [place, name] of names.entries()) {
      const out = blended.data.subarray(place * size, (place + 1) * size);
      blendMoment(arrayOf(moments, name), arrayOf(gradients, name), momentum, out);
    }
  };

  const stepShelf = (
    { names, rows, columns }: Shelf,
    parameters: NamedArrays,
    directions: Float32Array,
    learningRate: number,
  ): void => {
    const size = rows * columns;
    for (const [place, name] of names.entries()) {
      const { weightDecay, rateScale = 1 } = groupOf("Muon", groups, name);
      const rate = learningRate * rateScale;
      const move = rate * stepSize * Math.sqrt(Math.max(rows, columns));
      const parameter = arrayOf(parameters, name);
      const kept = 1 - rate * weightDecay;
      for (let index = 0; index < size; index++)
        parameter[index] = kept * (parameter[index] ?? 0) - move * (directions[place * size + index] ?? 0);
    }
  };

  return {
    init: (parameters) => others.init(parameters),
    async update(parameters, gradients, state, learningRate) {
      checkLearningRate("Muon", learningRate);
      assertAlike("Muon: gradients", parameters, gradients);
      assertAlike("Muon: first moments", parameters, state.first);
      // What can fail comes before what changes the moments.
      checkMatrices(matrices, parameters);
      for (const shelf of shelves) blendShelf(shelf, gradients, state.first);
      const feeds = shelves.map(({ blended }, place) => [stackNames.given(place), blended] as const);
      const results = await session.run(Object.fromEntries(feeds));
      for (const [place, shelf] of shelves.entries()) {
        const name = stackNames.orthogonal(place);
        stepShelf(shelf, parameters, hostFloats(results[name], name), learningRate);
      }
      const rest = { ...state, first: pickOthers(state.first), second: pickOthers(state.second) };
      const { step } = await others.update(pickOthers(parameters), pickOthers(gradients), rest, learningRate);
      return { ...state, step };
    },
    async [Symbol.asyncDispose]() {
      await session[Symbol.asyncDispose]();
    },
  };
}
