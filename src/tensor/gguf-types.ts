/**
 * The element types of GGUF files: their numbers, names and block sizes.
 *
 * A type holds `blockSize` elements in `blockBytes` bytes. What is not in the table is refused by its name.
 */

/** Describes an element type of GGUF. */
export interface GgufTypeInfo {
  /** ggml's number. */
  readonly id: number;
  /** Elements that are stored together; rows are whole blocks. */
  readonly blockSize: number;
  readonly blockBytes: number;
}

/** Names an element type that is read. */
export type GgufType =
  | "F32"
  | "F16"
  | "BF16"
  | "Q4_0"
  | "Q4_1"
  | "Q5_0"
  | "Q5_1"
  | "Q8_0"
  | "Q4_K"
  | "Q5_K"
  | "Q6_K";

/** Gives the element types that are read. */
export const ggufTypes: { readonly [Type in GgufType]: GgufTypeInfo } = {
  F32: { id: 0, blockSize: 1, blockBytes: 4 },
  F16: { id: 1, blockSize: 1, blockBytes: 2 },
  BF16: { id: 30, blockSize: 1, blockBytes: 2 },
  Q4_0: { id: 2, blockSize: 32, blockBytes: 18 },
  Q4_1: { id: 3, blockSize: 32, blockBytes: 20 },
  Q5_0: { id: 6, blockSize: 32, blockBytes: 22 },
  Q5_1: { id: 7, blockSize: 32, blockBytes: 24 },
  Q8_0: { id: 8, blockSize: 32, blockBytes: 34 },
  Q4_K: { id: 12, blockSize: 256, blockBytes: 144 },
  Q5_K: { id: 13, blockSize: 256, blockBytes: 176 },
  Q6_K: { id: 14, blockSize: 256, blockBytes: 210 },
};

/** Names of ggml's other types, for messages. */
const otherNames: Readonly<Record<number, string>> = {
  9: "Q8_1",
  10: "Q2_K",
  11: "Q3_K",
  15: "Q8_K",
  16: "IQ2_XXS",
  17: "IQ2_XS",
  18: "IQ3_XXS",
  19: "IQ1_S",
  20: "IQ4_NL",
  21: "IQ3_S",
  22: "IQ2_S",
  23: "IQ4_XS",
  24: "I8",
  25: "I16",
  26: "I32",
  27: "I64",
  28: "F64",
  29: "IQ1_M",
  34: "TQ1_0",
  35: "TQ2_0",
  39: "MXFP4",
  40: "NVFP4",
};

/** Lists the names of the types that are read. */
export const ggufTypeNames: readonly GgufType[] = (Object.keys(ggufTypes) as GgufType[]).toSorted();

/** Returns the type of a number; undefined when it is not read. */
export function findGgufType(id: number): GgufType | undefined {
  return ggufTypeNames.find((name) => ggufTypes[name].id === id);
}

/** Names a type that is not read. */
export function describeGgufType(id: number): string {
  return otherNames[id] ?? `type ${id}`;
}
