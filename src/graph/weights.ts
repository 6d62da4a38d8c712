/**
 * Takes a file's tensors into a graph: shapes checked, leftovers known. Stored types are widened to float32, but
 * for matrices that are multiplied in blocks or in float16: for those, the entry says so.
 */

import { InvalidModelError } from "../errors.ts";
import type { TensorEntry } from "../files/safetensors.ts";
import type { BlockFormat } from "../tensor/block-quantization.ts";
import { formatShape, sameShape } from "../tensor/shape.ts";
import type { GraphBuilder } from "./builder.ts";
import type { Value } from "./graph.ts";

/**
 * Is a matrix `[rows, columns]` held in blocks: w = (q - 2^(bits-1)) scale + offset. The runtimes' own zero points
 * would do for offsets, but are slow or missing where they are not whole numbers: see docs/adr/0007-gguf.md.
 */
export interface BlockEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly format: BlockFormat;
  /** uint8 `[rows, blocks, blockSize * bits / 8]`. */
  readonly data: TensorEntry;
  /** float32 `[rows, blocks]`. */
  readonly scales: TensorEntry;
  /** float32 `[rows, blocks]`; all zero where undefined. */
  readonly offsets?: TensorEntry;
}

/** Is a weight as the file has it. */
export interface PlainEntry extends TensorEntry {
  /** What its products are computed in, where it is not float32; its elements are of that type. */
  readonly productDType?: "float16";
}

/** Is a weight in a file: as it is, or in blocks. */
export type WeightEntry = PlainEntry | BlockEntry;

function isInBlocks(entry: WeightEntry): entry is BlockEntry {
  return "format" in entry;
}

function isHalf(entry: WeightEntry): entry is PlainEntry {
  return !isInBlocks(entry) && entry.productDType === "float16";
}

/** Is one of several matrices that multiply the same x. */
export interface LinearPart {
  readonly name: string;
  /** `[columns, innerSize]`. */
  readonly shape: readonly [number, number];
  /** float32 `[columns]`. */
  readonly bias?: Value | undefined;
}

/** Joins stretches of one file that lie behind one another; undefined when they do not. */
function joinStretches(entries: readonly (TensorEntry | undefined)[]): TensorEntry | undefined {
  const [first] = entries;
  if (first === undefined) return undefined;
  let end = first.offset;
  let rows = 0;
  for (const entry of entries) {
    if (entry?.source !== first.source || entry.offset !== end) return undefined;
    end += entry.lengthBytes;
    rows += entry.shape[0] ?? 0;
  }
  return { ...first, shape: [rows, ...first.shape.slice(1)], lengthBytes: end - first.offset };
}

/**
 * Joins matrices in blocks of one format into one with the rows of all; undefined unless their blocks, scales and
 * offsets each lie behind one another in the file.
 */
function joinBlocks(entries: readonly WeightEntry[]): BlockEntry | undefined {
  const blocks = entries.filter(isInBlocks);
  const [first] = blocks;
  if (first === undefined || blocks.length !== entries.length) return undefined;
  const { bits, blockSize } = first.format;
  if (blocks.some(({ format }) => format.bits !== bits || format.blockSize !== blockSize)) return undefined;
  const data = joinStretches(blocks.map((entry) => entry.data));
  const scales = joinStretches(blocks.map((entry) => entry.scales));
  const offsets = joinStretches(blocks.map((entry) => entry.offsets));
  if (data === undefined || scales === undefined) return undefined;
  if (offsets === undefined && blocks.some((entry) => entry.offsets !== undefined)) return undefined;
  const rows = scales.shape[0] ?? 0;
  return {
    name: blocks.map(({ name }) => name).join("+"),
    shape: [rows, first.shape[1] ?? 0],
    format: first.format,
    data,
    scales,
    ...(offsets !== undefined && { offsets }),
  };
}

/** Joins matrices that are multiplied in float16 and lie behind one another; undefined when they do not. */
function joinHalves(entries: readonly WeightEntry[]): PlainEntry | undefined {
  const halves = entries.filter(isHalf);
  const joined = halves.length === entries.length ? joinStretches(halves) : undefined;
  return joined && { ...joined, name: halves.map(({ name }) => name).join("+"), productDType: "float16" };
}

function addBias(b: GraphBuilder, product: Value, bias: Value | undefined): Value {
  return bias === undefined ? product : b.add(product, bias);
}

/** Hands out the tensors of a checkpoint or adapter by name. */
export class WeightReader {
  readonly #where: string;
  readonly #entries: ReadonlyMap<string, WeightEntry>;
  readonly #taken = new Set<string>();
  readonly #values = new Map<string, Value>();
  readonly #derived = new WeakMap<GraphBuilder, Map<string, Value>>();

  /** @param where names the checkpoint or adapter in messages. */
  constructor(where: string, entries: ReadonlyMap<string, WeightEntry>) {
    this.#where = where;
    this.#entries = entries;
  }

  /** Lists the tensors that nothing has taken. */
  get leftovers(): string[] {
    return [...this.#entries.keys()].filter((name) => !this.#taken.has(name));
  }

  #refuse(name: string, what: string, got: string | undefined, expected: string): never {
    const where = `${this.#where}, tensor ${name}`;
    throw new InvalidModelError({ where, what, ...(got !== undefined && { got }), expected });
  }

  #find(name: string, shape: readonly number[]): WeightEntry {
    const entry = this.#entries.get(name);
    const expected = formatShape(shape);
    if (entry === undefined) this.#refuse(name, "the tensor is missing", undefined, `shape ${expected}`);
    if (!sameShape(entry.shape, shape)) {
      this.#refuse(name, "the shape does not fit", formatShape(entry.shape), expected);
    }
    this.#taken.add(name);
    return entry;
  }

  /** Adds a stretch of a file as a constant; asked for twice, it is the same one. */
  #constant(b: GraphBuilder, name: string, entry: TensorEntry, shape: readonly number[]): Value {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const { source, offset, lengthBytes } = entry;
    const value = b.external(name, entry.dtype, shape, { source, offset, lengthBytes });
    this.#values.set(name, value);
    return value;
  }

  #plain(b: GraphBuilder, entry: WeightEntry): Value {
    if (isInBlocks(entry)) this.#refuse(entry.name, "the tensor is quantised", "blocks", "a plain tensor");
    if (entry.dtype !== "float32" && entry.dtype !== "float16" && entry.dtype !== "bfloat16") {
      const expected = "float32, float16 or bfloat16";
      this.#refuse(entry.name, "the dtype is not a weight's", entry.dtype, expected);
    }
    return this.#constant(b, entry.name, entry, entry.shape);
  }

  /**
   * Adds a tensor as float32; the runtime widens it once, when it loads the graph.
   * @throws {@link InvalidModelError} when it is missing, has another shape or is quantised.
   */
  take(b: GraphBuilder, name: string, shape: readonly number[]): Value {
    return b.cast(this.#plain(b, this.#find(name, shape)), "float32");
  }

  #blocks(b: GraphBuilder, { name, format, data, scales }: BlockEntry): Value[] {
    const [rows = 0, blocks = 0] = scales.shape;
    const shape = [rows, blocks, (format.blockSize * format.bits) / 8];
    return [
      this.#constant(b, `${name}:blocks`, data, shape),
      this.#constant(b, `${name}:scales`, scales, scales.shape),
    ];
  }

  /** Derives a value from what several matrices multiply: once for all of them. */
  #derive(b: GraphBuilder, key: string, write: () => Value): Value {
    const ofBuilder = this.#derived.get(b) ?? new Map<string, Value>();
    this.#derived.set(b, ofBuilder);
    const value = ofBuilder.get(key) ?? write();
    ofBuilder.set(key, value);
    return value;
  }

  /** Sums x `[n, k]` over blocks: `[n, k / blockSize]`. */
  #blockSums(b: GraphBuilder, x: Value, blockSize: number, blocks: number): Value {
    return this.#derive(b, `${x.name}/${blockSize}`, () =>
      b.reduceSum(b.reshape(x, [x.shape[0] ?? 1, blocks, blockSize]), [2], false),
    );
  }

  /** Adds what offsets contribute to a product: an offset times the sum of what its block multiplies. */
  #addOffsets(b: GraphBuilder, product: Value, x: Value, { name, format, offsets }: BlockEntry): Value {
    if (offsets === undefined) return product;
    const sums = this.#blockSums(b, x, format.blockSize, offsets.shape[1] ?? 0);
    return b.add(product, b.linear(sums, this.#constant(b, `${name}:offsets`, offsets, offsets.shape)));
  }

  #blockProduct(b: GraphBuilder, x: Value, entry: BlockEntry): Value {
    const format = { ...entry.format, innerSize: entry.shape[1] ?? 0, accuracyLevel: 4 } as const;
    const scaled = b.matMulNBits(x, this.#blocks(b, entry), format);
    return this.#addOffsets(b, scaled, x, entry);
  }

  /** Writes a product in float16: x is rounded before, the result widened behind, so that sums over layers are not. */
  #halfProduct(b: GraphBuilder, x: Value, entry: PlainEntry, isTransposed: boolean): Value {
    const weight = this.#plain(b, entry);
    const half = this.#derive(b, `${x.name}/float16`, () => b.cast(x, "float16"));
    return b.cast(isTransposed ? b.matMul(half, weight) : b.linear(half, weight), "float32");
  }

  /**
   * Writes `x w^T (+ bias)` with the matrix `[columns, innerSize]` of that name, plain or in blocks.
   * @throws {@link InvalidModelError} when it is missing or has another shape.
   */
  linear(b: GraphBuilder, x: Value, name: string, shape: readonly [number, number], bias?: Value): Value {
    const entry = this.#find(name, shape);
    if (isInBlocks(entry)) return addBias(b, this.#blockProduct(b, x, entry), bias);
    if (isHalf(entry)) return addBias(b, this.#halfProduct(b, x, entry, false), bias);
    return b.linear(x, b.cast(this.#plain(b, entry), "float32"), bias);
  }

  /**
   * Writes the products of one x with several matrices: as one product where the file holds them behind one
   * another in blocks of one format or in float16, which saves reading x again and starting more kernels; else one
   * each.
   * @returns `[n, columns]` of each.
   * @throws {@link InvalidModelError} when one is missing or has another shape.
   */
  linears(b: GraphBuilder, x: Value, parts: readonly LinearPart[]): readonly Value[] {
    const entries = parts.map(({ name, shape }) => this.#find(name, shape));
    const [blocks, halves] = [joinBlocks(entries), joinHalves(entries)];
    let product: Value | undefined;
    if (blocks !== undefined) product = this.#blockProduct(b, x, blocks);
    else if (halves !== undefined) product = this.#halfProduct(b, x, halves, false);
    if (product === undefined)
      return parts.map(({ name, shape, bias }) => this.linear(b, x, name, shape, bias));
    const columns = parts.map(({ shape }) => shape[0]);
    return b.split(product, 1, columns).map((value, index) => addBias(b, value, parts[index]?.bias));
  }

  /**
   * Writes `x w (+ bias)` with the matrix `[innerSize, columns]` of that name, kept the other way round.
   * @throws {@link InvalidModelError} when it is missing, has another shape or is quantised.
   */
  transposedLinear(
    b: GraphBuilder,
    x: Value,
    name: string,
    shape: readonly [number, number],
    bias?: Value,
  ): Value {
    const entry = this.#find(name, shape);
    const product = isHalf(entry)
      ? this.#halfProduct(b, x, entry, true)
      : b.matMul(x, this.take(b, name, shape));
    return addBias(b, product, bias);
  }

  /**
   * Writes the rows of the matrix `[rows, width]` of that name that int64 indices `[n]` pick, as float32.
   * @throws {@link InvalidModelError} when it is missing or has another shape.
   */
  gatherRows(b: GraphBuilder, indices: Value, name: string, shape: readonly [number, number]): Value {
    const entry = this.#find(name, shape);
    if (!isInBlocks(entry)) return b.cast(b.gather(this.#plain(b, entry), indices), "float32");
    const { format, data, scales, offsets } = entry;
    const width = (shape[1] * format.bits) / 8;
    const table = this.#constant(b, `${name}:rows`, data, [shape[0], width]);
    const factors = this.#constant(b, `${name}:scales`, scales, scales.shape);
    const rows = b.gatherBlockQuantized(table, indices, factors, { ...format, innerSize: shape[1] });
    if (offsets === undefined) return rows;
    const count = indices.shape[0] ?? 1;
    const blocks = offsets.shape[1] ?? 0;
    const added = b.gather(this.#constant(b, `${name}:offsets`, offsets, offsets.shape), indices);
    const inBlocks = b.reshape(rows, [count, blocks, format.blockSize]);
    return b.reshape(b.add(inBlocks, b.reshape(added, [count, blocks, 1])), [count, shape[1]]);
  }
}
