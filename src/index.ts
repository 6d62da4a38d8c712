/**
 * What is the same in Node and the browser: types, errors, and models held in memory.
 *
 * `loadModel` comes from `edgeinfinite/node` or `edgeinfinite/web`, which have all of this too.
 */

export type { ChatEvent, ChatOptions, PrefillEvent } from "./engine/chat.ts";
export type {
  FinishEvent,
  FinishReason,
  GenerateEvent,
  GenerateOptions,
  TokenEvent,
  Usage,
} from "./engine/generate.ts";
export { type LoadOptions, type LoadProgress, loadModelOn, type Platform } from "./engine/load-model.ts";
export type { MemoryEstimate } from "./engine/memory-estimate.ts";
export type { Model } from "./engine/model.ts";
export type { MemoryOptions } from "./engine/model-parts.ts";
export type { AppendOptions, AppendProgress, AppendResult } from "./engine/prefill.ts";
export type { SamplingOptions } from "./engine/sampler.ts";
export type { ScoreResult } from "./engine/score.ts";
export type { Session } from "./engine/session.ts";
export type { SessionStats } from "./engine/stats.ts";
export type { SessionInput } from "./engine/token-input.ts";
export * from "./errors.ts";
export { type ByteSource, memoryByteSource } from "./files/byte-source.ts";
export { type ModelFolder, memoryModelFolder } from "./files/model-folder.ts";
export { type ContextSettings, defaultContext } from "./memory/geometry.ts";
export type { PolicyName, TokenCounts } from "./memory/policy.ts";
export type { DecoderConfig } from "./models/decoder-config.ts";
export { modelTypes } from "./models/registry.ts";
export type { ChatContentPart, ChatMessage } from "./text/chat-message.ts";
export type { Tokenizer } from "./text/tokenizer.ts";
