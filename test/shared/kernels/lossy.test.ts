// The kernels of the lossy codecs: the bits of their twins, for any gradient and residual, length and alignment.
import test from 'ava';
import fc from 'fast-check';
import { fp16Scale } from '../../../shared/codec/fp16.js';
import * as int8 from '../../../shared/kernels/plain/int8.js';
import { absmax } from '../../../shared/kernels/plain/reduce.js';
import * as sign from '../../../shared/kernels/plain/sign.js';
import * as topk from '../../../shared/kernels/plain/topk.js';
import { anyShift, bitsOf, fixed, kernels, place, read, tameFloat } from './memory.js';

/** Lengths around whole groups and vectors, and short ones. */
const anyLength = fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 250, max: 800 }));
const exponents = fc.integer({ min: -110, max: 60 });
const factors = fc.constantFrom(1, -1, 1024, 2 ** -7);

/** A gradient and a residual of the same length, of any size, with ties and zeros among them. */
const pair = fc
  .tuple(anyLength, exponents, fc.array(tameFloat, { minLength: 3, maxLength: 60 }), fc.nat({ max: 96 }))
  .map(([length, exponent, numbers, offset]) => {
    const at = (i: number) => numbers[i % numbers.length] * 2 ** exponent * (1 + (i % 7));
    return {
      gradient: Float32Array.from({ length }, (_, i) => at(i)),
      residual: Float32Array.from({ length }, (_, i) => at(i * 3 + offset) / 50),
    };
  });

const run = { ...fixed, numRuns: 150 };

test('packI8, unpackI8 and addI8 give the bits of their twins', (t) => {
  fc.assert(
    fc.property(pair, factors, anyShift, ({ gradient, residual }, factor, shift) => {
      const n = gradient.length;
      const groups = Math.ceil(n / int8.INT8_GROUP_ELEMENTS);
      const scales = new Float32Array(groups);
      const bytes = new Int8Array(n);
      const next = new Float32Array(n);
      int8.packI8(gradient, residual, factor, scales, bytes, next);
      const [g, r, dst, nextAt, out] = place(shift, gradient, residual, gradient, next, gradient);
      kernels.packI8({ gradient: g, residual: r, elements: n, factor, dst: dst - 4 * groups, next: nextAt });
      t.deepEqual(bitsOf(read(dst - 4 * groups, scales)), bitsOf(scales));
      t.deepEqual([...new Int8Array(kernels.u8(dst, n).slice().buffer)], [...bytes]);
      t.deepEqual(bitsOf(read(nextAt, next)), bitsOf(next));
      const decoded = new Float32Array(n);
      int8.unpackI8(scales, bytes, 3.7, decoded);
      kernels.unpackI8(dst - 4 * groups, n, 3.7, out);
      t.deepEqual(bitsOf(read(out, decoded)), bitsOf(decoded));
      int8.addI8(scales, bytes, -0.3, decoded);
      kernels.addI8(dst - 4 * groups, n, -0.3, out);
      t.deepEqual(bitsOf(read(out, decoded)), bitsOf(decoded));
    }),
    run,
  );
});

test('packRandomI8 gives the bits of its twin for any key', (t) => {
  const keys = fc.record({
    seed: fc.maxSafeInteger(),
    worker: fc.nat({ max: 1023 }),
    step: fc.nat(),
    block: fc.nat({ max: 65_535 }),
  });
  fc.assert(
    fc.property(pair, factors, anyShift, keys, ({ gradient, residual }, factor, shift, key) => {
      const n = gradient.length;
      const groups = Math.ceil(n / int8.INT8_GROUP_ELEMENTS);
      const scales = new Float32Array(groups);
      const bytes = new Int8Array(n);
      const next = new Float32Array(n);
      int8.packI8(gradient, residual, factor, scales, bytes, next, key);
      const [g, r, nextAt, dst] = place(shift, gradient, residual, next, new Float32Array(2 * n + 256));
      kernels.packRandomI8({ gradient: g, residual: r, elements: n, factor, dst, next: nextAt }, key);
      t.deepEqual(bitsOf(read(dst, scales)), bitsOf(scales));
      t.deepEqual([...new Int8Array(kernels.u8(dst + 4 * groups, n).slice().buffer)], [...bytes]);
      t.deepEqual(bitsOf(read(nextAt, next)), bitsOf(next));
    }),
    { ...run, numRuns: 60 },
  );
});

test('stochastic rounding is right in the mean, where rounding to nearest is not', (t) => {
  const n = 256;
  const gradient = Float32Array.from({ length: n }, (_, i) => (i === 0 ? 127 : (i - 128) / 512));
  const sum = new Float64Array(n);
  const [scales, bytes, next] = [new Float32Array(1), new Int8Array(n), new Float32Array(n)];
  const rounds = 2000;
  for (let step = 0; step < rounds; step++) {
    const key = { seed: 1, worker: 0, step, block: 3 };
    int8.packI8(gradient, new Float32Array(n), 1, scales, bytes, next, key);
    for (let i = 0; i < n; i++) sum[i] += bytes[i];
  }
  // The deviation of a mean of 2,000 draws of 0 and 1 is at most 0.5 / √2000 = 0.011.
  for (let i = 0; i < n; i++) t.true(Math.abs(sum[i] / rounds - gradient[i]) < 0.055, `${i}`);
  int8.packI8(gradient, new Float32Array(n), 1, scales, bytes, next);
  t.true(bytes.subarray(1).every((byte) => byte === 0));
});

test('packSign, unpackSign and addSign give the bits of their twins', (t) => {
  fc.assert(
    fc.property(pair, factors, anyShift, ({ gradient, residual }, factor, shift) => {
      const n = gradient.length;
      const bits = new Uint8Array(Math.ceil(n / 8));
      const next = new Float32Array(n);
      const mean = sign.packSign(gradient, residual, factor, bits, next);
      const [g, r, dst, nextAt, out] = place(shift, gradient, residual, gradient, next, gradient);
      t.is(kernels.packSign({ gradient: g, residual: r, elements: n, factor, dst, next: nextAt }), mean);
      t.deepEqual(kernels.u8(dst, bits.length).slice(), bits);
      t.deepEqual(bitsOf(read(nextAt, next)), bitsOf(next));
      const decoded = new Float32Array(n);
      sign.unpackSign(bits, mean, decoded);
      kernels.unpackSign(dst, n, mean, out);
      t.deepEqual(bitsOf(read(out, decoded)), bitsOf(decoded));
      sign.addSign(bits, mean / 3, decoded);
      kernels.addSign(dst, n, mean / 3, out);
      t.deepEqual(bitsOf(read(out, decoded)), bitsOf(decoded));
    }),
    run,
  );
});

test('packTopK, addTopK and zeroTopK give the bits of their twins, exactly k, ties to the first', (t) => {
  const share = fc.double({ min: 0.001, max: 1, noNaN: true });
  fc.assert(
    fc.property(pair, share, anyShift, ({ gradient }, fraction, shift) => {
      const n = gradient.length;
      const k = Math.ceil(n * fraction);
      const scale = fp16Scale(absmax(gradient));
      const c = gradient.slice();
      const payload = topk.packTopK(c, k, scale);
      const [at, dst, work, acc] = place(shift, gradient, new Float32Array(n + 8), new Float32Array(2064), c);
      kernels.packTopK(at, n, k, scale, dst, work);
      t.deepEqual(kernels.u8(dst, payload.length).slice(), payload);
      t.deepEqual(bitsOf(read(at, c)), bitsOf(c));
      t.is(kernels.faultTopK(dst, n, k), 0);
      kernels.addTopK(dst, n, k, 0.7 / scale, acc);
      const sum = c.slice();
      topk.addTopK(payload, 0.7 / scale, sum);
      t.deepEqual(bitsOf(read(acc, sum)), bitsOf(sum));
      kernels.zeroTopK(dst, n, k, acc);
      topk.zeroTopK(payload, sum);
      t.deepEqual(bitsOf(read(acc, sum)), bitsOf(sum));
    }),
    run,
  );
});

test('sumF32 and absmaxOfSum agree with the twin', (t) => {
  fc.assert(
    fc.property(pair, factors, anyShift, ({ gradient, residual }, factor, shift) => {
      const sum = new Float32Array(gradient.length);
      int8.sumF32(gradient, residual, factor, sum);
      const [a, b, dst] = place(shift, gradient, residual, sum);
      kernels.sumF32(a, b, sum.length, factor, dst);
      t.deepEqual(bitsOf(read(dst, sum)), bitsOf(sum));
      t.is(kernels.absmaxOfSum(a, b, sum.length, factor), absmax(sum));
    }),
    run,
  );
});

test('a NaN or infinity anywhere shows in absmaxOfSum', (t) => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    for (let at = 0; at < 19; at++) {
      const values = new Float32Array(19).fill(1);
      values[at] = bad;
      const [a, b] = place(4, values, new Float32Array(19));
      t.false(Number.isFinite(kernels.absmaxOfSum(a, b, 19, 1)));
      t.false(Number.isFinite(kernels.absmaxOfSum(b, a, 19, 1)));
    }
});
