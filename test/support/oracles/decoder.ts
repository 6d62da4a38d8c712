/**
 * What an oracle of a family is: one token through the layers, with attention left to the method's oracle.
 */

import type { Weights } from "./dense.ts";

/**
 * Attends with one token's queries, keys and values, a row a head, not rotated, and what they were projected from;
 * gives the heads' outputs.
 */
export type Attend = (
  queries: readonly (readonly number[])[],
  keys: readonly (readonly number[])[],
  values: readonly (readonly number[])[],
  hidden: readonly number[],
) => readonly (readonly number[])[];

/** Computes a family's decoder token by token, in float64. */
export interface OracleDecoder {
  readonly layerCount: number;
  readonly queryHeadCount: number;
  readonly keyValueHeadCount: number;
  readonly headSize: number;
  /** Factor on products of queries and keys. */
  readonly scoreScale: number;
  /** Positions that a token of the layer attends to, itself included. */
  windowTokens(layer: number): number;
  /** Rotates a query or a key of the layer. */
  rotate(layer: number, head: readonly number[], position: number): number[];
  embed(tokenId: number, position: number): number[];
  /** Computes the residual stream behind a layer. */
  runLayer(layer: number, x: readonly number[], attend: Attend): number[];
  logits(x: readonly number[]): number[];
}

/** Makes the oracle of a checkpoint. */
export type MakeOracle = (config: OracleConfig, weights: Weights) => OracleDecoder;

/** Reads a `config.json`, unchecked, and weights by name; what is missing is an error. */
export class OracleConfig {
  readonly #json: Readonly<Record<string, unknown>>;

  constructor(json: Readonly<Record<string, unknown>>) {
    this.#json = json;
  }

  number(field: string): number {
    const value = this.#json[field];
    if (typeof value !== "number") throw new Error(`oracle: no field ${field}`);
    return value;
  }

  numbers(field: string): number[] {
    const value = this.#json[field];
    if (!Array.isArray(value)) throw new Error(`oracle: no field ${field}`);
    return value.map(Number);
  }

  words(field: string): string[] {
    const value = this.#json[field];
    if (!Array.isArray(value)) throw new Error(`oracle: no field ${field}`);
    return value.map(String);
  }

  word(field: string): string {
    const value = this.#json[field];
    if (typeof value !== "string") throw new Error(`oracle: no field ${field}`);
    return value;
  }

  /** Reads a field that is true, false or absent. */
  flag(field: string, whenAbsent: boolean): boolean {
    const value = this.#json[field];
    return typeof value === "boolean" ? value : whenAbsent;
  }

  has(field: string): boolean {
    return this.#json[field] !== undefined && this.#json[field] !== null;
  }

  within(field: string): OracleConfig {
    return new OracleConfig(this.#json[field] as Record<string, unknown>);
  }
}

/** Returns a function that finds a tensor by its name. */
export function finder(weights: Weights): (name: string) => Float64Array {
  return (name) => {
    const weight = weights.get(name);
    if (weight === undefined) throw new Error(`oracle: no tensor ${name}`);
    return weight;
  };
}

/** Returns row `index` of a matrix with rows of that width. */
export function rowOf(matrix: Float64Array, index: number, width: number): number[] {
  return Array.from(matrix.subarray(index * width, (index + 1) * width));
}
