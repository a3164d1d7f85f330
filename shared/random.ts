// Randomness by key instead of by sequence: the same (seed, key) gives the same numbers in every process,
// in whatever order they are asked for. Philox4x32-10, a counter-based generator:
// Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

export interface KeyedRandom {
  /** An unsigned 32-bit integer. */
  uint32(): number;
  /** A number in [0, 1) with 53 random bits. */
  float(): number;
  /** An integer in [0, bound); bound is at most 2^32. */
  below(bound: number): number;
  /** A standard normal number (Box–Muller). */
  normal(): number;
}

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

/** The high 32 bits of the 64-bit product of two unsigned 32-bit integers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const low = aLow * bLow;
  const middle1 = aHigh * bLow + (low >>> 16);
  const middle2 = aLow * bHigh + (middle1 & 0xffff);
  return (aHigh * bHigh + Math.floor(middle1 / 0x10000) + Math.floor(middle2 / 0x10000)) >>> 0;
}

/** One Philox4x32-10 block: four words of counter, two of key, four words out (written over the counter). */
export function philox(counter: Uint32Array, key0: number, key1: number): void {
  let [c0, c1, c2, c3] = counter;
  let k0 = key0 >>> 0;
  let k1 = key1 >>> 0;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(M0, c0);
    const low0 = Math.imul(M0, c0) >>> 0;
    const high1 = multiplyHigh(M1, c2);
    const low1 = Math.imul(M1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  counter[0] = c0;
  counter[1] = c1;
  counter[2] = c2;
  counter[3] = c3;
}

const encoder = new TextEncoder();

/** Mixes one byte string into a 64-bit state of two words (FNV-1a on each, with different offsets). */
function mix(state: [number, number], bytes: Uint8Array): void {
  for (const byte of bytes) {
    state[0] = Math.imul(state[0] ^ byte, 0x01000193) >>> 0;
    state[1] = Math.imul(state[1] ^ (byte + 0x5b), 0x85ebca6b) >>> 0;
    state[1] ^= state[0] >>> 15;
  }
}

/**
 * A stream of random numbers that depends on nothing but its key.
 * @param seed the run's seed, any integer
 * @param key what the numbers are for, e.g. `('augment', epoch, record)`
 */
export function keyedRandom(seed: number, ...key: (string | number)[]): KeyedRandom {
  const state: [number, number] = [0x811c9dc5, 0x9747b28c];
  mix(state, encoder.encode(JSON.stringify([seed, ...key])));
  const counter = new Uint32Array(4);
  const words = new Uint32Array(4);
  let used = 4;
  const uint32 = (): number => {
    if (used === 4) {
      words.set(counter);
      philox(words, state[0], state[1] >>> 0);
      counter[0]++;
      if (counter[0] === 0) counter[1]++;
      used = 0;
    }
    return words[used++];
  };
  const float = (): number => ((uint32() >>> 5) * 0x4000000 + (uint32() >>> 6)) / 0x20000000000000;
  return {
    uint32,
    float,
    below: (bound) => Math.floor(float() * bound),
    normal: () => Math.sqrt(-2 * Math.log(1 - float())) * Math.cos(2 * Math.PI * float()),
  };
}
