// The weighted sum over workers: bits of the twins, closeness to float64, and one order for one result.
import test from 'ava';
import fc from 'fast-check';
import * as plain from '../../../shared/kernels/plain/accumulate.js';
import { toBf16, toF16 } from '../../../shared/kernels/plain/convert.js';
import { anyFloat, anyShift, arrayOf, bitsOf, fixed, kernels, place, read, tameFloat } from './memory.js';

type Twin = (src: Float32Array | Uint16Array, factor: number, acc: Float32Array) => void;

const kinds = [
  { name: 'addF32', twin: plain.addF32, encode: (x: Float32Array) => x },
  { name: 'scaleF32', twin: plain.scaleF32, encode: (x: Float32Array) => x },
  { name: 'addF16', twin: plain.addF16, encode: (x: Float32Array) => Uint16Array.from(x, toF16) },
  { name: 'addBf16', twin: plain.addBf16, encode: (x: Float32Array) => Uint16Array.from(x, toBf16) },
] as const;

for (const { name, twin, encode } of kinds) {
  test(`${name} gives the bits of its twin for any fp32, factor, length and alignment`, (t) => {
    fc.assert(
      fc.property(arrayOf(anyFloat), anyFloat, anyShift, (x, factor, shift) => {
        const payload = encode(x);
        const acc = x.map((value) => value / 3).reverse();
        const [src, at] = place(shift, payload, acc);
        kernels[name](src, x.length, factor, at);
        (twin as Twin)(payload, factor, acc);
        t.deepEqual(bitsOf(read(at, acc)), bitsOf(acc));
      }),
      fixed,
    );
  });
}

test('a sum over workers is within its rounding of the float64 sum', (t) => {
  const workers = fc.array(fc.array(tameFloat, { minLength: 37, maxLength: 37 }), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(workers, (contributions) => {
      const sum = new Float64Array(37);
      const size = new Float64Array(37);
      const [src, acc] = place(4, new Float32Array(37), new Float32Array(37));
      contributions.forEach((contribution, worker) => {
        const weight = worker + 1;
        kernels.f32(src, 37).set(contribution);
        if (worker === 0) kernels.scaleF32(src, 37, weight, acc);
        else kernels.addF32(src, 37, weight, acc);
        contribution.forEach((x, i) => {
          sum[i] += weight * x;
          size[i] += Math.abs(weight * x);
        });
      });
      const rounding = 2 ** -24 * 2 * contributions.length;
      read(acc, new Float32Array(37)).forEach((x, i) => {
        t.true(Math.abs(x - sum[i]) <= size[i] * rounding + 2 ** -140);
      });
    }),
    { ...fixed, numRuns: 50 },
  );
});

test('bytes are copied, also where the ranges overlap', (t) => {
  const values = Float32Array.from({ length: 50 }, (_, i) => i);
  const [src] = place(1, values);
  kernels.copyBytes(src, 200, src + 12);
  t.deepEqual(read(src + 12, values), values);
});
