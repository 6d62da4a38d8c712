/**
 * Half-precision floats, float16 and bfloat16, to and from float32, by bit pattern.
 *
 * Encoding rounds to nearest, ties to even; subnormals, infinities and the payloads of NaN are kept.
 * A value given as float64 is rounded to float32 first.
 */

/** Drops the low `count` (1 to 24) bits of a non-negative integer, rounding to nearest, ties to even. */
function dropBits(value: number, count: number): number {
  const quotient = value >>> count;
  const rest = value & ((1 << count) - 1);
  const half = 1 << (count - 1);
  return rest > half || (rest === half && (quotient & 1) === 1) ? quotient + 1 : quotient;
}

function float16FromBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  // NaN: the top of the payload stays, and is never empty, which would mean infinity.
  if (magnitude > 0x7f800000) return sign | 0x7c00 | ((magnitude >>> 13) & 0x3ff || 0x200);
  // 65520 lies halfway between the largest float16 and the next power of two.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // From 2^-14 on: rebias the exponent from 127 to 15; a carry out of the mantissa is right as it is.
  if (magnitude >= 0x38800000) return sign | dropBits(magnitude - 0x38000000, 13);
  // Subnormal: a multiple of 2^-24.
  const shift = 126 - (magnitude >>> 23);
  return shift > 24 ? sign : sign | dropBits((magnitude & 0x7fffff) | 0x800000, shift);
}

function bitsFromFloat16(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (mantissa << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (mantissa << 13);
  if (mantissa === 0) return sign;
  const shift = Math.clz32(mantissa) - 21;
  return sign | ((113 - shift) << 23) | (((mantissa << shift) & 0x3ff) << 13);
}

function bfloat16FromBits(bits: number): number {
  if ((bits & 0x7fffffff) <= 0x7f800000) return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  // NaN: see above.
  const high = bits >>> 16;
  return (high & 0x7f) === 0 ? high | 0x40 : high;
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

// Plain loops: TypedArray.from with a mapping function is over twenty times slower.

function encode(values: ArrayLike<number>, fromBits: (bits: number) => number): Uint16Array {
  const floats = values instanceof Float32Array ? values : Float32Array.from(values);
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  const halves = new Uint16Array(bits.length);
  for (let index = 0; index < bits.length; index++) halves[index] = fromBits(bits[index] ?? 0);
  return halves;
}

function decode(halves: Uint16Array, toBits: (half: number) => number): Float32Array {
  const bits = new Uint32Array(halves.length);
  for (let index = 0; index < bits.length; index++) bits[index] = toBits(halves[index] ?? 0);
  return new Float32Array(bits.buffer);
}

/** Encodes numbers as float16 bit patterns; beyond 65504 they become infinite. */
export function encodeFloat16(values: ArrayLike<number>): Uint16Array {
  return encode(values, float16FromBits);
}

/** Decodes float16 bit patterns; exact. */
export function decodeFloat16(halves: Uint16Array): Float32Array {
  return decode(halves, bitsFromFloat16);
}

/** Rounds a number to the nearest float16; beyond 65504 it becomes infinite. */
export function roundToFloat16(value: number): number {
  scratch[0] = value;
  scratchBits[0] = bitsFromFloat16(float16FromBits(scratchBits[0] ?? 0));
  return scratch[0] ?? 0;
}

/** Every bfloat16 as float16, by its pattern; made when it is first needed. */
let narrowed: Uint16Array | undefined;

/** Turns bfloat16 bit patterns into those of the nearest float16; beyond 65504 they become infinite. */
export function bfloat16ToFloat16(halves: Uint16Array): Uint16Array {
  narrowed ??= encodeFloat16(decodeBfloat16(Uint16Array.from({ length: 65536 }, (_, pattern) => pattern)));
  const result = new Uint16Array(halves.length);
  for (let index = 0; index < result.length; index++) result[index] = narrowed[halves[index] ?? 0] ?? 0;
  return result;
}

/** Returns the index of the first float16 that is infinite or NaN; -1 when there is none. */
export function findNonFiniteFloat16(halves: Uint16Array): number {
  for (let index = 0; index < halves.length; index++)
    if (((halves[index] ?? 0) & 0x7c00) === 0x7c00) return index;
  return -1;
}

/** Encodes numbers as bfloat16 bit patterns. */
export function encodeBfloat16(values: ArrayLike<number>): Uint16Array {
  return encode(values, bfloat16FromBits);
}

/** Decodes bfloat16 bit patterns; exact. */
export function decodeBfloat16(halves: Uint16Array): Float32Array {
  return decode(halves, (half) => half << 16);
}
