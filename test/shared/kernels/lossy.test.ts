// The kernels of the lossy codecs: the bits of their twins, for any gradient and residual, length and alignment.
import test from 'ava';
import fc from 'fast-check';
import { fp16Scale } from '../../../shared/codec/fp16.js';
import { topkWorkBytes } from '../../../shared/kernels/kernels.js';
import * as int8 from '../../../shared/kernels/plain/int8.js';
import { absmax } from '../../../shared/kernels/plain/reduce.js';
import * as sign from '../../../shared/kernels/plain/sign.js';
import * as topk from '../../../shared/kernels/plain/topk.js';
import { keyedRandom } from '../../../shared/random.js';
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

test('packDifferenceI8 gives the bits of its twin', (t) => {
  fc.assert(
    fc.property(pair, anyShift, ({ gradient: values, residual }, shift) => {
      const held = residual.slice();
      const n = values.length;
      const groups = Math.ceil(n / int8.INT8_GROUP_ELEMENTS);
      const [scales, bytes] = [new Float32Array(groups), new Int8Array(n)];
      const [v, h, dst] = place(shift, values, held, new Float32Array(n + groups));
      int8.packDifferenceI8(values, held, scales, bytes);
      const difference = values.map((x, i) => x - residual[i]);
      t.is(kernels.packDifferenceI8({ values: v, held: h, elements: n, dst }), absmax(difference));
      t.deepEqual(bitsOf(read(dst, scales)), bitsOf(scales));
      t.deepEqual([...new Int8Array(kernels.u8(dst + 4 * groups, n).slice().buffer)], [...bytes]);
      t.deepEqual(bitsOf(read(h, held)), bitsOf(held));
    }),
    run,
  );
});

/** Lengths around the groups of signs, too. */
const signPair = fc.tuple(pair, fc.constantFrom(0, 0, 2048, 4096)).map(([{ gradient, residual }, more]) => ({
  gradient: Float32Array.from({ length: gradient.length + more }, (_, i) => gradient[i % gradient.length]),
  residual: Float32Array.from({ length: gradient.length + more }, (_, i) => residual[i % residual.length]),
}));

test('packSign, unpackSign and addSign give the bits of their twins', (t) => {
  fc.assert(
    fc.property(signPair, factors, anyShift, ({ gradient, residual }, factor, shift) => {
      const n = gradient.length;
      const means = new Float32Array(Math.ceil(n / sign.SIGN_GROUP_ELEMENTS));
      const bits = new Uint8Array(Math.ceil(n / 8));
      const next = new Float32Array(n);
      sign.packSign(gradient, residual, factor, means, bits, next);
      const [g, r, dst, nextAt, out] = place(shift, gradient, residual, gradient, next, gradient);
      const sum = gradient.map((x, i) => x + Math.fround(residual[i] * factor));
      t.is(
        kernels.packSign({ gradient: g, residual: r, elements: n, factor, dst, next: nextAt }),
        absmax(sum),
      );
      t.deepEqual(bitsOf(read(dst, means)), bitsOf(means));
      t.deepEqual(kernels.u8(dst + 4 * means.length, bits.length).slice(), bits);
      t.deepEqual(bitsOf(read(nextAt, next)), bitsOf(next));
      const decoded = new Float32Array(n);
      sign.unpackSign(means, bits, 3.7, decoded);
      kernels.unpackSign(dst, n, 3.7, out);
      t.deepEqual(bitsOf(read(out, decoded)), bitsOf(decoded));
      sign.addSign(means, bits, -0.3, decoded);
      kernels.addSign(dst, n, -0.3, out);
      t.deepEqual(bitsOf(read(out, decoded)), bitsOf(decoded));
      const held = residual.slice();
      sign.packDifferenceSign(gradient, held, means, bits);
      kernels.packDifferenceSign({ values: g, held: r, elements: n, dst });
      t.deepEqual(bitsOf(read(dst, means)), bitsOf(means));
      t.deepEqual(kernels.u8(dst + 4 * means.length, bits.length).slice(), bits);
      t.deepEqual(bitsOf(read(r, held)), bitsOf(held));
    }),
    run,
  );
});

/** What the bits of top-k depend on, and the room that it works in: any of them must give the same bits. */
const selection = fc.record({
  fraction: fc.oneof(
    fc.double({ min: 0.001, max: 1, noNaN: true }),
    fc.double({ min: 0.001, max: 0.02, noNaN: true }),
  ),
  momentum: fc.constantFrom(undefined, 0.9, 0.5),
  moreBytes: fc.constantFrom(0, 800, 100_000),
});

/** Elements of which one in so many has a magnitude that others have not, so that samples mislead. */
const largeBlock = fc
  .record({
    length: fc.integer({ min: 16_300, max: 20_000 }),
    key: fc.nat(),
    sparse: fc.integer({ min: 1, max: 300 }),
  })
  .map(({ length, key, sparse }) => {
    const random = keyedRandom(key, 'top-k');
    const draw = () => (random.below(sparse) === 0 ? Math.fround(random.normal()) : 0);
    const [gradient, residual] = [0, 1].map(() => Float32Array.from({ length }, draw));
    return { gradient, residual };
  });

/** Blocks of any length, of which fewer elements than travel may be anything but zeros, of either sign. */
const emptyBlock = fc
  .record({
    length: fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 1, max: 600 }) },
      { weight: 1, arbitrary: fc.integer({ min: 16_300, max: 17_000 }) },
    ),
    key: fc.nat(),
    sparse: fc.oneof(fc.integer({ min: 3, max: 10 }), fc.integer({ min: 50, max: 3000 })),
  })
  .map(({ length, key, sparse }) => {
    const random = keyedRandom(key, 'top-k of zeros');
    const zero = () => (random.below(2) === 0 ? 0 : -0);
    const draw = () => (random.below(sparse) === 0 ? Math.fround(random.normal()) : zero());
    const [gradient, residual] = [0, 1].map(() => Float32Array.from({ length }, draw));
    return { gradient, residual };
  });

for (const [title, arrays, runs] of [
  ['short blocks with ties', pair, 150],
  ['blocks of little but zeros', emptyBlock, 100],
  ['blocks whose samples may mislead', largeBlock, 60],
] as const)
  test(`${title}: top-k's kernels give the bits of their twins, exactly k, ties to the first`, (t) => {
    fc.assert(
      fc.property(arrays, selection, factors, anyShift, ({ gradient, residual }, how, factor, shift) => {
        const n = gradient.length;
        const k = Math.ceil(n * how.fraction);
        const sum = gradient.map((x, i) => x + Math.fround(residual[i] * factor));
        const scale = fp16Scale(absmax(sum));
        const [next, nextVelocity] = [new Float32Array(n), new Float32Array(n)];
        const velocity = gradient.map((x) => -x / 3).reverse();
        const correction =
          how.momentum === undefined ? undefined : { momentum: how.momentum, velocity, nextVelocity };
        const payload = topk.packTopK(gradient, residual, factor, k, scale, next, correction);
        const bytes = topkWorkBytes(k) + how.moreBytes;
        const [g, r, v, nextAt, nextVelocityAt, dst, work] = place(
          shift,
          ...[gradient, residual, velocity, gradient, gradient],
          ...[new Float32Array(n + 8), new Float32Array(bytes / 4)],
        );
        const step = { gradient: g, residual: r, elements: n, factor, dst, next: nextAt, work, bytes };
        const at = correction && { momentum: correction.momentum, velocity: v, nextVelocity: nextVelocityAt };
        t.is(kernels.gatherTopK(step, k, at), absmax(sum));
        kernels.packTopK(step, k, scale, at);
        t.deepEqual(kernels.u8(dst, payload.length).slice(), payload);
        t.deepEqual(bitsOf(read(nextAt, next)), bitsOf(next));
        if (correction) t.deepEqual(bitsOf(read(nextVelocityAt, nextVelocity)), bitsOf(nextVelocity));
        t.is(kernels.faultTopK(dst, n, k), 0);

        const decoded = new Float32Array(n);
        topk.unpackTopK(payload, 0.7 / scale, decoded);
        kernels.unpackTopK(dst, n, k, 0.7 / scale, nextAt, work);
        t.deepEqual(bitsOf(read(nextAt, decoded)), bitsOf(decoded));
        topk.addTopK(payload, 3 / scale, decoded);
        kernels.addTopK(dst, n, k, 3 / scale, nextAt, work);
        t.deepEqual(bitsOf(read(nextAt, decoded)), bitsOf(decoded));

        const held = residual.slice();
        const difference = gradient.map((x, i) => x - residual[i]);
        const downScale = fp16Scale(absmax(difference));
        const down = topk.packDifferenceTopK(gradient, held, k, downScale);
        const pairAt = { values: g, held: r, elements: n, dst, work, bytes };
        t.is(kernels.gatherDifferenceTopK(pairAt, k), absmax(difference));
        kernels.packDifferenceTopK(pairAt, k, downScale);
        t.deepEqual(kernels.u8(dst, down.length).slice(), down);
        t.deepEqual(bitsOf(read(r, held)), bitsOf(held));
      }),
      { ...run, numRuns: runs },
    );
  });

test('absmaxOfSum agrees with the twin', (t) => {
  fc.assert(
    fc.property(pair, factors, anyShift, ({ gradient, residual }, factor, shift) => {
      const sum = new Float32Array(gradient.length);
      int8.sumF32(gradient, residual, factor, sum);
      const [a, b] = place(shift, gradient, residual);
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
