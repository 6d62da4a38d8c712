/**
 * What the bench asks of an engine: one interface for EdgeInfinite and its peers.
 *
 * An engine holds one model and one stream of token ids. Engines are loaded by name in processes of their own;
 * those of `bench/peers` need packages that are installed apart (`npm run bench:peers:install`).
 */

import type { WeightDType } from "../src/engine/memory-estimate.ts";
import type { ContextSettings } from "../src/memory/geometry.ts";

/** Lists the engines, in the order they are measured in. */
export const engineNames = ["edgeinfinite", "llama.cpp"] as const;

/** Names an engine. */
export type EngineName = (typeof engineNames)[number];

/** Says how an engine is loaded. */
export interface EngineOptions {
  /** A checkpoint's folder, or a GGUF file. */
  readonly model: string;
  /** How EdgeInfinite holds the weights of a folder. */
  readonly dtype: WeightDType | "auto";
  /** The folder of EdgeInfinite's memory gate, if it has one. */
  readonly adapter?: string;
  /** The regions of EdgeInfinite's cache. */
  readonly context: ContextSettings;
  readonly threads: number;
  /** The longest stream that will be read, for engines that reserve their cache beforehand. */
  readonly contextTokens: number;
  /** Whether EdgeInfinite runs from `dist`, as users get it, and not from its sources. */
  readonly built: boolean;
}

/** Is a loaded model with one stream. */
export interface BenchEngine extends AsyncDisposable {
  /** The engine, its version and how it runs. */
  readonly description: string;
  /** Bytes of the stream's state now. */
  stateBytes(): number;
  /** Reads token ids after those read before; gives the id that greedy decoding goes on with. */
  read(ids: readonly number[]): Promise<number>;
  /** Decodes greedily after what was read, one id a step. What was decoded may stay: {@link clear} forgets it. */
  decode(tokenCount: number): AsyncGenerator<number, void, void>;
  /** Empties the stream. */
  clear(): Promise<void>;
}

/** Loads a model into an engine. */
export type LoadEngine = (options: EngineOptions) => Promise<BenchEngine>;

/** Peers need packages that the root does not have: they are found by address, and types do not follow. */
const modules: { readonly [Name in EngineName]: string } = {
  edgeinfinite: "./edgeinfinite.ts",
  "llama.cpp": "./peers/llama-cpp.ts",
};

/** Tells whether a value names an engine. */
export function isEngineName(value: unknown): value is EngineName {
  return engineNames.some((name) => name === value);
}

/** Imports an engine's loader. @throws when the packages that it needs are not installed. */
export async function importEngine(name: EngineName): Promise<LoadEngine> {
  const module: { readonly load: LoadEngine } = await import(new URL(modules[name], import.meta.url).href);
  return module.load;
}
