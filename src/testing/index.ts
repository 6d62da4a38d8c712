/**
 * Helpers for the tests of programs that use EdgeInfinite: models that need no download and no weights.
 */

export {
  createTinyAdapterFolder,
  createTinyModelFolder,
  type TinyAdapterOptions,
  type TinyModelOptions,
  type TinyModelSizes,
  type TinyModelType,
} from "./tiny-model.ts";
