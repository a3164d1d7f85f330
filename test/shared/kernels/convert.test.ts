// Conversions: the plain twins against the definition of the formats, the SIMD kernels against the twins.
import test from 'ava';
import fc from 'fast-check';
import { addF16 } from '../../../shared/kernels/plain/accumulate.js';
import * as plain from '../../../shared/kernels/plain/convert.js';
import { anyFloat, anyShift, arrayOf, bitsOf, fixed, kernels, place, read } from './memory.js';

const allHalves = Uint16Array.from({ length: 65_536 }, (_, i) => i);

/** IEEE 754 binary16, by its definition. */
function f16Value(half: number): number {
  const sign = half >> 15 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

/** bfloat16, by its definition. */
function bf16Value(half: number): number {
  const sign = half >> 15 ? -1 : 1;
  const exponent = (half >> 7) & 255;
  const fraction = half & 127;
  if (exponent === 255) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -133 : (128 + fraction) * 2 ** (exponent - 134));
}

/** Where a format's value lies between two neighbours, and what half must come of it. */
function midpoints(value: (half: number) => number, largest: number): { x: number; half: number }[] {
  const cases: { x: number; half: number }[] = [];
  for (let half = 0; half < largest; half++) {
    const middle = (value(half) + value(half + 1)) / 2;
    const step = Math.max(2 ** -149, middle * 2 ** -23);
    const even = half % 2 === 0 ? half : half + 1;
    cases.push({ x: middle, half: even });
    if (Math.fround(middle - step) > value(half)) cases.push({ x: Math.fround(middle - step), half });
    if (Math.fround(middle + step) < value(half + 1)) {
      cases.push({ x: Math.fround(middle + step), half: half + 1 });
    }
  }
  return cases;
}

const formats = [
  {
    name: 'fp16',
    value: f16Value,
    largest: 0x7bff,
    infinity: 0x7c00,
    /** From here on the kernel is not asked: whoever encodes in fp16 has the largest magnitude and scales by it. */
    packs: (x: number) => Math.abs(x) < 65_520,
    from: plain.fromF16,
    to: plain.toF16,
    pack: (src: number, n: number, dst: number) => kernels.packF16(src, n, 1, dst),
    unpack: (src: number, n: number, dst: number) => kernels.unpackF16(src, n, 1, dst),
  },
  {
    name: 'bf16',
    value: bf16Value,
    largest: 0x7f7f,
    infinity: 0x7f80,
    packs: () => true,
    from: plain.fromBf16,
    to: plain.toBf16,
    pack: (src: number, n: number, dst: number) => kernels.packBf16(src, n, dst),
    unpack: (src: number, n: number, dst: number) => kernels.unpackBf16(src, n, 1, dst),
  },
];

for (const format of formats) {
  test(`every ${format.name} decodes to the number it is defined as`, (t) => {
    const [src, dst] = place(0, allHalves, new Float32Array(65_536));
    format.unpack(src, 65_536, dst);
    const simd = read(dst, new Float32Array(65_536));
    const wrong = [...allHalves].filter(
      (half) =>
        !Object.is(format.value(half), format.from(half)) || !Object.is(format.value(half), simd[half]),
    );
    t.deepEqual(wrong, []);
  });

  test(`every ${format.name} comes back from fp32 as itself`, (t) => {
    const values = Float32Array.from(allHalves, format.value);
    const [src, dst] = place(0, values, allHalves);
    format.pack(src, 65_536, dst);
    const simd = read(dst, allHalves);
    const isNaNHalf = (half: number) => (half & 0x7fff) > format.infinity;
    const isOff = (half: number, is: number) => (isNaNHalf(half) ? !isNaNHalf(is) : is !== half);
    const wrong = [...allHalves].filter(
      (half) =>
        isOff(half, format.to(values[half])) || (format.packs(values[half]) && isOff(half, simd[half])),
    );
    t.deepEqual(wrong, []);
  });

  test(`${format.name} rounds to the nearest, and to even half way`, (t) => {
    const cases = midpoints(format.value, format.largest);
    const values = Float32Array.from(cases, ({ x }) => x);
    const [src, dst] = place(0, values, new Uint16Array(values.length));
    format.pack(src, values.length, dst);
    const simd = read(dst, new Uint16Array(values.length));
    const wrong = cases.filter(({ x, half }, i) => format.to(x) !== half || simd[i] !== half);
    t.deepEqual(wrong, []);
    t.true(cases.length > 2 * format.largest);
  });

  test(`${format.name} rounds to infinity where the next number would be`, (t) => {
    const edge = format.value(format.largest);
    const ulp = edge - format.value(format.largest - 1);
    const below = Math.fround((edge + ulp / 2) * (1 - 2 ** -24));
    t.is(format.to(below), format.largest);
    t.is(format.to(edge + ulp / 2), format.infinity);
    const values = [below, edge + ulp / 2].filter(format.packs);
    const expected = [format.largest, format.infinity].slice(0, values.length);
    const [src, dst] = place(0, Float32Array.from(values), new Uint16Array(2));
    format.pack(src, values.length, dst);
    t.deepEqual([...read(dst, Uint16Array.from(expected))], expected);
  });

  test(`${format.name} kernels give the bits of their twins for any fp32, length and alignment`, (t) => {
    fc.assert(
      fc.property(arrayOf(anyFloat), anyShift, (values, shift) => {
        const expected = Uint16Array.from(values, format.to);
        const [src, dst] = place(shift, values, expected);
        format.pack(src, values.length, dst);
        const halves = read(dst, expected);
        const isNaNHalf = (half: number) => (half & 0x7fff) > format.infinity;
        for (let i = 0; i < values.length; i++) {
          if (!format.packs(values[i])) continue;
          if (isNaNHalf(expected[i])) t.true(isNaNHalf(halves[i]));
          else t.is(halves[i], expected[i]);
        }
        format.unpack(dst, values.length, src);
        t.deepEqual(bitsOf(read(src, values)), bitsOf(Float32Array.from(halves, format.from)));
      }),
      fixed,
    );
  });
}

test('a scale and a factor apply as one fp32 product each', (t) => {
  const scales = fc.integer({ min: -40, max: 40 }).map((exponent) => 2 ** exponent);
  const factors = fc.float({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(arrayOf(anyFloat), scales, factors, anyShift, (values, scale, factor, shift) => {
      const halves = new Uint16Array(values.length);
      const back = new Float32Array(values.length);
      const [src, dst] = place(shift, values, halves);
      plain.packF16(values, scale, halves);
      kernels.packF16(src, values.length, scale, dst);
      const packed = read(dst, halves);
      const inRange = values.map((x) => x * scale).map((x) => Number(Math.abs(x) < 65_520));
      t.deepEqual(
        [...packed].filter((_, i) => inRange[i]),
        [...halves].filter((_, i) => inRange[i]),
      );
      plain.unpackF16(halves, factor, back);
      const [halvesAt, backAt] = place(shift, halves, back);
      kernels.unpackF16(halvesAt, values.length, factor, backAt);
      t.deepEqual(bitsOf(read(backAt, back)), bitsOf(back));

      plain.packBf16(values, halves);
      const [source, target] = place(shift, values, halves);
      kernels.packBf16(source, values.length, target);
      plain.unpackBf16(halves, factor, back);
      kernels.unpackBf16(target, values.length, factor, source);
      t.deepEqual(bitsOf(read(source, back)), bitsOf(back));
    }),
    fixed,
  );
});

test('nothing beyond the last element is written', (t) => {
  for (let n = 0; n < 20; n++) {
    const marked = new Uint16Array(24).fill(0xabcd);
    const wide = new Float32Array(24).fill(7);
    const [src, dst, out] = place(2, new Float32Array(24), marked, wide);
    kernels.packF16(src, n, 1, dst);
    t.true(
      read(dst, marked)
        .subarray(n)
        .every((half) => half === 0xabcd),
    );
    kernels.packBf16(src, n, dst);
    t.true(
      read(dst, marked)
        .subarray(n)
        .every((half) => half === 0xabcd),
    );
    kernels.unpackF16(dst, n, 1, out);
    kernels.unpackBf16(dst, n, 1, out);
    t.true(
      read(out, wide)
        .subarray(n)
        .every((x) => x === 7),
    );
  }
});

test('fp16 that are normal numbers or zeros are decoded and added as all others, wherever one that is not stands', (t) => {
  const usual = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0x0400, max: 0x7bff }) },
    { weight: 1, arbitrary: fc.constantFrom(0, 0x0400, 0x7bff) },
  );
  const signed = fc.tuple(usual, fc.boolean()).map(([half, negative]) => (negative ? half | 0x8000 : half));
  const halves = fc.array(signed, { minLength: 64, maxLength: 100, size: 'max' });
  const other = fc.constantFrom(undefined, 0x0001, 0x03ff, 0x8001, 0x83ff, 0x7c00, 0xfc00, 0x7e01, 0xfe00);
  const factors = fc.constantFrom(
    1,
    2 ** -24,
    0.37,
    -1.9,
    2 ** 15,
    2 ** 16,
    -(2 ** 16),
    2 ** 111,
    2 ** -140,
    0,
  );
  fc.assert(
    fc.property(halves, other, fc.nat(63), factors, anyShift, (numbers, odd, at, factor, shift) => {
      const src = Uint16Array.from(numbers);
      if (odd !== undefined) src[at] = odd;
      const target = Float32Array.from(numbers, (_, i) => i - 31.7);
      const [from, to] = place(shift, src, target);
      kernels.addF16(from, src.length, factor, to);
      addF16(src, factor, target);
      t.deepEqual(bitsOf(read(to, target)), bitsOf(target));
      kernels.unpackF16(from, src.length, factor, to);
      plain.unpackF16(src, factor, target);
      t.deepEqual(bitsOf(read(to, target)), bitsOf(target));
    }),
    fixed,
  );
});
