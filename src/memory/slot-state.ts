/**
 * The state of a stream with retained slots: sinks, slots, window and segment exact, the rest compressed or gone.
 *
 * In the cache, slots are ordinary places behind the sinks. Local keys are rotated at their index in the stream and
 * stay so; a commit rotates sinks and slots anew, to their place + T * commits, which comes to the in-cache positions
 * of DESIGN, since only differences count. Until the first commit all places hold plain local tokens.
 */

import { InternalError } from "../errors.ts";
import type { NamedTensors, RuntimeSession } from "../runtime/runtime.ts";
import { hostFloats, releaseTensors, type Tensor, type TensorMemory } from "../runtime/tensor-memory.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { scoreCandidates } from "./candidate-scores.ts";
import { GateOpenings } from "./gate-openings.ts";
import {
  type AttentionGeometry,
  type ContextSettings,
  localCapacityTokens,
  memoryLayers,
} from "./geometry.ts";
import { KeptKeys, movedLayers } from "./kept-keys.ts";
import type { KeySums } from "./key-difference.ts";
import { LinearMemory } from "./linear-memory.ts";
import { pastKeysName, pastValuesName } from "./local-attention.ts";
import type { LocalCache } from "./local-cache.ts";
import { absorbLocal, localAttentionFeeds } from "./local-feeds.ts";
import type { MemoryState, StateArray, TokenCounts } from "./policy.ts";
import { type AttentionScoring, queryWeightFeeds, receivedAttentionName } from "./received-attention.ts";
import { createSegmentedCache, memorySwitch } from "./segmented-state.ts";
import { firstPlaceFeeds, slotBiasName } from "./slot-attention.ts";
import {
  movedKeysName,
  type SlotMemory,
  slotCommitFeeds,
  slotKeysName,
  slotValuesName,
} from "./slot-commit.ts";
import { joinIndices, SavedArrays } from "./state-arrays.ts";
import {
  chooseHighest,
  type NumberArray,
  type NumberRows,
  TokenNumbers,
  type TokenNumbersShape,
} from "./token-numbers.ts";

/** Names the output of the inference graph with the numbers of the new tokens, `[N, numbers, T]`. */
export const tokenNumbersName = "token_numbers";

/** Says what states of a policy are made of. */
export interface SlotDesign {
  readonly geometry: AttentionGeometry;
  readonly context: ContextSettings;
  /** What every token carries. */
  readonly numbers: readonly NumberRows[];
  /** k: new candidates are scored by the mean of so many tokens around them; undefined when each by its own. */
  readonly scoreKernel?: number | undefined;
  /** The linear memory that what leaves goes into; undefined when it is forgotten. */
  readonly memory: SlotMemory | undefined;
  /** Whether attention tells the logarithm of its denominator. */
  readonly hasLogSum: boolean;
  /** Makes what the policy sums over the whole stream; undefined when it sums nothing. */
  readonly createKeySums: (() => KeySums) | undefined;
  /** How the attention that tokens receive scores them; undefined when they are scored as they are read. */
  readonly attentionScoring: AttentionScoring | undefined;
}

/** Tells how numbers are kept: what is added up over a stream without end needs float64. */
export function numbersDType({
  attentionScoring,
}: Pick<SlotDesign, "attentionScoring">): TokenNumbersShape["dtype"] {
  return attentionScoring?.isCumulative === true ? "float64" : "float32";
}

/** Tells whether attention is another one once slots are filled. */
export function hasGatedPath({ numbers, memory }: SlotDesign): boolean {
  return memory !== undefined || numbers.some(({ kind }) => kind === "slot-bias");
}

interface SlotParts {
  readonly lengthTokens: number;
  readonly cache: LocalCache;
  readonly keptKeys: KeptKeys;
  readonly numbers: TokenNumbers;
  readonly memory: LinearMemory | undefined;
  /** Sums over gated tokens of the mean gate opening, `[N]`; empty without a memory. */
  readonly openings: GateOpenings;
  readonly keySums: KeySums | undefined;
}

/** Is the state of the policies with slots. */
export class SlotState implements MemoryState {
  readonly #design: SlotDesign;
  readonly #parts: SlotParts;
  #length: number;
  #commits: number;
  #lastChosen: Int32Array | undefined;
  /** The bias as it was last fed: until the next commit it is the same. */
  #lastBias: { readonly commitCount: number; readonly tensor: HostTensor } | undefined;

  private constructor(design: SlotDesign, parts: SlotParts) {
    this.#design = design;
    this.#parts = parts;
    this.#length = parts.lengthTokens;
    this.#commits = (parts.lengthTokens - parts.cache.usedTokens) / design.context.segmentTokens;
  }

  /** Creates an empty state. */
  static create(design: SlotDesign, memory?: TensorMemory): SlotState {
    const { geometry, context, numbers: kinds, memory: linear, createKeySums } = design;
    const layerCount = memoryLayers(geometry).length;
    const capacityTokens = localCapacityTokens(context);
    const headCount = geometry.keyValueHeadCount;
    return new SlotState(design, {
      lengthTokens: 0,
      cache: createSegmentedCache(geometry, context, memory),
      keptKeys: new KeptKeys(geometry, movedLayers(geometry, context), memory),
      numbers: new TokenNumbers({
        layerCount,
        headCount,
        kinds,
        capacityTokens,
        dtype: numbersDType(design),
      }),
      memory: linear && new LinearMemory(geometry, memory, linear.featureCount),
      openings: new GateOpenings(linear === undefined ? 0 : layerCount, geometry.queryHeadCount),
      keySums: createKeySums?.(),
    });
  }

  /**
   * Restores a state from the arrays that {@link SlotState.exportArrays} gave.
   * @param usedTokens tokens in the cache.
   */
  static restore(
    design: SlotDesign,
    tokens: { readonly lengthTokens: number; readonly usedTokens: number },
    arrays: ReadonlyMap<string, Float32Array | Float64Array>,
    memory?: TensorMemory,
  ): SlotState {
    const saved = new SavedArrays(arrays);
    const { lengthTokens, usedTokens } = tokens;
    const parts = SlotState.create(design, memory).#parts;
    parts.cache.import(saved.floats("keys"), saved.floats("values"), usedTokens);
    parts.keptKeys.import(saved.floats("kept_keys"));
    if (usedTokens > 0) parts.numbers.write(saved.numbers("token_numbers"), 0, usedTokens);
    parts.memory?.import(saved.floats("memory_matrix"), saved.floats("memory_normalizer"));
    parts.openings.import(saved.doubles("gate_sums"));
    parts.keySums?.import(saved.doubles("key_sums"));
    return new SlotState(design, { ...parts, lengthTokens });
  }

  get lengthTokens(): number {
    return this.#length;
  }

  get commitCount(): number {
    return this.#commits;
  }

  get sizeBytes(): number {
    const { cache, keptKeys, numbers, memory, openings, keySums } = this.#parts;
    const exact = cache.sizeBytes + keptKeys.sizeBytes + numbers.sizeBytes;
    return exact + (memory?.sizeBytes ?? 0) + openings.sizeBytes + (keySums?.sizeBytes ?? 0);
  }

  get #leftTokens(): number {
    return this.#commits * this.#design.context.segmentTokens;
  }

  get tokenCounts(): TokenCounts {
    const { sinkTokens, slotTokens } = this.#design.context;
    const sinks = Math.min(sinkTokens, this.#length);
    const slots = this.#commits > 0 ? slotTokens : 0;
    const local = this.#parts.cache.usedTokens - sinks - slots;
    const left = this.#leftTokens;
    const [memory, dropped] = this.#design.memory === undefined ? [0, left] : [left, 0];
    return { sinks, slots, local, memory, dropped };
  }

  get path(): "base" | "gated" {
    return hasGatedPath(this.#design) && this.#commits > 0 ? "gated" : "base";
  }

  /**
   * What the last commit kept, `[N, K, B]`: for each layer and head ascending indices into its B + T candidates;
   * undefined before the first one, and in a state that was restored.
   */
  get lastChosen(): Int32Array | undefined {
    return this.#lastChosen;
  }

  get gateOpening(): readonly (readonly number[])[] {
    return this.#parts.openings.means(Math.max(0, this.#length - localCapacityTokens(this.#design.context)));
  }

  get roomTokens(): number {
    const { context } = this.#design;
    return Math.min(localCapacityTokens(context) - this.#parts.cache.usedTokens, context.segmentTokens);
  }

  feeds(tokenCount: number): NamedTensors {
    const { geometry, context, hasLogSum, attentionScoring } = this.#design;
    const { cache, memory, keySums } = this.#parts;
    const roomTokens = localCapacityTokens(context) - cache.usedTokens;
    return {
      ...localAttentionFeeds(geometry, () => cache, this.#length, tokenCount),
      ...memory?.feeds(),
      ...(hasGatedPath(this.#design) && memorySwitch(this.path)),
      ...keySums?.feeds(tokenCount),
      ...(attentionScoring && queryWeightFeeds(attentionScoring, roomTokens, tokenCount)),
      ...this.#biasFeeds(),
      ...(hasLogSum && firstPlaceFeeds(cache.places)),
    };
  }

  /** Gives the slots' bias by place; it stays the same until a commit, or until there are other places. */
  #biasFeeds(): NamedTensors {
    const { geometry, context, numbers } = this.#design;
    if (!numbers.some(({ kind }) => kind === "slot-bias")) return {};
    const { queryHeadCount: H, keyValueHeadCount: K } = geometry;
    const { sinkTokens: S, slotTokens: B } = context;
    const { places } = this.#parts.cache;
    const known = this.#lastBias;
    if (known?.commitCount === this.#commits && known.tensor.shape[3] === places)
      return { [slotBiasName]: known.tensor };
    const N = memoryLayers(geometry).length;
    const data = new Float32Array(N * H * places);
    for (let row = 0; this.#commits > 0 && row < N * H; row++) {
      const biases = this.#parts.numbers.row("slot-bias", Math.floor(row / H), row % H);
      if (biases !== undefined) data.set(biases.subarray(S, S + B), row * places + S);
    }
    const tensor = hostTensor("float32", [N, K, H / K, places], data);
    this.#lastBias = { commitCount: this.#commits, tensor };
    return { [slotBiasName]: tensor };
  }

  absorb(outputs: NamedTensors, tokenCount: number): void {
    const { geometry, attentionScoring } = this.#design;
    const { cache, numbers, openings, keySums } = this.#parts;
    const { usedTokens: heldTokens, places } = cache;
    const name = attentionScoring === undefined ? tokenNumbersName : receivedAttentionName(0);
    const newNumbers = hostFloats(outputs[name], name);
    absorbLocal(geometry, () => cache, outputs, tokenCount);
    if (attentionScoring === undefined) numbers.write(newNumbers, heldTokens, tokenCount);
    else numbers.add(newNumbers, { places, heldTokens, tokenCount });
    keySums?.absorb(outputs);
    this.#length += tokenCount;
    if (this.path === "gated") openings.absorb(outputs, tokenCount);
  }

  /** Gives the scores of the candidates of every layer and head: N * K rows of B + T. */
  #scoreCandidates(): readonly NumberArray[] {
    const { geometry, context, attentionScoring: attention, scoreKernel } = this.#design;
    const { sinkTokens: S, slotTokens: B, segmentTokens: T } = context;
    const { cache, numbers } = this.#parts;
    const heads = { layerCount: memoryLayers(geometry).length, headCount: geometry.keyValueHeadCount };
    const newFrom = this.#commits === 0 ? S : S + B;
    const stretch = { from: S, newFrom, to: S + B + T, end: cache.usedTokens };
    return scoreCandidates(numbers, heads, stretch, { scoreKernel, attention });
  }

  /** Says what share of each candidate leaves for the linear memory, `[N, K, B + T]`. */
  #sharesOf(chosen: Int32Array): Float32Array {
    const { geometry, context } = this.#design;
    const { sinkTokens: S, slotTokens: B, segmentTokens: T } = context;
    const { keyValueHeadCount: K } = geometry;
    const rows = memoryLayers(geometry).length * K;
    const shares = new Float32Array(rows * (B + T)).fill(1);
    for (let row = 0; row < rows; row++) {
      const written = this.#parts.numbers.row("write-share", Math.floor(row / K), row % K);
      if (written !== undefined) shares.set(written.subarray(S, S + B + T), row * (B + T));
    }
    for (const [at, index] of chosen.entries()) shares[Math.floor(at / B) * (B + T) + index] = 0;
    return shares;
  }

  async commit(session: RuntimeSession<Tensor> | undefined): Promise<void> {
    if (session === undefined) throw new InternalError({ where: "commit", what: "no commit graph" });
    const { geometry, context, attentionScoring, scoreKernel } = this.#design;
    const { cache, keptKeys, numbers, memory } = this.#parts;
    const { sinkTokens: S, slotTokens: B, segmentTokens: T } = context;
    // What can fail comes before what changes the state.
    if (this.#commits === 0) await keptKeys.takeFrom(cache);
    const scores = this.#scoreCandidates();
    // Of every layer and head, `[N, K, B]`.
    const chosen = joinIndices(scores.map((candidates) => chooseHighest(candidates, B)));
    const feeds: Record<string, Tensor> = {
      ...keptKeys.feeds(),
      ...memory?.feeds(),
      ...slotCommitFeeds(geometry, context, {
        commitCount: this.#commits,
        chosen,
        shares: memory === undefined ? undefined : this.#sharesOf(chosen),
      }),
    };
    for (const layer of memoryLayers(geometry)) {
      feeds[pastKeysName(layer)] = cache.keys(layer);
      feeds[pastValuesName(layer)] = cache.values(layer);
    }
    const outputs = await session.run(feeds);
    memory?.absorb(outputs);
    cache.drop(S, T);
    for (let layer = 0; layer < geometry.layerCount; layer++) {
      const [moved, slotKeys] = [outputs[movedKeysName(layer)], outputs[slotKeysName(layer)]];
      const slotValues = outputs[slotValuesName(layer)];
      if (slotKeys !== undefined) keptKeys.replaceSlots(layer, slotKeys);
      if (slotValues !== undefined) cache.overwrite(layer, "values", S, slotValues);
      if (moved === undefined) continue;
      // Of a layer without rotary embedding only the slots come: its sinks stay as they are.
      cache.overwrite(layer, "keys", keptKeys.has(layer) ? 0 : S, moved);
    }
    if (scoreKernel !== undefined) numbers.overwrite("retention", S, scores);
    numbers.keep(chosen, { from: S, count: B + T, keep: B });
    if (attentionScoring?.isCumulative === false) numbers.clear();
    this.#commits += 1;
    this.#lastChosen = chosen;
    releaseTensors(outputs);
  }

  clone(): SlotState {
    const { cache, keptKeys, numbers, memory, openings, keySums } = this.#parts;
    return new SlotState(this.#design, {
      lengthTokens: this.#length,
      cache: cache.clone(),
      keptKeys: keptKeys.clone(),
      numbers: numbers.clone(),
      memory: memory?.clone(),
      openings: openings.clone(),
      keySums: keySums?.clone(),
    });
  }

  release(): void {
    this.#parts.cache.release();
    this.#parts.keptKeys.release();
    this.#parts.memory?.release();
  }

  async exportArrays(): Promise<readonly StateArray[]> {
    const { cache, keptKeys, numbers, memory, openings, keySums } = this.#parts;
    const { keys, values } = await cache.export();
    const arrays: StateArray[] = [
      { name: "keys", data: keys },
      { name: "values", data: values },
      { name: "kept_keys", data: await keptKeys.export() },
      { name: "token_numbers", data: numbers.export(cache.usedTokens) },
      { name: "gate_sums", data: openings.export() },
    ];
    if (keySums !== undefined) arrays.push({ name: "key_sums", data: keySums.export() });
    if (memory === undefined) return arrays;
    const { matrix, normalizer } = await memory.export();
    return [
      ...arrays,
      { name: "memory_matrix", data: matrix },
      { name: "memory_normalizer", data: normalizer },
    ];
  }
}
