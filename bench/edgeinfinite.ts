/**
 * EdgeInfinite as an engine of the bench: through its public API, from its sources or its built package.
 */

import type { Model, Session } from "../src/node.ts";
import type { BenchEngine, EngineOptions } from "./engine.ts";

class EdgeInfinite implements BenchEngine {
  readonly description: string;
  readonly #model: Model;
  readonly #session: Session;

  constructor(model: Model) {
    const { policy, context, runtimeName } = model;
    const { sinkTokens, windowTokens, segmentTokens } = context;
    this.description = `edgeinfinite, ${policy}, S ${sinkTokens} W ${windowTokens} T ${segmentTokens}, ${runtimeName}`;
    this.#model = model;
    this.#session = model.createSession();
  }

  stateBytes(): number {
    return this.#session.stateBytes;
  }

  async read(ids: readonly number[]): Promise<number> {
    await this.#session.append(ids);
    const logits = this.#session.logits ?? new Float32Array(1);
    return logits.reduce((best, value, id) => (value > (logits[best] ?? 0) ? id : best), 0);
  }

  async *decode(tokenCount: number): AsyncGenerator<number, void, void> {
    for await (const event of this.#session.generate({ maxNewTokens: tokenCount, ignoreEos: true })) {
      if (event.type === "token") yield event.id;
    }
  }

  async clear(): Promise<void> {
    this.#session.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#model.dispose();
  }
}

/** Loads a model through `loadModel`. */
export async function load(options: EngineOptions): Promise<BenchEngine> {
  const { model, adapter, context, threads, dtype, built } = options;
  const entry = new URL(built ? "../dist/node.js" : "../src/node.ts", import.meta.url).href;
  const { loadModel }: typeof import("../src/node.ts") = await import(entry);
  const chosen = { context, threads, dtype, ...(adapter !== undefined && { adapter }) };
  return new EdgeInfinite(await loadModel(model, chosen));
}
