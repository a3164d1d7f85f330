// Lossy codecs: nothing is lost between what is sent and the residual, the same arrays give the same bytes, and no
// payload, however it was changed on its way, makes a kernel write outside its block or a number that is not finite.
import test from 'ava';
import fc from 'fast-check';
import { type LossyCodec, NonFiniteError } from '../../../shared/codec/codec.js';
import { codecs } from '../../../shared/codec/registry.js';
import { TOPK_PERCENT_MAX, topk, topkCount } from '../../../shared/codec/topk.js';
import { Arena } from '../../../shared/kernels/arena.js';
import { absmax } from '../../../shared/kernels/plain/reduce.js';
import { largest } from '../../../shared/kernels/plain/topk.js';
import { BLOCK_PAYLOAD_MAX_BYTES } from '../../../shared/limits.js';
import { keyedRandom } from '../../../shared/random.js';
import { bitsOf, fixed, kernels } from '../kernels/memory.js';

const ELEMENTS_MAX = 3000;
const arena = new Arena(kernels);
const [gradientAt, residualAt, nextAt, outAt] = [1, 2, 3, 4].map(() => arena.alloc(4 * ELEMENTS_MAX + 128));
const payloadAt = arena.alloc(BLOCK_PAYLOAD_MAX_BYTES);

function write(at: number, values: Float32Array): void {
  kernels.f32(at, values.length).set(values);
}

const copy = (at: number, elements: number): Float32Array => new Float32Array(kernels.f32(at, elements));

interface Encoded {
  payload: Uint8Array;
  scale: number;
  absmax: number;
  next: Float32Array;
}

function encode(
  codec: LossyCodec,
  gradient: Float32Array,
  residual = new Float32Array(gradient.length),
  lossScale = 1,
): Encoded {
  const elements = gradient.length;
  write(gradientAt, gradient);
  write(residualAt, residual);
  const { scale, absmax } = codec.encode(kernels, {
    gradient: gradientAt,
    residual: residualAt,
    elements,
    lossScale,
    dst: payloadAt,
    next: nextAt,
  });
  return {
    payload: new Uint8Array(kernels.u8(payloadAt, codec.payloadBytes(elements))),
    scale,
    absmax,
    next: copy(nextAt, elements),
  };
}

function decode(codec: LossyCodec, { payload, scale }: Encoded, elements: number): Float32Array {
  kernels.u8(payloadAt, payload.length).set(payload);
  codec.decode(kernels, payloadAt, elements, scale, outAt);
  return copy(outAt, elements);
}

const numbers = fc
  .record({
    elements: fc.integer({ min: 1, max: ELEMENTS_MAX }),
    key: fc.nat(),
    exponent: fc.integer({ min: -60, max: 60 }),
  })
  .map(({ elements, key, exponent }) => {
    const random = keyedRandom(key, 'lossy');
    return Float32Array.from({ length: elements }, () => random.normal() * 2 ** exponent);
  });

const run = { ...fixed, numRuns: 60 };

for (const codec of [codecs.int8, codecs.topk, topk(TOPK_PERCENT_MAX), codecs.sign]) {
  const title = `${codec.name} (${codec.payloadBytes(1000)} bytes for 1,000 elements)`;

  test(`${title}: what is sent and what is kept are the gradient and what was kept before`, (t) => {
    fc.assert(
      fc.property(numbers, (gradient) => {
        const residual = gradient.map((x, i) => (i % 3) * 0.1 * x).reverse();
        const encoded = encode(codec, gradient, residual);
        const sent = decode(codec, encoded, gradient.length);
        const size = absmax(gradient) + absmax(residual);
        for (let i = 0; i < gradient.length; i++)
          t.true(Math.abs(sent[i] + encoded.next[i] - gradient[i] - residual[i]) <= size * 2 ** -22);
        t.true(absmax(encoded.next) <= size);
      }),
      run,
    );
  });

  test(`${title}: says the largest magnitude of what it encoded, and keeps none above it`, (t) => {
    fc.assert(
      fc.property(numbers, fc.constantFrom(1, 2 ** 10), (gradient, lossScale) => {
        const residual = gradient.map((x) => x / 7).reverse();
        const { absmax: said, next } = encode(codec, gradient, residual, lossScale);
        t.is(said, absmax(gradient.map((x, i) => x + Math.fround(residual[i] * lossScale))));
        t.true(absmax(next) * lossScale <= said);
      }),
      run,
    );
  });

  test(`${title}: a difference leaves what is held with the bits that whoever decodes it has`, (t) => {
    fc.assert(
      fc.property(numbers, (values) => {
        const held = values.map((x, i) => (i % 3 === 0 ? x : x * 0.9)).reverse();
        const n = values.length;
        write(gradientAt, values);
        write(residualAt, held);
        write(outAt, held);
        const difference = values.map((x, i) => x - held[i]);
        const encoding = { values: gradientAt, held: residualAt, elements: n, dst: payloadAt };
        const { scale, absmax: said } = codec.encodeDifference(kernels, encoding);
        t.is(said, absmax(difference));
        codec.accumulate(kernels, payloadAt, n, scale, 1, outAt, false);
        t.deepEqual(bitsOf(copy(residualAt, n)), bitsOf(copy(outAt, n)));
        // The payload is that of the difference itself.
        const payload = new Uint8Array(kernels.u8(payloadAt, codec.payloadBytes(n)));
        t.deepEqual(payload, encode(codec, difference).payload);
      }),
      run,
    );
  });

  test(`${title}: the same arrays give the same bytes, and stay as they were`, (t) => {
    fc.assert(
      fc.property(numbers, (gradient) => {
        const residual = gradient.map((x) => x / 7).reverse();
        const first = encode(codec, gradient, residual);
        t.deepEqual(bitsOf(copy(gradientAt, gradient.length)), bitsOf(gradient));
        t.deepEqual(bitsOf(copy(residualAt, gradient.length)), bitsOf(residual));
        t.deepEqual(encode(codec, gradient, residual), first);
      }),
      run,
    );
  });

  test(`${title}: a residual does not depend on the loss scale`, (t) => {
    fc.assert(
      fc.property(numbers, fc.constantFrom(2 ** 10, 2 ** -3), (gradient, lossScale) => {
        const residual = gradient.map((x) => x / 7).reverse();
        const plain = encode(codec, gradient, residual);
        const scaled = encode(
          codec,
          gradient.map((x) => x * lossScale),
          residual,
          lossScale,
        );
        t.deepEqual(bitsOf(scaled.next), bitsOf(plain.next));
      }),
      run,
    );
  });

  test(`${title}: accumulates what it would decode, times the weight`, (t) => {
    fc.assert(
      fc.property(numbers, fc.integer({ min: 1, max: 4096 }), (gradient, weight) => {
        const n = gradient.length;
        const encoded = encode(codec, gradient);
        const product = decode(codec, encoded, n).map((x) => x * weight);
        codec.accumulate(kernels, payloadAt, n, encoded.scale, weight, outAt, true);
        t.deepEqual(bitsOf(copy(outAt, n).map((x) => x + 0)), bitsOf(product.map((x) => x + 0)));
        codec.accumulate(kernels, payloadAt, n, encoded.scale, weight, outAt, false);
        t.deepEqual(bitsOf(copy(outAt, n).map((x) => x + 0)), bitsOf(product.map((x) => x + x + 0)));
      }),
      run,
    );
  });

  test(`${title}: what was sent over many steps comes to the sum of the gradients`, (t) => {
    const random = keyedRandom(3, 'steps');
    const n = 2000;
    const mean = Float32Array.from({ length: n }, () => random.normal());
    const [given, sent] = [new Float64Array(n), new Float64Array(n)];
    let residual: Float32Array<ArrayBufferLike> = new Float32Array(n);
    for (let step = 0; step < 400; step++) {
      const gradient = mean.map((x) => x + random.normal());
      const encoded = encode(codec, gradient, residual as Float32Array<ArrayBuffer>);
      residual = encoded.next;
      const decoded = decode(codec, encoded, n);
      for (let i = 0; i < n; i++) {
        given[i] += gradient[i];
        sent[i] += decoded[i];
      }
    }
    for (let i = 0; i < n; i++) t.true(Math.abs(given[i] - sent[i] - residual[i]) < 1e-2);
    // What is still to be sent is a small part of it, also of the elements that are sent last.
    t.true(absmax(residual) < absmax(Float32Array.from(given)) / 3, `${absmax(residual)}`);
  });

  test(`${title}: refuses what is not finite or too large`, (t) => {
    const limit = codec.magnitudeLimit;
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, limit])
      t.throws(() => encode(codec, Float32Array.of(1, bad, 3)), { instanceOf: NonFiniteError });
    const below = Math.fround(limit * (1 - 2 ** -24));
    const encoded = encode(codec, Float32Array.of(below, -below, 0));
    t.true(decode(codec, encoded, 3).every(Number.isFinite));
  });

  test(`${title}: a payload changed on its way is refused, or decodes to finite numbers within its block`, (t) => {
    const random = keyedRandom(9, 'changed');
    const outcomes = { refused: 0, decoded: 0 };
    for (let round = 0; round < 3000; round++) {
      const n = 1 + random.below(ELEMENTS_MAX);
      const gradient = Float32Array.from({ length: n }, () => random.normal());
      const { scale } = encode(codec, gradient);
      const bytes = codec.payloadBytes(n);
      const payload = kernels.u8(payloadAt, bytes);
      for (let change = random.below(4); change >= 0; change--) {
        if (change === 3) for (let i = 0; i < bytes; i++) payload[i] = random.below(256);
        else payload[random.below(Math.min(bytes, 1 + random.below(bytes)))] = random.below(256);
      }
      if (codec.payloadFault(kernels, payloadAt, n) || !codec.payloadFinite(kernels, payloadAt, n)) {
        outcomes.refused++;
        continue;
      }
      outcomes.decoded++;
      const guard = kernels.u8(outAt - 64, 4 * n + 128).fill(0x5a);
      codec.decode(kernels, payloadAt, n, scale, outAt);
      codec.accumulate(kernels, payloadAt, n, scale, 1, outAt, false);
      t.true(kernels.allFinite(outAt, n));
      t.true(guard.subarray(0, 64).every((byte) => byte === 0x5a));
      t.true(guard.subarray(64 + 4 * n).every((byte) => byte === 0x5a));
    }
    t.true(outcomes.decoded > 100 && outcomes.refused > 100, JSON.stringify(outcomes));
  });
}

test("top-k's momentum correction sends what Lin et al. define", (t) => {
  const n = 1000;
  const k = 10;
  const momentum = 0.5;
  const random = keyedRandom(5, 'velocity');
  const [velocityAt, nextVelocityAt] = [1, 2].map(() => arena.alloc(4 * n));
  for (const lossScale of [1, 256]) {
    // Numbers so small and steps so few that every sum is exact, also in fp16.
    let [u, v] = [new Float32Array(n), new Float32Array(n)];
    let [residual, velocity] = [new Float32Array(n), new Float32Array(n)];
    for (let step = 0; step < 4; step++) {
      const gradient = Float32Array.from({ length: n }, () => random.below(33) - 16);
      u = u.map((x, i) => momentum * x + gradient[i]);
      v = v.map((x, i) => x + u[i]);
      const positions = largest(v, k);
      const expected = new Float32Array(n);
      for (const i of positions) expected[i] = v[i];
      for (const i of positions) [u[i], v[i]] = [0, 0];

      write(
        gradientAt,
        gradient.map((x) => x * lossScale),
      );
      write(residualAt, residual);
      write(velocityAt, velocity);
      const { scale } = codecs.topk.encode(kernels, {
        gradient: gradientAt,
        residual: residualAt,
        elements: n,
        lossScale,
        dst: payloadAt,
        next: nextAt,
        correction: { momentum, velocity: velocityAt, nextVelocity: nextVelocityAt },
      });
      codecs.topk.decode(kernels, payloadAt, n, scale, outAt);
      t.deepEqual(
        copy(outAt, n).map((x) => x / lossScale),
        expected,
      );
      t.deepEqual(copy(residualAt, n), residual);
      t.deepEqual(copy(velocityAt, n), velocity);
      residual = copy(nextAt, n) as typeof residual;
      velocity = copy(nextVelocityAt, n) as typeof velocity;
      t.deepEqual(velocity, u);
    }
  }
});

test('top-k sends the percentage of a block, rounded up, and at least one element', (t) => {
  t.is(topkCount(1024, 1), 11);
  t.is(topkCount(1000, 10), 100);
  t.is(topkCount(1, 0.001), 1);
  const gradient = Float32Array.from({ length: 1000 }, (_, i) => (i === 700 ? -9 : i === 3 ? 8 : i / 1000));
  const sent = decode(topk(0.2), encode(topk(0.2), gradient), 1000);
  t.deepEqual(
    [...sent.keys()].filter((i) => sent[i] !== 0),
    [3, 700],
  );
  t.is(sent[700], -9);
});

test('faults of a top-k payload are told apart', (t) => {
  const codec = topk(1);
  const n = 1000;
  const k = 10;
  const gradient = Float32Array.from({ length: n }, (_, i) => (i % 100 === 50 ? i + 1 : 0));
  const lowAt = 4 + Math.ceil((k + 4) / 8);
  const changed = (change: (payload: Uint8Array) => void): string | undefined => {
    encode(codec, gradient);
    change(kernels.u8(payloadAt, codec.payloadBytes(n)));
    return codec.payloadFault(kernels, payloadAt, n);
  };
  t.is(
    changed(() => undefined),
    undefined,
  );
  t.regex(changed((payload) => payload.set([11], 0)) ?? '', /says that it holds another number/);
  t.regex(changed((payload) => payload.set([payload[5] | 0x80], 5)) ?? '', /names another number/);
  t.regex(changed((payload) => payload.set([payload[lowAt + 1]], lowAt)) ?? '', /do not ascend/);
  t.regex(changed((payload) => payload.set([0xe8], lowAt + k - 1)) ?? '', /beyond the block/);
  encode(codec, gradient);
  kernels.u8(payloadAt, codec.payloadBytes(n)).set([0, 0x7c], lowAt + k);
  t.false(codec.payloadFinite(kernels, payloadAt, n));
});
