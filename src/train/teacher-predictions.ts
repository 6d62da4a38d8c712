/**
 * What a teacher says of the next token: the base itself, with full attention over a document inside its trained
 * length.
 */

import { GraphBuilder } from "../graph/builder.ts";
import { inferenceNames } from "../models/decoder.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { buildTeacherGraph, type TeacherGraphOptions } from "./teacher-graph.ts";
import { tokenFeeds } from "./training-graph.ts";
import { pickFeeds } from "./weight-tensors.ts";

/** Chooses a teacher that predicts the successors of the tokens from `firstRow` on. */
export interface TeacherOptions extends TeacherGraphOptions {
  readonly runtime: Runtime;
}

/** Is what a teacher says of a document. */
export interface Predictions {
  /** Of each token behind each row, `[lengthTokens - firstRow, V]`. */
  readonly probabilities: Float32Array;
  /** Of each row, nats. */
  readonly entropies: Float32Array;
}

/** Predicts. */
export interface Teacher extends AsyncDisposable {
  predict(tokens: Int32Array): Promise<Predictions>;
}

const [probabilitiesName, entropiesName] = ["probabilities", "entropies"] as const;

/**
 * Creates a teacher.
 * @throws {@link InvalidRequestError} when documents are too long for it, or there is nothing to say of them.
 */
export async function createTeacher(options: TeacherOptions): Promise<Teacher> {
  const { base, runtime, lengthTokens, firstRow } = options;
  const { graph, stateFeeds } = buildTeacherGraph(options);
  const rows = lengthTokens - firstRow;
  const b = GraphBuilder.extend(graph);
  const logits = graph.outputs.find(({ name }) => name === inferenceNames.logits) ?? b.scalar(0);
  const probabilities = b.named(probabilitiesName, b.softmax(logits, 1));
  const entropies = b.neg(b.reduceSum(b.mul(probabilities, b.logSoftmax(logits, 1)), [1], false));
  const session = await runtime.createSession(b.finish([probabilities, b.named(entropiesName, entropies)]));
  const fixed = Object.fromEntries(base);
  const logitRows = hostTensor(
    "int64",
    [rows],
    BigInt64Array.from({ length: rows }, (_, row) => BigInt(firstRow + row)),
  );
  return {
    async predict(tokens) {
      const own = {
        ...tokenFeeds(tokens, 0, lengthTokens),
        [inferenceNames.logitRows]: logitRows,
      };
      const outputs = await session.run(pickFeeds(session, fixed, stateFeeds, own));
      return {
        probabilities: hostFloats(outputs[probabilitiesName], probabilitiesName),
        entropies: hostFloats(outputs[entropiesName], entropiesName),
      };
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}
