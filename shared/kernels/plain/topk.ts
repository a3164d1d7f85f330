// Plain twins of assembly/topk.ts: the k largest magnitudes by sorting, the payload as a list of numbers.
import { fromF16, toF16 } from './convert.js';
import { sumF32 } from './int8.js';

export const TOPK_GROUP_ELEMENTS = 256;

/** Positions of the k largest magnitudes, ascending; of equal ones the first. */
export function largest(c: Float32Array, k: number): number[] {
  return Array.from(c.keys())
    .sort((a, b) => Math.abs(c[b]) - Math.abs(c[a]) || a - b)
    .slice(0, k)
    .sort((a, b) => a - b);
}

interface Velocity {
  momentum: number;
  velocity: Float32Array;
  nextVelocity: Float32Array;
}

/**
 * The payload of the k largest of gradient + residual · factor; fills the next residual, which has momentum times the
 * next velocity in it, and the next velocity.
 */
export function packTopK(
  gradient: Float32Array,
  residual: Float32Array,
  factor: number,
  k: number,
  scale: number,
  next: Float32Array,
  correction?: Velocity,
): Uint8Array {
  const inverse = Math.fround(1 / factor);
  sumF32(gradient, residual, factor, next);
  const positions = largest(next, k);
  const payload = takeOut(next, positions, scale);
  for (let i = 0; i < next.length; i++) next[i] *= inverse;
  if (!correction) return payload;
  const { velocity, nextVelocity } = correction;
  const momentum = Math.fround(correction.momentum);
  sumF32(gradient, velocity, Math.fround(momentum * factor), nextVelocity);
  for (let i = 0; i < next.length; i++) nextVelocity[i] *= inverse;
  for (const i of positions) nextVelocity[i] = 0;
  const sent = new Set(positions);
  for (let i = 0; i < next.length; i++) if (!sent.has(i)) next[i] += Math.fround(nextVelocity[i] * momentum);
  return payload;
}

/** The payload of the k largest of values - held; what that sends is added to held. */
export function packDifferenceTopK(
  values: Float32Array,
  held: Float32Array,
  k: number,
  scale: number,
): Uint8Array {
  const c = new Float32Array(values.length);
  sumF32(values, held, -1, c);
  const payload = takeOut(c, largest(c, k), scale);
  addTopK(payload, 1 / scale, held);
  return payload;
}

/** The payload of the elements at some positions; they are taken out of c. */
function takeOut(c: Float32Array, positions: readonly number[], scale: number): Uint8Array {
  const k = positions.length;
  const groups = Math.ceil(c.length / TOPK_GROUP_ELEMENTS);
  const upper = new Uint8Array(Math.ceil((k + groups) / 8));
  const payload = new DataView(new ArrayBuffer(4 + upper.length + 3 * k));
  payload.setUint32(0, k, true);
  for (const [j, position] of positions.entries()) {
    // Before the one bit of element j stand those of the elements before it, and a zero for each group before its own.
    const bit = j + Math.floor(position / TOPK_GROUP_ELEMENTS);
    upper[bit >> 3] |= 1 << (bit & 7);
    payload.setUint8(4 + upper.length + j, position % TOPK_GROUP_ELEMENTS);
    const half = toF16(Math.fround(c[position] * scale));
    payload.setUint16(4 + upper.length + k + 2 * j, half, true);
    c[position] -= Math.fround(fromF16(half) / scale);
  }
  const bytes = new Uint8Array(payload.buffer);
  bytes.set(upper, 4);
  return bytes;
}

/** Positions and values of a payload of a block of so many elements. */
function* entries(payload: Uint8Array, elements: number): Generator<[position: number, value: number]> {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const k = view.getUint32(0, true);
  const upperBytes = Math.ceil((k + Math.ceil(elements / TOPK_GROUP_ELEMENTS)) / 8);
  let group = 0;
  for (let bit = 0, j = 0; j < k; bit++) {
    if (!((payload[4 + (bit >> 3)] >> (bit & 7)) & 1)) {
      group++;
      continue;
    }
    const value = fromF16(view.getUint16(4 + upperBytes + k + 2 * j, true));
    yield [group * TOPK_GROUP_ELEMENTS + payload[4 + upperBytes + j], value];
    j++;
  }
}

export function addTopK(payload: Uint8Array, factor: number, acc: Float32Array): void {
  const f = Math.fround(factor);
  for (const [position, value] of entries(payload, acc.length)) acc[position] += Math.fround(value * f);
}

export function unpackTopK(payload: Uint8Array, factor: number, dst: Float32Array): void {
  dst.fill(0);
  addTopK(payload, factor, dst);
}
