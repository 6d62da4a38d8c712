/**
 * What the engine needs of a checkpoint, whatever its files are: configuration, tensors, how they can be held,
 * tokenizer.
 */

import type { ByteSource } from "../files/byte-source.ts";
import type { WeightEntry } from "../graph/weights.ts";
import type { DecoderConfig } from "../models/decoder-config.ts";
import type { ModelFamily } from "../models/family.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import type { HeldWeight } from "./held-weights.ts";
import type { QuantizedDType } from "./quantized-weights.ts";

/** Names how weights are held in memory; `stored` is as the file has them, in blocks. */
export type HeldDType = "f32" | "f16" | "stored" | QuantizedDType;

/** Is a tensor in a file. */
export interface StoredTensor {
  readonly name: string;
  /** The file's name of its element type. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly source: ByteSource;
  readonly lengthBytes: number;
}

/** Is an opened checkpoint, of which only headers have been read. */
export interface Checkpoint {
  readonly family: ModelFamily;
  readonly config: DecoderConfig;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** The tensors as a graph takes them where nothing is quantised: names and shapes are right in any case. */
  readonly entries: ReadonlyMap<string, WeightEntry>;
  /** How weights are held when nothing else is asked for. */
  readonly ownDType: "f32" | "stored";
  /** Plans how weights are held; undefined where the files serve as they are. */
  hold(dtype: HeldDType): readonly HeldWeight[] | undefined;
  /** Undefined when it has none. @throws as {@link loadTokenizer} does. */
  loadTokenizer(): Promise<Tokenizer | undefined>;
  /** Lists the tokens that end an answer besides those of the configuration. */
  readEndTokenIds(signal?: AbortSignal): Promise<readonly number[]>;
  close(): Promise<void>;
}
