/**
 * The state of a stream whose layers keep different numbers of slots, chosen by a score that tokens have from the
 * network of an adapter, or by the attention that they receive.
 *
 * As in slot-state.ts, slots are places behind the sinks, and a commit rotates sinks and slots anew, here to the places
 * right before the local tokens. What leaves is forgotten. The first commit gives every group of layers buffers of its
 * own size, filled by way of the host: once a stream.
 */

import { InternalError } from "../errors.ts";
import type { NamedTensors, RuntimeSession } from "../runtime/runtime.ts";
import {
  hostFloats,
  hostMemory,
  releaseTensors,
  type Tensor,
  type TensorMemory,
} from "../runtime/tensor-memory.ts";
import { type HostTensor, hostTensor } from "../tensor/host-tensor.ts";
import { scoreCandidates } from "./candidate-scores.ts";
import { localCapacityTokens } from "./geometry.ts";
import { KeptKeys, keptKeysName, readOriginals } from "./kept-keys.ts";
import { type GroupChoice, layeredCommitFeeds } from "./layered-commit.ts";
import {
  type GroupStep,
  groupLayers,
  hasSlotBias,
  heldSlotTokens,
  heldTokens,
  type LayeredDesign,
  stepOf,
} from "./layered-design.ts";
import { createSized, type GroupParts, movedLayersOf } from "./layered-parts.ts";
import { pastKeysName, pastValuesName } from "./local-attention.ts";
import type { LocalCache } from "./local-cache.ts";
import { absorbLocal, localAttentionFeeds } from "./local-feeds.ts";
import type { MemoryState, StateArray, TokenCounts } from "./policy.ts";
import { queryWeightFeeds, receivedAttentionName } from "./received-attention.ts";
import { memorySwitch } from "./segmented-state.ts";
import { slotBiasOfKind } from "./slot-attention.ts";
import { movedKeysName, slotKeysName, slotValuesName } from "./slot-commit.ts";
import { tokenNumbersName } from "./slot-state.ts";
import { joinFloats, joinIndices, SavedArrays } from "./state-arrays.ts";
import { chooseHighest, countNumbers, type NumberArray, type TokenNumbers } from "./token-numbers.ts";

/** Is what stays of a group, with the scores that it was chosen by: of layers and heads, in that order. */
interface ScoredChoice extends GroupChoice {
  readonly scores: readonly NumberArray[];
}

/** Is the state of policies whose layers keep different numbers of slots. */
export class LayeredSlotState implements MemoryState {
  readonly #design: LayeredDesign;
  readonly #memory: TensorMemory;
  #groups: readonly GroupParts[];
  #length: number;
  #commits: number;
  /** The bias of each group as it was last fed: until the next commit it is the same. */
  readonly #lastBiases = new Map<number, { readonly commitCount: number; readonly tensor: HostTensor }>();
  readonly gateOpening: readonly (readonly number[])[] = [];

  private constructor(
    design: LayeredDesign,
    memory: TensorMemory,
    groups: readonly GroupParts[],
    tokens: { readonly length: number; readonly commits: number },
  ) {
    this.#design = design;
    this.#memory = memory;
    this.#groups = groups;
    this.#length = tokens.length;
    this.#commits = tokens.commits;
  }

  /** Creates a state without tokens, of the sizes that one has after so many commits. */
  static create(design: LayeredDesign, memory: TensorMemory = hostMemory, commits = 0): LayeredSlotState {
    const groups = groupLayers(design.geometry).map((group) => ({
      group,
      ...createSized(design, group, commits, memory),
      kept: new KeptKeys(design.geometry, movedLayersOf(design, group), memory),
    }));
    return new LayeredSlotState(design, memory, groups, { length: 0, commits });
  }

  /** Restores a state from the arrays that {@link LayeredSlotState.exportArrays} gave. */
  static restore(
    design: LayeredDesign,
    tokens: { readonly length: number; readonly commits: number },
    arrays: ReadonlyMap<string, Float32Array | Float64Array>,
    memory?: TensorMemory,
  ): LayeredSlotState {
    const state = LayeredSlotState.create(design, memory, tokens.commits);
    const saved = new SavedArrays(arrays);
    const { keyValueHeadCount: K, headSize: D } = design.geometry;
    for (const { group, cache, kept, numbers } of state.#groups) {
      const used = heldTokens(design.context, group, tokens.commits, tokens.length);
      const size = group.layers.length * K * used * D;
      const numberCount = group.layers.length * countNumbers(design.numbers, K) * used;
      cache.import(saved.floats("keys", size), saved.floats("values", size), used);
      kept.import(saved.floats("kept_keys", kept.length));
      if (used > 0) numbers.write(saved.floats("token_numbers", numberCount), 0, used);
    }
    state.#length = tokens.length;
    return state;
  }

  get lengthTokens(): number {
    return this.#length;
  }

  get commitCount(): number {
    return this.#commits;
  }

  get path(): "base" | "gated" {
    return hasSlotBias(this.#design) && this.#commits > 0 ? "gated" : "base";
  }

  get sizeBytes(): number {
    return this.#groups.reduce(
      (sum, { cache, kept, numbers }) => sum + cache.sizeBytes + kept.sizeBytes + numbers.sizeBytes,
      0,
    );
  }

  /** Tokens that are no longer local, sinks aside. */
  get #pastTokens(): number {
    const { slotTokens: B, segmentTokens: T } = this.#design.context;
    return this.#commits === 0 ? 0 : B + this.#commits * T;
  }

  /** Those of the mean layer: once all slots are filled it has B. */
  get tokenCounts(): TokenCounts {
    const { context, geometry } = this.#design;
    const sinks = Math.min(context.sinkTokens, this.#length);
    const held = this.#groups.reduce(
      (sum, { group }) => sum + group.layers.length * heldSlotTokens(context, group, this.#commits),
      0,
    );
    const slots = Math.round(held / geometry.layerCount);
    const past = this.#pastTokens;
    return { sinks, slots, local: this.#length - sinks - past, memory: 0, dropped: past - slots };
  }

  /** Tokens that can be read before a commit, in one run or in more. */
  get #freeTokens(): number {
    const { context } = this.#design;
    return localCapacityTokens(context) + this.#commits * context.segmentTokens - this.#length;
  }

  get roomTokens(): number {
    return Math.min(this.#freeTokens, this.#design.context.segmentTokens);
  }

  #cacheOf(layer: number): LocalCache {
    const parts = this.#groups.find(({ group }) => group.layers.includes(layer));
    if (parts !== undefined) return parts.cache;
    throw new InternalError({ where: `layer ${layer}`, what: "no cache holds it" });
  }

  feeds(tokenCount: number): NamedTensors {
    const { geometry, scoring } = this.#design;
    return {
      ...localAttentionFeeds(geometry, (layer) => this.#cacheOf(layer), this.#length, tokenCount),
      ...(scoring && queryWeightFeeds(scoring, this.#freeTokens, tokenCount)),
      ...(hasSlotBias(this.#design) && { ...memorySwitch(this.path), ...this.#biasFeeds() }),
    };
  }

  /** Gives the slots' bias by place, a group each; it stays the same until a commit, or until there are other places. */
  #biasFeeds(): NamedTensors {
    const feeds: Record<string, Tensor> = {};
    for (const parts of this.#groups) {
      const { group, cache } = parts;
      const known = this.#lastBiases.get(group.kind);
      const isSame = known?.commitCount === this.#commits && known.tensor.shape[3] === cache.places;
      const tensor = isSame ? known.tensor : this.#writeBias(parts);
      this.#lastBiases.set(group.kind, { commitCount: this.#commits, tensor });
      feeds[slotBiasOfKind(group.kind)] = tensor;
    }
    return feeds;
  }

  #writeBias({ group, cache: { places }, numbers }: GroupParts): HostTensor {
    const { geometry, context } = this.#design;
    const { queryHeadCount: H, keyValueHeadCount: K } = geometry;
    const { sinkTokens: S } = context;
    const held = heldSlotTokens(context, group, this.#commits);
    const data = new Float32Array(group.layers.length * H * places);
    for (let row = 0; row < group.layers.length * H; row++) {
      const biases = numbers.row("slot-bias", Math.floor(row / H), row % H);
      if (biases !== undefined) data.set(biases.subarray(S, S + held), row * places + S);
    }
    return hostTensor("float32", [group.layers.length, K, H / K, places], data);
  }

  /** Reads what a run gives the tokens of a group; called before its rows are taken in, returns what takes it in. */
  #readNumbers({ group, cache, numbers }: GroupParts, outputs: NamedTensors, tokenCount: number): () => void {
    const { geometry, scoring, numbers: kinds } = this.#design;
    const { usedTokens: before, places } = cache;
    if (scoring !== undefined) {
      const name = receivedAttentionName(group.kind);
      const received = hostFloats(outputs[name], name);
      return () => numbers.add(received, { places, heldTokens: before, tokenCount });
    }
    const all = hostFloats(outputs[tokenNumbersName], tokenNumbersName);
    const size = countNumbers(kinds, geometry.keyValueHeadCount) * tokenCount;
    const own = joinFloats(group.layers.map((layer) => all.subarray(layer * size, (layer + 1) * size)));
    return () => numbers.write(own, before, tokenCount);
  }

  absorb(outputs: NamedTensors, tokenCount: number): void {
    const takeNumbers = this.#groups.map((parts) => this.#readNumbers(parts, outputs, tokenCount));
    absorbLocal(this.#design.geometry, (layer) => this.#cacheOf(layer), outputs, tokenCount);
    for (const take of takeNumbers) take();
    this.#length += tokenCount;
  }

  /** Chooses what stays in the layers of a group: the sinks, and the candidates that are worth most. */
  #choose(parts: GroupParts, step: GroupStep): ScoredChoice {
    const { keyValueHeadCount: K } = this.#design.geometry;
    const { sinkTokens: S } = this.#design.context;
    const { keptRows } = step;
    const scores = this.#scoreCandidates(parts, step);
    const chosen = parts.group.layers.map((_, index) => {
      const ofLayer = new Int32Array(K * keptRows);
      for (const [head, candidates] of scores.slice(index * K, (index + 1) * K).entries()) {
        for (let sink = 0; sink < S; sink++) ofLayer[head * keptRows + sink] = sink;
        const best = chooseHighest(candidates, keptRows - S).map((place) => S + place);
        ofLayer.set(best, head * keptRows + S);
      }
      return ofLayer;
    });
    return { ...step, places: parts.cache.places, chosen, scores };
  }

  /** Gives the scores of the candidates of a group's layers and heads, in that order. */
  #scoreCandidates({ group, cache, numbers }: GroupParts, { heldRows }: GroupStep): readonly NumberArray[] {
    const { geometry, context, scoring: attention, scoreKernel } = this.#design;
    const { sinkTokens: S, segmentTokens: T } = context;
    const heads = { layerCount: group.layers.length, headCount: geometry.keyValueHeadCount };
    const newFrom = this.#commits === 0 ? S : heldRows;
    const stretch = { from: S, newFrom, to: heldRows + T, end: cache.usedTokens };
    return scoreCandidates(numbers, heads, stretch, { scoreKernel, attention });
  }

  /** Gives the keys of sinks and slots as they were projected, `[K, A, D]` of each layer that is rotated. */
  async #originals({ group, cache, kept }: GroupParts, rows: number): Promise<Record<string, Tensor>> {
    if (this.#commits > 0) return kept.feeds(rows);
    const { geometry } = this.#design;
    const shape = [geometry.keyValueHeadCount, rows, geometry.headSize];
    // More rows than the group will keep: there is no buffer for them.
    const originals = await readOriginals(geometry, cache, movedLayersOf(this.#design, group), rows);
    return Object.fromEntries(
      [...originals].map(([layer, keys]) => [keptKeysName(layer), hostTensor("float32", shape, keys)]),
    );
  }

  /** Leaves each token that stays its numbers, or none of what was received. */
  #keepNumbers(numbers: TokenNumbers, { chosen, scores, heldRows, keptRows }: ScoredChoice): void {
    const { context, scoring, scoreKernel } = this.#design;
    if (scoring !== undefined) {
      numbers.clear();
      return;
    }
    if (scoreKernel !== undefined) numbers.overwrite("retention", context.sinkTokens, scores);
    const count = heldRows + context.segmentTokens;
    numbers.keep(joinIndices(chosen), { from: 0, count, keep: keptRows });
  }

  /** Gives a group without what a commit drops: as it is, or at the first commit in buffers of its own size. */
  async #shorten(parts: GroupParts, choice: ScoredChoice): Promise<() => GroupParts> {
    const { group, heldRows, keptRows } = choice;
    const dropCount = heldRows + this.#design.context.segmentTokens - keptRows;
    if (this.#commits > 0) {
      return () => {
        parts.cache.drop(keptRows, dropCount);
        this.#keepNumbers(parts.numbers, choice);
        return parts;
      };
    }
    const sized = createSized(this.#design, group, 1, this.#memory);
    await this.#memory.ready();
    const copy = parts.cache.clone();
    copy.drop(keptRows, dropCount);
    const { keys, values } = await copy.export();
    sized.cache.import(keys, values, copy.usedTokens);
    const numbers = parts.numbers.clone();
    this.#keepNumbers(numbers, choice);
    sized.numbers.write(numbers.export(copy.usedTokens), 0, copy.usedTokens);
    copy.release();
    return () => {
      parts.cache.release();
      return { ...parts, ...sized };
    };
  }

  async commit(session: RuntimeSession<Tensor> | undefined): Promise<void> {
    if (session === undefined) throw new InternalError({ where: "commit", what: "no commit graph" });
    const { geometry, context } = this.#design;
    // What can fail comes before what changes the state.
    const steps = this.#groups.map(({ group }) => stepOf(context, group, this.#commits));
    const choices: GroupChoice[] = [];
    const shortened: (() => GroupParts)[] = [];
    const feeds: Record<string, Tensor> = {};
    for (const [index, parts] of this.#groups.entries()) {
      const step = steps[index];
      if (step === undefined) continue;
      const choice = this.#choose(parts, step);
      choices.push(choice);
      Object.assign(feeds, await this.#originals(parts, step.heldRows));
      shortened.push(await this.#shorten(parts, choice));
    }
    Object.assign(feeds, layeredCommitFeeds(geometry, context, this.#commits, choices));
    for (let layer = 0; layer < geometry.layerCount; layer++) {
      feeds[pastKeysName(layer)] = this.#cacheOf(layer).rows(layer, "keys");
      feeds[pastValuesName(layer)] = this.#cacheOf(layer).rows(layer, "values");
    }
    const outputs = await session.run(feeds);
    this.#groups = shortened.map((shorten) => shorten());
    for (const parts of this.#groups) this.#takeIn(parts, outputs);
    this.#commits += 1;
    releaseTensors(outputs);
  }

  /** Takes in the sinks and slots of a group as a commit gave them. */
  #takeIn({ group, cache, kept }: GroupParts, outputs: Readonly<Record<string, Tensor>>): void {
    for (const layer of group.layers) {
      const [moved, values] = [outputs[movedKeysName(layer)], outputs[slotValuesName(layer)]];
      const originals = outputs[slotKeysName(layer)];
      if (moved === undefined || values === undefined)
        throw new InternalError({ where: `layer ${layer}`, what: "no slots came out" });
      cache.overwrite(layer, "keys", 0, moved);
      cache.overwrite(layer, "values", 0, values);
      if (originals !== undefined) kept.replace(layer, originals);
    }
  }

  clone(): LayeredSlotState {
    const groups = this.#groups.map(({ group, cache, kept, numbers }) => ({
      group,
      cache: cache.clone(),
      kept: kept.clone(),
      numbers: numbers.clone(),
    }));
    const tokens = { length: this.#length, commits: this.#commits };
    return new LayeredSlotState(this.#design, this.#memory, groups, tokens);
  }

  release(): void {
    for (const { cache, kept } of this.#groups) {
      cache.release();
      kept.release();
    }
  }

  async exportArrays(): Promise<readonly StateArray[]> {
    const caches = await Promise.all(this.#groups.map(({ cache }) => cache.export()));
    const kept = await Promise.all(this.#groups.map((parts) => parts.kept.export()));
    const numbers = this.#groups.map((parts) => parts.numbers.export(parts.cache.usedTokens));
    return [
      { name: "keys", data: joinFloats(caches.map(({ keys }) => keys)) },
      { name: "values", data: joinFloats(caches.map(({ values }) => values)) },
      { name: "kept_keys", data: joinFloats(kept) },
      { name: "token_numbers", data: joinFloats(numbers.map((own) => Float32Array.from(own))) },
    ];
  }
}
