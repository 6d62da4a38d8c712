/**
 * Tiny random models whose greedy choices are wide enough to survive quantisation, yet made by the layers.
 *
 * Of random logits the best two are often closer than the noise of 8 bits, and a test would pass or fail by luck.
 * Here every token has two successors, whose rows of the output matrix hold the token's own embedding: both stand
 * out, and what the layers add decides between them. A rotary base that is wrong by a factor of 3 changes the
 * choices within 64 tokens in 37 of 40 streams.
 */

import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { openCheckpointWeights } from "../../src/files/checkpoint-files.ts";
import { type ModelFolder, memoryModelFolder } from "../../src/files/model-folder.ts";
import { readTensor } from "../../src/files/safetensors.ts";
import { writeSafetensors } from "../../src/files/safetensors-writer.ts";
import { decodeFloat16 } from "../../src/tensor/half-float.ts";
import { type HostTensor, hasDType, hostTensor } from "../../src/tensor/host-tensor.ts";
import { encodeGgufTensor } from "../../test/support/gguf/gguf-quantize.ts";

/** Names of the embedding and the output matrix, of the families that have other ones than most. */
const embeddingNames = ["model.embed_tokens.weight", "gpt_neox.embed_in.weight", "wte.weight"];
const outputNames = ["lm_head.weight", "embed_out.weight"];

/** Shuffles the numbers below `count`. */
function shuffle(count: number, seed: number): number[] {
  const generator = xoroshiro128plus(seed);
  const order = Array.from({ length: count }, (_, index) => index);
  for (let index = count - 1; index > 0; index--) {
    const other = (generator.next() >>> 0) % (index + 1);
    [order[index], order[other]] = [order[other] ?? 0, order[index] ?? 0];
  }
  return order;
}

/** Makes an output matrix `[V, width]` of which every row is the mean of its two predecessors' embeddings. */
function favourSuccessors(embedding: Float32Array, width: number): Float32Array {
  const output = new Float32Array(embedding.length);
  for (const seed of [1, 2]) {
    for (const [token, successor] of shuffle(embedding.length / width, seed).entries()) {
      for (let i = 0; i < width; i++) {
        const at = successor * width + i;
        output[at] = (output[at] ?? 0) + 0.5 * (embedding[token * width + i] ?? 0);
      }
    }
  }
  return output;
}

async function readTensors(folder: ModelFolder): Promise<Record<string, HostTensor>> {
  const tensors: Record<string, HostTensor> = {};
  await using weights = await openCheckpointWeights(folder);
  for (const entry of weights.tensors.values()) tensors[entry.name] = await readTensor(entry);
  return tensors;
}

async function replaceTensors(
  folder: ModelFolder,
  tensors: Readonly<Record<string, HostTensor>>,
): Promise<ModelFolder> {
  const files: Record<string, Uint8Array | string> = {
    "model.safetensors": writeSafetensors(tensors, { format: "pt" }),
  };
  for (const file of ["config.json", "tokenizer.json", "tokenizer_config.json"]) {
    files[file] = await folder.readText(file);
  }
  return memoryModelFolder(folder.name, files);
}

/**
 * Makes the model of a folder, float32 and not tied, decisive. Its logits have a deviation near 1.
 * @param embeddingScale - enlarges the embedding, so that it is about half of the stream after the layers.
 */
export async function makeDecisive(folder: ModelFolder, embeddingScale: number): Promise<ModelFolder> {
  const tensors = await readTensors(folder);
  const nameOf = (names: readonly string[]): string => {
    const name = names.find((candidate) => tensors[candidate] !== undefined);
    if (name === undefined) throw new Error(`there is no ${names.join(" or ")}`);
    return name;
  };
  const [embeddingName, outputName] = [nameOf(embeddingNames), nameOf(outputNames)];
  const embedding = tensors[embeddingName];
  if (embedding === undefined || !hasDType(embedding, "float32")) throw new Error("weights are not float32");
  const { shape, data } = embedding;
  const enlarged = data.map((value) => value * embeddingScale);
  return replaceTensors(folder, {
    ...tensors,
    [embeddingName]: hostTensor("float32", shape, enlarged),
    [outputName]: hostTensor("float32", shape, favourSuccessors(data, shape[1] ?? 1)),
  });
}

/** Rounds every matrix of a folder to what Q8_0 can hold: blocks of 32 with a float16 scale. */
export async function roundToQ8(folder: ModelFolder): Promise<ModelFolder> {
  const tensors = await readTensors(folder);
  for (const [name, tensor] of Object.entries(tensors)) {
    if (tensor.shape.length !== 2 || !hasDType(tensor, "float32")) continue;
    const blocks = encodeGgufTensor("q8_0", tensor.data);
    const rounded = Float32Array.from(tensor.data, (_, index) => {
      const block = Math.floor(index / 32) * 34;
      const scaleBits = Uint16Array.of((blocks[block] ?? 0) | ((blocks[block + 1] ?? 0) << 8));
      const quantum = ((blocks[block + 2 + (index % 32)] ?? 0) << 24) >> 24;
      return quantum * (decodeFloat16(scaleBits)[0] ?? 0);
    });
    tensors[name] = hostTensor("float32", tensor.shape, rounded);
  }
  return replaceTensors(folder, tensors);
}
