// fp16's scale: where the largest magnitude lands, and that powers of two pass through it.
import test from 'ava';
import fc from 'fast-check';
import { FP16_SCALE_MAX, FP16_SCALE_MIN, fp16, fp16Scale } from '../../../shared/codec/fp16.js';
import { checkPayload } from '../../../shared/codec/registry.js';
import { fromF16, toF16 } from '../../../shared/kernels/plain/convert.js';
import { arrayOf, fixed, kernels, place, read } from '../kernels/memory.js';

const magnitude = fc.float({ noNaN: true, min: 2 ** -126, max: 2 ** 126 });

test('the largest magnitude of a block lands in [2^14, 2^15) when it is rounded', (t) => {
  fc.assert(
    fc.property(magnitude, (absmax) => {
      const scale = fp16Scale(absmax);
      const rounded = fromF16(toF16(absmax * scale));
      if (scale < FP16_SCALE_MAX) t.true(rounded >= 2 ** 14 && rounded < 2 ** 15);
      else t.true(rounded < 2 ** 15);
      t.is(checkPayload(fp16, 1, 2, scale), undefined);
    }),
    fixed,
  );
  for (const [absmax, scale] of [
    [0, 1],
    [2 ** 14, 1],
    [2 ** 15, 0.5],
    [2 ** 15 * (1 - 2 ** -11), 1],
    [2 ** 15 * (1 - 2 ** -12), 0.5],
    [1, 2 ** 14],
    [2 ** -112, FP16_SCALE_MAX],
    [2 ** -149, FP16_SCALE_MAX],
    [2 ** 127 * (1 - 2 ** -11), FP16_SCALE_MIN],
  ]) {
    t.is(fp16Scale(absmax), scale);
  }
});

test('a block times a power of two has the same payload, and the scale divided by it', (t) => {
  const values = arrayOf(fc.float({ noNaN: true, min: 1, max: 8 }));
  fc.assert(
    fc.property(values, fc.integer({ min: -90, max: 90 }), (block, exponent) => {
      fc.pre(block.length > 0);
      const halves = new Uint16Array(block.length);
      const [src, dst] = place(0, block, halves);
      const scale = fp16.encode(kernels, src, block.length, dst);
      const payload = read(dst, halves);
      kernels.scaleF32(src, block.length, 2 ** exponent, src);
      t.is(fp16.encode(kernels, src, block.length, dst), scale / 2 ** exponent);
      t.deepEqual(read(dst, halves), payload);
    }),
    fixed,
  );
});

test('gradients far below what fp16 can hold keep eleven bits', (t) => {
  const block = Float32Array.of(3.1e-12, -2.7e-12, 1.9e-13, 0);
  const [src, dst, back] = place(0, block, new Uint16Array(4), block);
  const scale = fp16.encode(kernels, src, 4, dst);
  fp16.decode(kernels, dst, 4, scale, back);
  read(back, block).forEach((x, i) => {
    t.true(Math.abs(x - block[i]) <= Math.abs(block[i]) * 2 ** -11);
  });
});

test('no finite payload with an accepted scale decodes to infinity', (t) => {
  const halves = Uint16Array.of(0x7bff, 0xfbff, 1);
  for (const scale of [FP16_SCALE_MIN, 1, FP16_SCALE_MAX]) {
    const [src, dst] = place(0, halves, new Float32Array(3));
    t.is(checkPayload(fp16, 3, 6, scale), undefined);
    t.true(fp16.payloadFinite(kernels, src, 3));
    fp16.decode(kernels, src, 3, scale, dst);
    t.true(kernels.allFinite(dst, 3));
  }
});
