// Reductions: bits of the twins, what NaN and infinity do, and sums beside an exact one.
import test from 'ava';
import fc from 'fast-check';
import * as plain from '../../../shared/kernels/plain/reduce.js';
import { anyFloat, anyShift, arrayOf, fixed, kernels, place, tameFloat } from './memory.js';

test('absmax gives what its twin gives, for any fp32, length and alignment', (t) => {
  fc.assert(
    fc.property(fc.oneof(arrayOf(anyFloat), arrayOf(tameFloat)), anyShift, (values, shift) => {
      const [src] = place(shift, values);
      t.is(kernels.absmax(src, values.length), plain.absmax(values));
      t.is(kernels.allFinite(src, values.length), values.every(Number.isFinite));
    }),
    fixed,
  );
});

test('one NaN makes absmax NaN and one infinity infinite, wherever it stands', (t) => {
  for (let n = 1; n < 40; n++) {
    for (let at = 0; at < n; at++) {
      const values = new Float32Array(n).fill(-3);
      const [src] = place(4, values);
      t.is(kernels.absmax(src, n), 3);
      kernels.f32(src, n)[at] = Number.NEGATIVE_INFINITY;
      t.is(kernels.absmax(src, n), Number.POSITIVE_INFINITY);
      t.false(kernels.allFinite(src, n));
      kernels.f32(src, n)[(at + 1) % n] = Number.NaN;
      t.is(kernels.absmax(src, n), Number.NaN);
      t.false(kernels.allFinite(src, n));
    }
  }
});

test('no elements have an absmax of 0, a sum of 0, and are finite', (t) => {
  t.is(kernels.absmax(kernels.firstFreeByte, 0), 0);
  t.is(kernels.sumOfSquares(kernels.firstFreeByte, 0), 0);
  t.true(kernels.allFinite(kernels.firstFreeByte, 0));
  t.true(kernels.allFiniteF16(kernels.firstFreeByte, 0));
  t.true(kernels.allFiniteBf16(kernels.firstFreeByte, 0));
});

test('a half that is not finite is found wherever it stands', (t) => {
  for (let n = 1; n < 70; n++) {
    for (let at = 0; at < n; at++) {
      const halves = new Uint16Array(n).fill(0xfbff);
      const [src] = place(2, halves);
      t.true(kernels.allFiniteF16(src, n));
      for (const bad of [0x7c00, 0xfc00, 0x7c01, 0xffff]) {
        kernels.u16(src, n)[at] = bad;
        t.false(kernels.allFiniteF16(src, n));
      }
      kernels.u16(src, n).fill(0x7f7f);
      t.true(kernels.allFiniteBf16(src, n));
      for (const bad of [0x7f80, 0xff80, 0x7f81, 0xffff]) {
        kernels.u16(src, n)[at] = bad;
        t.false(kernels.allFiniteBf16(src, n));
      }
    }
  }
});

test('halves are judged like their twin judges them', (t) => {
  const anyHalves = fc.uint16Array({ maxLength: 90 });
  fc.assert(
    fc.property(anyHalves, anyShift, (halves, shift) => {
      const [src] = place(shift, halves);
      t.is(kernels.allFiniteF16(src, halves.length), plain.halvesBelow(halves, 0x7c00));
      t.is(kernels.allFiniteBf16(src, halves.length), plain.halvesBelow(halves, 0x7f80));
    }),
    fixed,
  );
});

test('a sum of squares has the bits of its twin and is close to the exact sum', (t) => {
  fc.assert(
    fc.property(arrayOf(tameFloat), anyShift, (values, shift) => {
      const [src] = place(shift, values);
      const sum = kernels.sumOfSquares(src, values.length);
      t.true(Object.is(sum, plain.sumOfSquares(values)));
      const squares = Array.from(values, (x) => x * x).sort((a, b) => a - b);
      const exact = squares.reduce((total, x) => total + x, 0);
      t.true(Math.abs(sum - exact) <= exact * 70 * 2 ** -52);
    }),
    fixed,
  );
});

test('a sum of squares with NaN is NaN', (t) => {
  for (let n = 1; n < 20; n++) {
    const [src] = place(0, new Float32Array(n).fill(1));
    kernels.f32(src, n)[n - 1] = Number.NaN;
    t.is(kernels.sumOfSquares(src, n), Number.NaN);
  }
});
