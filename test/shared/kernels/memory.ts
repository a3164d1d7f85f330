// What the kernel tests share: kernels over a small memory, arrays placed in it at odd addresses, arbitrary
// fp32 of every kind, and equality to the bit.
import fc from 'fast-check';
import { Arena } from '../../../shared/kernels/arena.js';
import type { Kernels } from '../../../shared/kernels/kernels.js';
import { loadKernels } from '../../../shared/kernels/load.js';

export const kernels: Kernels = loadKernels({ bytes: 4 * 1024 * 1024 });

/** Runs with the same cases every time. */
export const fixed = { seed: 20_260, numRuns: 300 };

type Numbers = Float32Array | Uint16Array;

/** Lays arrays into the memory one after the other, each `shift` bytes past a 16-byte boundary. */
export function place(shift: number, ...arrays: Numbers[]): number[] {
  const arena = new Arena(kernels);
  return arrays.map((array) => {
    const pointer = arena.alloc(array.byteLength + 16, 16) + shift;
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    kernels.u8(pointer, array.byteLength).set(bytes);
    return pointer;
  });
}

/** A copy of what stands in the memory, of the same kind and length as `like`. */
export function read<T extends Numbers>(pointer: number, like: T): T {
  const bytes = kernels.u8(pointer, like.byteLength).slice();
  const copy = like instanceof Float32Array ? new Float32Array(like.length) : new Uint16Array(like.length);
  new Uint8Array(copy.buffer).set(bytes);
  return copy as T;
}

/** Bits of fp32, every NaN as the same one. */
export function bitsOf(numbers: Numbers): number[] {
  if (numbers instanceof Uint16Array) return [...numbers];
  const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
  return Array.from(numbers, (x, i) => (Number.isNaN(x) ? 0x7fc00000 : bits[i]));
}

const everyBits = fc
  .uint32Array({ minLength: 1, maxLength: 1 })
  .map((array) => new Float32Array(array.buffer)[0]);

/** Any fp32: random bits, round numbers, zeros, denormals, infinities and NaN. */
export const anyFloat = fc.oneof(everyBits, fc.float(), fc.constantFrom(0, -0, 1e-41, -3e-39));

/** A finite fp32 of the size that gradients and parameters have, zeros and denormals among them. */
export const tameFloat = fc.oneof(
  { weight: 8, arbitrary: fc.float({ noNaN: true, min: -64, max: 64 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, -0, 1e-41, -3e-39) },
);

/** Arrays of 0 to 70 elements: some whole vectors, every length of tail. */
export const arrayOf = (element: fc.Arbitrary<number>): fc.Arbitrary<Float32Array> =>
  fc.array(element, { maxLength: 70, size: 'max' }).map((array) => Float32Array.from(array));

/** How far past a 16-byte boundary an array stands. */
export const anyShift = fc.integer({ min: 0, max: 15 });
