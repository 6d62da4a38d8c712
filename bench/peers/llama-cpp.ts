/**
 * llama.cpp as an engine of the bench, through node-llama-cpp's sequences of raw token ids.
 *
 * On the CPU, with flash attention, a float16 cache and batches of 512, which is how it is fastest there.
 */

import {
  getLlama,
  getModuleVersion,
  type Llama,
  LlamaLogLevel,
  type LlamaModel,
  type Token,
} from "node-llama-cpp";
import type { BenchEngine, EngineOptions } from "../engine.ts";

type Context = Awaited<ReturnType<LlamaModel["createContext"]>>;
type Sequence = ReturnType<Context["getSequence"]>;

const batchTokens = 512;
const greedy = { temperature: 0, yieldEogToken: true } as const;

class LlamaCpp implements BenchEngine {
  readonly description: string;
  readonly #llama: Llama;
  readonly #context: Context;
  readonly #sequence: Sequence;
  #next = 0;

  constructor(llama: Llama, context: Context, version: string) {
    const { repo, release } = llama.llamaCppRelease;
    const options = "flash attention, float16 cache, batches of 512";
    this.description = `${repo} ${release} (node-llama-cpp ${version}), cpu, ${options}`;
    this.#llama = llama;
    this.#context = context;
    this.#sequence = context.getSequence();
  }

  stateBytes(): number {
    return this.#context.stateSize;
  }

  async read(ids: readonly number[]): Promise<number> {
    const inputs = ids.map((id, index) => {
      const token = id as Token;
      const last = [token, { generateNext: { token: true, options: { temperature: 0 } } }] as [Token, object];
      return index === ids.length - 1 ? last : token;
    });
    const outputs = await this.#sequence.controlledEvaluate(inputs);
    this.#next = outputs.at(-1)?.next.token ?? 0;
    return this.#next;
  }

  async *decode(tokenCount: number): AsyncGenerator<number, void, void> {
    const start = this.#sequence.nextTokenIndex;
    yield this.#next;
    let count = 1;
    for await (const token of this.#sequence.evaluate([this.#next as Token], greedy)) {
      yield token;
      count += 1;
      if (count >= tokenCount) break;
    }
    await this.#sequence.eraseContextTokenRanges([{ start, end: this.#sequence.nextTokenIndex }]);
  }

  async clear(): Promise<void> {
    await this.#sequence.clearHistory();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#llama.dispose();
  }
}

/** Loads a GGUF file. */
export async function load({
  model: modelPath,
  threads,
  contextTokens,
}: EngineOptions): Promise<BenchEngine> {
  const llama = await getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    progressLogs: false,
    maxThreads: threads,
    logLevel: LlamaLogLevel.error,
  });
  const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
  const context = await model.createContext({
    contextSize: contextTokens,
    batchSize: batchTokens,
    threads: { ideal: threads, min: threads },
    flashAttention: true,
    ignoreMemorySafetyChecks: true,
  });
  return new LlamaCpp(llama, context, await getModuleVersion());
}
