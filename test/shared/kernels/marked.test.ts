// Sums, updates and differences of few elements: step after step the bits of the twins that pass over whole blocks.
import test from 'ava';
import fc from 'fast-check';
import { fp16Scale } from '../../../shared/codec/fp16.js';
import { MARKS_BYTES, topkWorkBytes } from '../../../shared/kernels/kernels.js';
import { sgd } from '../../../shared/kernels/plain/optimize.js';
import { absmax } from '../../../shared/kernels/plain/reduce.js';
import * as topk from '../../../shared/kernels/plain/topk.js';
import { keyedRandom } from '../../../shared/random.js';
import { bitsOf, fixed, kernels, place, read } from './memory.js';

const STEPS = 8;

const runs = fc.record({
  length: fc.oneof(fc.integer({ min: 64, max: 700 }), fc.integer({ min: 16_300, max: 17_000 })),
  key: fc.nat(),
  workers: fc.integer({ min: 1, max: 4 }),
  /** Elements in a hundred that each worker brings. */
  percent: fc.constantFrom(0.1, 1, 1.5),
  /** Workers mostly bring the same elements. */
  overlap: fc.constantFrom(0, 0.5, 1),
  /** So small that many updates are lost in the rounding of the values. */
  learningRate: fc.constantFrom(1e-1, 1e-4, 3e-8),
  moreBytes: fc.constantFrom(0, 800, 100_000),
  /** Before this step nothing is known of the differences. */
  forgottenAt: fc.integer({ min: 1, max: STEPS }),
});

test('sums, updates and differences of few elements are those of all, to the bit', (t) => {
  fc.assert(
    fc.property(runs, (run) => {
      const { length: n, workers, learningRate } = run;
      const random = keyedRandom(run.key, 'marked');
      const normals = (size: number) => Float32Array.from({ length: n }, () => random.normal() * size);
      const up = Math.ceil((n * run.percent) / 100);
      const down = Math.min(workers * up, n);
      const values = normals(1);
      const held = values.slice();
      const bytes = topkWorkBytes(down) + run.moreBytes;
      const [valuesAt, heldAt, acc, marks, payloadAt, dst, work] = place(
        0,
        ...[values, held, values],
        new Float32Array(MARKS_BYTES / 4),
        ...[values, values],
        new Float32Array(bytes / 4),
      );
      kernels.forgetMarks(marks, true);
      for (let step = 0; step < STEPS; step++) {
        if (step === run.forgottenAt) kernels.forgetMarks(marks, false);
        // Gradients of one step may be much larger, or smaller, than those of the others.
        const size = [1, 1, 1, 1000, 1e-3][random.below(5)];
        const common = normals(size);
        const sum = new Float32Array(n);
        for (let worker = 0; worker < workers; worker++) {
          const gradient = common.map((x) =>
            random.below(4) < 4 * run.overlap ? x : size * random.normal(),
          );
          if (random.below(3) === 0) gradient[random.below(n)] = -1e-30;
          const scale = fp16Scale(absmax(gradient));
          const payload = topk.packTopK(gradient, new Float32Array(n), 1, up, scale, new Float32Array(n));
          kernels.u8(payloadAt, payload.length).set(payload);
          const factor = [1, 3][random.below(2)] / scale;
          topk.addTopK(payload, factor, sum);
          kernels.addMarkedTopK(payloadAt, n, up, factor, acc, marks, worker === 0);
        }
        kernels.expandMarked(acc, n, marks, dst);
        t.deepEqual(bitsOf(read(dst, sum)), bitsOf(sum));

        const before = values.slice();
        const rule = { gradientScale: 1 / 7, learningRate };
        sgd(values, sum, rule);
        const largest = kernels.sgdMarked({ param: valuesAt, gradient: acc, elements: n, ...rule }, marks);
        t.deepEqual(bitsOf(read(valuesAt, values)), bitsOf(values));
        t.true(largest >= absmax(values.filter((x, i) => x !== before[i])) && largest <= absmax(values));

        const pair = { values: valuesAt, held: heldAt, elements: n, dst, acc, marks, work, bytes };
        const most = absmax(values.map((x, i) => x - held[i]));
        t.is(kernels.gatherMarkedTopK(pair, down), most);
        const scale = fp16Scale(most);
        kernels.packMarkedTopK(pair, down, scale);
        const sent = topk.packDifferenceTopK(values, held, down, scale);
        t.deepEqual(kernels.u8(dst, sent.length).slice(), sent);
        t.deepEqual(bitsOf(read(heldAt, held)), bitsOf(held));
      }
    }),
    { ...fixed, numRuns: 30 },
  );
});

test('only what a sum has brought is looked at', (t) => {
  const n = 20_000;
  const up = 200;
  const random = keyedRandom(1, 'marked');
  const values = Float32Array.from({ length: n }, () => random.normal());
  const bytes = topkWorkBytes(4 * up);
  const [valuesAt, heldAt, acc, marks, payloadAt, dst, work] = place(
    0,
    ...[values, values, values],
    new Float32Array(MARKS_BYTES / 4),
    ...[values, values],
    new Float32Array(bytes / 4),
  );
  kernels.forgetMarks(marks, true);
  const pair = { values: valuesAt, held: heldAt, elements: n, dst, acc, marks, work, bytes };
  /** Positions that travel after one step. */
  const step = () => {
    const gradient = Float32Array.from({ length: n }, () => random.normal());
    const scale = fp16Scale(absmax(gradient));
    const payload = topk.packTopK(gradient, new Float32Array(n), 1, up, scale, new Float32Array(n));
    kernels.u8(payloadAt, payload.length).set(payload);
    kernels.addMarkedTopK(payloadAt, n, up, 1 / scale, acc, marks, true);
    const rule = { gradientScale: 1, learningRate: 1e-2 };
    kernels.sgdMarked({ param: valuesAt, gradient: acc, elements: n, ...rule }, marks);
    const most = kernels.gatherMarkedTopK(pair, up);
    kernels.packMarkedTopK(pair, up, fp16Scale(most));
    const travelled = new Float32Array(n);
    topk.addTopK(kernels.u8(dst, payload.length).slice(), 1, travelled);
    return { most, travelled };
  };
  for (let at = 0; at < 20; at++) step();
  // Behind the kernels' back a value changes by more than any update: who passes over the block sees it.
  kernels.f32(valuesAt, n)[7] += 100;
  const { most, travelled } = step();
  t.true(most < 1);
  t.is(travelled[7], 0);
  kernels.forgetMarks(marks, false);
  const seen = step();
  t.true(seen.most > 99);
  t.not(seen.travelled[7], 0);
});
