/**
 * Weights before the first step of pre-training.
 *
 * Matrices are drawn with variance 1 / inSize; what is added to the residual stream is smaller by sqrt(2L), so that
 * the stream does not grow with depth (GPT-2, section 2.3). Norms begin as ones, biases as zeros. Embeddings are as
 * large as what layers add to them, so that a layer sees which token it is at; where they are the output's matrix too,
 * the last norm begins so small that logits have a deviation of 0.7.
 */

import { UnsupportedError } from "../errors.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import { type DecoderExtras, planDecoderTensors, type TensorPlan } from "../models/decoder-tensors.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { elementCount } from "../tensor/shape.ts";
import { createDraws } from "./random-draws.ts";

const embeddingDeviation = 0.5;
const logitDeviation = 0.7;

const trainable: Readonly<Record<string, Omit<DecoderExtras, "tied">>> = {
  llama: {},
  mistral: {},
  qwen2: { hasQueryKeyValueBias: true },
  qwen3: { queryKeyNorm: "head" },
};

const addsToStream = /\.(?:o_proj|down_proj)\.weight$/;

function deviationOf({ name, shape, role }: TensorPlan, layerCount: number): number {
  if (role === "embedding") return embeddingDeviation;
  const deviation = 1 / Math.sqrt(shape[1] ?? 1);
  return addsToStream.test(name) ? deviation / Math.sqrt(2 * layerCount) : deviation;
}

function drawValues(plan: TensorPlan, config: DecoderConfig, seed: number): Float32Array {
  const { layerCount, hiddenSize } = config.geometry;
  const values = new Float32Array(elementCount(plan.shape));
  const isScaled = plan.name === "model.norm.weight" && config.tiedEmbeddings;
  if (plan.role === "norm")
    return values.fill(isScaled ? logitDeviation / (embeddingDeviation * Math.sqrt(hiddenSize)) : 1);
  if (plan.role === "bias") return values;
  const draws = createDraws(seed, `weights ${plan.name}`);
  // A uniform draw of this half width has the deviation wanted.
  const halfWidth = Math.sqrt(3) * deviationOf(plan, layerCount);
  return values.map(() => halfWidth * (2 * draws.uniform() - 1));
}

/**
 * Plans the tensors of a new model.
 * @throws {@link UnsupportedError} for a family that this version does not pre-train.
 */
export function planInitialWeights(config: DecoderConfig): readonly TensorPlan[] {
  const extras = Object.hasOwn(trainable, config.modelType) ? trainable[config.modelType] : undefined;
  if (extras === undefined) {
    throw new UnsupportedError({
      where: "config.json: model_type",
      what: "this version does not pre-train the family",
      got: config.modelType,
      expected: Object.keys(trainable).join(", "),
    });
  }
  const { layerCount, hiddenSize, queryHeadCount, keyValueHeadCount, headSize } = config.geometry;
  const { mlpSize, vocabularySize } = config;
  const heads = { queryHeadCount, keyValueHeadCount, headSize };
  const sizes = { layerCount, hiddenSize, ...heads, mlpSize, vocabularySize };
  return planDecoderTensors(sizes, { ...extras, tied: config.tiedEmbeddings });
}

/**
 * Counts the numbers that a new model has to learn, before any is drawn.
 * @throws {@link UnsupportedError} for a family that this version does not pre-train.
 */
export function countInitialWeights(config: DecoderConfig): number {
  return planInitialWeights(config).reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

/**
 * Draws the weights of a new model: each depends on the seed and its own name alone.
 * @throws {@link UnsupportedError} for a family that this version does not pre-train.
 */
export function drawInitialWeights(config: DecoderConfig, seed: number): Map<string, HostTensor<"float32">> {
  return new Map(
    planInitialWeights(config).map((plan) => [
      plan.name,
      hostTensor("float32", plan.shape, drawValues(plan, config, seed)),
    ]),
  );
}

/**
 * Gives arrays the names and shapes of a new model's weights.
 * @param arrays - by the names of the weights, in their sizes; shared, not copied.
 */
export function shapeInitialWeights(
  config: DecoderConfig,
  arrays: ReadonlyMap<string, Float32Array>,
): Map<string, HostTensor<"float32">> {
  return new Map(
    planInitialWeights(config).map(({ name, shape }) => [
      name,
      hostTensor("float32", shape, arrays.get(name) ?? new Float32Array(elementCount(shape))),
    ]),
  );
}
