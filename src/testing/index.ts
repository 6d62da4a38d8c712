/**
 * Helpers for the tests of programs that use EdgeInfinite: models that need no download and no weights.
 */

export {
  qwen25Config05B,
  type RandomCheckpointConfig,
  type RandomCheckpointOptions,
  smolLm2Config135M,
  streamRandomCheckpoint,
} from "./random-checkpoint.ts";
export { loadScriptedModel, type ScriptedModelOptions } from "./scripted-model.ts";
export { createScriptedRuntime, type Script, type ScriptedPrompt } from "./scripted-runtime.ts";
export type { TinyModelType } from "./tiny-families.ts";
export {
  createTinyAdapterFolder,
  createTinyModelFolder,
  type TinyAdapterOptions,
  type TinyModelOptions,
  type TinyModelSizes,
} from "./tiny-model.ts";
