// Codecs: encode and decode as inverses within the format's bound, on any block of finite numbers.
import test from 'ava';
import fc from 'fast-check';
import { type DirectCodec, NonFiniteError } from '../../../shared/codec/codec.js';
import { codecs, directCodecNames } from '../../../shared/codec/registry.js';
import { arrayOf, bitsOf, fixed, kernels, place, read } from '../kernels/memory.js';

/** Blocks of gradients of any size: finite numbers times a power of two of the block's own. */
const block = fc
  .tuple(arrayOf(fc.float({ noNaN: true, min: -1, max: 1 })), fc.integer({ min: -100, max: 100 }))
  .map(([values, exponent]) => values.map((x) => x * 2 ** exponent));

const absmax = (values: Float32Array): number => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

function encoded(
  codec: DirectCodec,
  values: Float32Array,
): { payload: Uint8Array; scale: number; src: number } {
  const [src, dst] = place(4, values, new Float32Array(values.length + 1).fill(Number.NaN));
  const scale = codec.encode(kernels, src, values.length, dst);
  const payload = kernels.u8(dst, codec.payloadBytes(values.length)).slice();
  const after = kernels.u8(dst + payload.length, 4);
  if (after.some((byte, i) => byte !== [0, 0, 0xc0, 0x7f][(i + payload.length) % 4])) {
    throw new Error('the payload is longer than it says');
  }
  return { payload, scale, src: dst };
}

function decoded(codec: DirectCodec, values: Float32Array): Float32Array {
  const { scale, src } = encoded(codec, values);
  const out = new Float32Array(values.length);
  const at = src + codec.payloadBytes(values.length) + 8;
  codec.decode(kernels, src, values.length, scale, at);
  return read(at, out);
}

/** Largest error of one number, by the format: half a unit in its last place. */
const bounds: Record<string, (x: number, largest: number) => number> = {
  fp32: () => 0,
  fp16: (x, largest) => Math.max(Math.abs(x) * 2 ** -11, largest * 2 ** -39, 2 ** -149),
  bf16: (x) => Math.max(Math.abs(x) * 2 ** -8, 2 ** -134),
};

for (const name of directCodecNames) {
  const codec = codecs[name];

  test(`${name} comes back within half a unit in its last place`, (t) => {
    fc.assert(
      fc.property(block, (values) => {
        const largest = absmax(values);
        const back = decoded(codec, values);
        back.forEach((x, i) => {
          t.true(Math.abs(x - values[i]) <= bounds[name](values[i], largest));
        });
      }),
      fixed,
    );
  });

  test(`${name} encodes what it decoded to the same bytes`, (t) => {
    fc.assert(
      fc.property(block, (values) => {
        const once = encoded(codec, values);
        const back = decoded(codec, values);
        t.deepEqual(encoded(codec, back).payload, once.payload);
        t.is(encoded(codec, back).scale, once.scale);
      }),
      fixed,
    );
  });

  test(`${name} gives the same bytes each time, as many as it says`, (t) => {
    fc.assert(
      fc.property(block, (values) => {
        const first = encoded(codec, values);
        const second = encoded(codec, values);
        t.deepEqual(first.payload, second.payload);
        t.is(first.scale, second.scale);
        t.is(first.payload.length, values.length * (name === 'fp32' ? 4 : 2));
      }),
      fixed,
    );
  });

  test(`${name} accumulates what it would decode, times the weight`, (t) => {
    const weights = fc.integer({ min: 1, max: 4096 });
    fc.assert(
      fc.property(block, weights, (values, weight) => {
        const n = values.length;
        const { scale, src } = encoded(codec, values);
        const acc = src + codec.payloadBytes(n) + 16;
        const back = decoded(codec, values);
        const product = back.map((x) => x * weight);
        codec.accumulate(kernels, src, n, scale, weight, acc, true);
        t.deepEqual(bitsOf(read(acc, back)), bitsOf(product));
        codec.accumulate(kernels, src, n, scale, weight, acc, false);
        t.deepEqual(bitsOf(read(acc, back)), bitsOf(product.map((x) => x + x)));
      }),
      fixed,
    );
  });

  test(`${name} refuses to encode what is not finite, and sees it in a payload`, (t) => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (let at = 0; at < 20; at++) {
        const values = new Float32Array(20).fill(1);
        const { src } = encoded(codec, values);
        t.true(codec.payloadFinite(kernels, src, 20));
        if (name === 'fp32') kernels.f32(src, 20)[at] = bad;
        else kernels.u16(src, 20)[at] = name === 'fp16' ? 0xfc00 : 0x7f81;
        t.false(codec.payloadFinite(kernels, src, 20));
        values[at] = bad;
        const error = t.throws(() => encoded(codec, values), { instanceOf: NonFiniteError });
        t.regex(error.message, new RegExp(`${name} holds (NaN|Infinity)`));
      }
    }
  });

  test(`${name} encodes to finite numbers up to its limit, and refuses from there on`, (t) => {
    const limit = Number.isFinite(codec.magnitudeLimit) ? codec.magnitudeLimit : (2 - 2 ** -23) * 2 ** 127;
    const below = Number.isFinite(codec.magnitudeLimit) ? Math.fround(limit * (1 - 2 ** -24)) : limit;
    const { scale, src } = encoded(codec, Float32Array.of(1, -below));
    t.true(codec.payloadFinite(kernels, src, 2));
    codec.decode(kernels, src, 2, scale, src + 16);
    t.true(kernels.allFinite(src + 16, 2));
    if (Number.isFinite(codec.magnitudeLimit)) {
      t.throws(() => encoded(codec, Float32Array.of(1, -limit)), { instanceOf: NonFiniteError });
    }
  });

  test(`${name} takes the largest magnitude from a caller who knows it`, (t) => {
    const values = Float32Array.of(3, -5, 0.25);
    const { payload, scale } = encoded(codec, values);
    const [src, dst] = place(0, values, values);
    t.is(codec.encode(kernels, src, 3, dst, 5), scale);
    t.deepEqual(kernels.u8(dst, payload.length).slice(), payload);
    t.throws(() => codec.encode(kernels, src, 3, dst, Number.NaN), { instanceOf: NonFiniteError });
  });
}
