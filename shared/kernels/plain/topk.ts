// Plain twins of assembly/topk.ts: the k largest magnitudes by sorting, the payload as a list of numbers.
import { fromF16, toF16 } from './convert.js';

export const TOPK_GROUP_ELEMENTS = 256;

/** Positions of the k largest magnitudes, ascending; of equal ones the first. */
export function largest(c: Float32Array, k: number): number[] {
  return Array.from(c.keys())
    .sort((a, b) => Math.abs(c[b]) - Math.abs(c[a]) || a - b)
    .slice(0, k)
    .sort((a, b) => a - b);
}

/** The payload of the k largest of c; they are taken out of c. */
export function packTopK(c: Float32Array, k: number, scale: number): Uint8Array {
  const positions = largest(c, k);
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

export function zeroTopK(payload: Uint8Array, dst: Float32Array): void {
  for (const [position] of entries(payload, dst.length)) dst[position] = 0;
}
