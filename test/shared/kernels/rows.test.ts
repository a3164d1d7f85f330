// Rows to fp16 with a scale each, and back: the SIMD kernels against the plain twins, to the bit, at odd addresses.
import test from 'ava';
import fc from 'fast-check';
import * as plain from '../../../shared/kernels/plain/rows.js';
import { anyShift, arrayOf, bitsOf, fixed, kernels, place, read } from './memory.js';

/** Finite, and within what fp16 with a scale takes. */
const encodable = fc.oneof(
  fc.float({ noNaN: true, noDefaultInfinity: true, min: -(2 ** 126), max: 2 ** 126 }),
  fc.float({ noNaN: true, min: -1, max: 1 }),
  fc.constantFrom(0, -0, 1e-41, -3e-39, 1 - 2 ** -12, 65_519),
);

test('packRowsF16 and unpackRowsF16 give the bits of their twins', (t) => {
  fc.assert(
    fc.property(arrayOf(encodable), fc.integer({ min: 1, max: 20 }), anyShift, (values, width, shift) => {
      const rows = Math.floor(values.length / width);
      const src = values.slice(0, rows * width);
      const halves = new Uint16Array(src.length);
      const exponents = new Int8Array(rows);
      const [from, to, tags] = place(shift, src, halves, new Uint16Array(rows));
      kernels.packRowsF16(from, rows, width, to, tags);
      plain.packRowsF16(src, width, halves, exponents);
      t.deepEqual(read(to, halves), halves);
      t.deepEqual(new Int8Array(kernels.u8(tags, rows).slice().buffer), exponents);
      const back = new Float32Array(src.length);
      t.is(kernels.unpackRowsF16(to, tags, rows, width, from), rows);
      t.is(plain.unpackRowsF16(halves, exponents, width, back), rows);
      t.deepEqual(bitsOf(read(from, back)), bitsOf(back));
    }),
    fixed,
  );
});

test('an exponent that no encoder gives ends both, at its row', (t) => {
  const halves = new Uint16Array(6);
  const back = new Float32Array(6);
  for (const bad of [-128, -113, 127]) {
    const exponents = Int8Array.of(-112, 126, bad);
    const [from, to] = place(0, halves, back);
    const tags = place(0, new Uint16Array(40))[0] + 48;
    kernels.u8(tags, 3).set(new Uint8Array(exponents.buffer));
    t.is(kernels.unpackRowsF16(from, tags, 3, 2, to), 2);
    t.is(plain.unpackRowsF16(halves, exponents, 2, back), 2);
  }
});
