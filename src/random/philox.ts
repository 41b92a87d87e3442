import { createHash } from 'node:crypto';

/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
 * Every draw is a pure function of (seed, purpose, step, index): there is no generator state to save or to restore.
 *
 *     key      64 bits: the first 8 bytes, little-endian, of SHA-256("<seed>:<purpose>")
 *     counter 128 bits: low 64 bits the group of four draws (index >> 2), high 64 bits the step
 *
 * The same numbers as TensorFlow's StatelessRandomUniformV2 / StatelessRandomNormalV2 with alg = 1 (Philox), key = [key]
 * and counter = [0, step]: that is how the native engine draws them inside its graph.
 */

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;
const ROUNDS = 10;
const TWO_32 = 0x1_0000_0000;

/** The upper 32 bits of a 32 x 32 bit product, of halves, so that nothing is larger than 32 bits: doubles are slower. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  // Both middle sums stay below 2^32: 0xffff * 0xffff + 0xffff = 0xffff0000.
  const upper = (Math.imul(aHigh, bLow) >>> 0) + (Math.imul(aLow, bLow) >>> 16);
  const lower = (Math.imul(aLow, bHigh) >>> 0) + (upper & 0xffff);
  return (Math.imul(aHigh, bHigh) + (upper >>> 16) + (lower >>> 16)) >>> 0;
}

/** One block: four 32-bit words of `counter` and two of `key` (least significant first) give four random words. */
export function philox4x32(
  counter: ArrayLike<number>,
  key: ArrayLike<number>,
  out = new Uint32Array(4),
  at = 0,
): Uint32Array {
  let c0 = counter[0]! >>> 0;
  let c1 = counter[1]! >>> 0;
  let c2 = counter[2]! >>> 0;
  let c3 = counter[3]! >>> 0;
  let k0 = key[0]! >>> 0;
  let k1 = key[1]! >>> 0;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(M0, c0);
    const low0 = Math.imul(M0, c0);
    const high1 = multiplyHigh(M1, c2);
    const low1 = Math.imul(M1, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  out[at] = c0;
  out[at + 1] = c1;
  out[at + 2] = c2;
  out[at + 3] = c3;
  return out;
}

/** The 64-bit key of an independent stream. `seed` is a safe integer. */
export function philoxKey(seed: number, purpose: string): bigint {
  if (!Number.isSafeInteger(seed)) throw new RangeError(`a seed is a safe integer, not ${seed}`);
  return createHash('sha256').update(`${seed}:${purpose}`).digest().readBigUInt64LE(0);
}

/** `count` random 32-bit words of stream (seed, purpose) at `step`, from word `start` on. */
export function bits(seed: number, purpose: string, step: number, count: number, start = 0): Uint32Array<ArrayBuffer> {
  if (!Number.isSafeInteger(step) || step < 0) throw new RangeError(`a step is a safe integer >= 0, not ${step}`);
  const key64 = philoxKey(seed, purpose);
  const key = [Number(key64 & 0xffff_ffffn), Number(key64 >> 32n)];
  const firstGroup = Math.floor(start / 4);
  const groups = Math.ceil((start + count) / 4) - firstGroup;
  const words = new Uint32Array(groups * 4);
  const counter = [0, 0, step % TWO_32, Math.floor(step / TWO_32)];
  for (let i = 0; i < groups; i++) {
    const group = firstGroup + i;
    counter[0] = group % TWO_32;
    counter[1] = Math.floor(group / TWO_32);
    philox4x32(counter, key, words, i * 4);
  }
  return words.subarray(start - firstGroup * 4, start - firstGroup * 4 + count);
}

/** TensorFlow's conversion (random_distributions.h, Uint32ToFloat): 23 bits as the mantissa of a float in [1, 2). */
const unit = (word: number): number => (word & 0x7fffff) / 0x800000;

/** `count` floats uniform in [0, 1): multiples of 2^-23. Bit for bit what the native engine's graph draws. */
export function uniforms(seed: number, purpose: string, step: number, count: number): Float32Array<ArrayBuffer> {
  const words = bits(seed, purpose, step, count);
  const out = new Float32Array(count);
  // Not Float32Array.from with a function: that takes five times as long as the draws.
  for (let i = 0; i < count; i++) out[i] = unit(words[i]!);
  return out;
}

/**
 * `count` standard normal floats by Box-Muller, in TensorFlow's order and float steps (random_distributions_utils.h,
 * BoxMullerFloat). The native engine's graph agrees to 1e-6: its float log and sin are other approximations.
 */
export function normals(seed: number, purpose: string, step: number, count: number): Float32Array<ArrayBuffer> {
  const words = bits(seed, purpose, step, count + (count & 1));
  const out = new Float32Array(words.length);
  for (let i = 0; i < words.length; i += 2) {
    const radius = Math.fround(
      Math.sqrt(Math.fround(-2 * Math.fround(Math.log(Math.max(unit(words[i]!), Math.fround(1e-7)))))),
    );
    const angle = Math.fround(2 * Math.PI * unit(words[i + 1]!));
    out[i] = Math.fround(Math.sin(angle)) * radius;
    out[i + 1] = Math.fround(Math.cos(angle)) * radius;
  }
  return out.subarray(0, count);
}

/**
 * A uniformly random order of 0..n-1: Fisher-Yates, each draw unbiased (Lemire 2019, "Fast random integer generation
 * in an interval": multiply, and reject the few words that would favour some values). `number` tells apart the
 * permutations of one stream, as `step` does elsewhere.
 */
export function permutation(seed: number, purpose: string, number: number, n: number): Uint32Array<ArrayBuffer> {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  const chunk = Math.max(4, Math.min(n, 4096));
  let words = bits(seed, purpose, number, chunk);
  let used = 0;
  let drawn = 0;
  const word = (): number => {
    if (used === words.length) {
      drawn += used;
      words = bits(seed, purpose, number, chunk, drawn);
      used = 0;
    }
    return words[used++]!;
  };
  for (let i = n - 1; i > 0; i--) {
    const bound = i + 1;
    const threshold = (TWO_32 - bound) % bound;
    let draw = word();
    while (Math.imul(draw, bound) >>> 0 < threshold) draw = word();
    const j = multiplyHigh(draw, bound);
    const swapped = order[i]!;
    order[i] = order[j]!;
    order[j] = swapped;
  }
  return order;
}
