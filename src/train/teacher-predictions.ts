/**
 * What a teacher says of the next token: the base itself, with full attention over a document inside its trained
 * length.
 */

import { InvalidRequestError } from "../errors.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { pastKeysName } from "../memory/local-attention.ts";
import { createPolicy } from "../memory/policies.ts";
import { inferenceNames } from "../models/decoder.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import type { ModelFamily } from "../models/family.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { hostFloats } from "../runtime/tensor-memory.ts";
import { hostTensor } from "../tensor/host-tensor.ts";
import { specializeForTraining } from "./training-graph.ts";
import { describeWeights, pickFeeds, type WeightTensors } from "./weight-tensors.ts";

/** Chooses a teacher. */
export interface TeacherOptions {
  readonly family: ModelFamily;
  readonly config: DecoderConfig;
  readonly base: WeightTensors;
  readonly runtime: Runtime;
  /** Of documents, tokens; at most the positions of the model. */
  readonly lengthTokens: number;
  /** The first token whose successor is predicted, in any document: there are no predictions before it. */
  readonly firstRow: number;
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

function checkLength({ config, lengthTokens, firstRow }: TeacherOptions): void {
  const { maxPositions } = config.geometry;
  if (lengthTokens <= maxPositions && lengthTokens > firstRow) return;
  throw new InvalidRequestError({
    where: "lengthTokens",
    what: "nothing lies behind the window of such documents, or they are longer than the teacher was trained for",
    got: lengthTokens,
    expected: `${firstRow + 1} to ${maxPositions}`,
    remedy: "Train with a smaller window, or longer documents.",
  });
}

/**
 * Creates a teacher.
 * @throws {@link InvalidRequestError} when documents are too long for it, or there is nothing to say of them.
 */
export async function createTeacher(options: TeacherOptions): Promise<Teacher> {
  checkLength(options);
  const { family, config, base, runtime, lengthTokens, firstRow } = options;
  const context = { sinkTokens: 0, slotTokens: 0, windowTokens: 1, segmentTokens: lengthTokens };
  const policy = createPolicy("full", { geometry: config.geometry, context, adapter: undefined });
  const inference = family.buildInferenceGraph("teacher", config, describeWeights(base), policy);
  const stateFeeds = policy.createState().feeds(lengthTokens);
  const places = stateFeeds[pastKeysName(0)]?.shape[2] ?? 0;
  const rows = lengthTokens - firstRow;
  const shape = { tokens: lengthTokens, places, path: "base", logitRows: rows } as const;
  const graph = specializeForTraining(inference, policy, shape, [...base.keys()]);
  const b = GraphBuilder.extend(graph);
  const logits = graph.outputs.find(({ name }) => name === inferenceNames.logits) ?? b.scalar(0);
  const probabilities = b.named(probabilitiesName, b.softmax(logits, 1));
  const entropies = b.neg(b.reduceSum(b.mul(probabilities, b.logSoftmax(logits, 1)), [1], false));
  const session = await runtime.createSession(b.finish([probabilities, b.named(entropiesName, entropies)]));
  const fixed = Object.fromEntries(base);
  const int64 = (length: number, at: (index: number) => number) =>
    hostTensor(
      "int64",
      [length],
      BigInt64Array.from({ length }, (_, index) => BigInt(at(index))),
    );
  const logitRows = int64(rows, (row) => firstRow + row);
  return {
    async predict(tokens) {
      const own = {
        [inferenceNames.tokenIds]: int64(lengthTokens, (index) => tokens[index] ?? 0),
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
