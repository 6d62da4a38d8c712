/**
 * Reads logits from llama.cpp, as exactly as it computes: without flash attention, and with a float32 cache.
 */

import { getLlama, type Llama, LlamaLogLevel, type Token } from "node-llama-cpp";

/** Is a GGUF file opened by llama.cpp, with one stream. */
export interface LogitReader extends AsyncDisposable {
  /** Reads ids after those read before; gives the logits after the last one, `[V]`. */
  read(ids: readonly number[]): Promise<Float32Array>;
  /** Empties the stream. */
  clear(): Promise<void>;
}

let shared: Promise<Llama> | undefined;

function openLlama(): Promise<Llama> {
  shared ??= getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    progressLogs: false,
    // Models are tiny: threads would only wait for each other.
    maxThreads: 1,
    logLevel: LlamaLogLevel.error,
  });
  return shared;
}

/** Opens a GGUF file for streams of at most so many tokens. */
export async function openLogitReader(modelPath: string, contextSize: number): Promise<LogitReader> {
  const llama = await openLlama();
  const model = await llama.loadModel({ modelPath, gpuLayers: 0, useMmap: false });
  const context = await model.createContext({
    contextSize,
    flashAttention: false,
    experimentalKvCacheKeyType: "F32",
    experimentalKvCacheValueType: "F32",
    swaFullCache: true,
  });
  const sequence = context.getSequence();
  return {
    async read(ids) {
      const tokens = ids.map((id) => id as Token);
      const last = tokens.pop();
      if (last === undefined) throw new Error("nothing to read");
      const outputs = await sequence.controlledEvaluate([
        ...tokens,
        [last, { generateNext: { logits: true } }],
      ]);
      const logits = outputs.at(-1)?.next.logits ?? new Map<Token, number>();
      const row = new Float32Array(logits.size);
      for (const [token, logit] of logits) row[token] = logit;
      return row;
    },
    clear: () => sequence.clearHistory(),
    async [Symbol.asyncDispose]() {
      await context.dispose();
      await model.dispose();
    },
  };
}
