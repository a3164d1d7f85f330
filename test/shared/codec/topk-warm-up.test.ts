// The schedule of top-k's percentage, and the codecs that follow it.
import test from 'ava';
import fc from 'fast-check';
import { topkCount } from '../../../shared/codec/topk.js';
import { topkPercentAt } from '../../../shared/codec/topk-warm-up.js';
import { codecsOf } from '../../../shared/run/block-codecs.js';

test('the share falls from a quarter by halves, in stages of equal length, to its own', (t) => {
  const options = { topKPercent: 1, topKWarmupSteps: 10 };
  const shares = Array.from({ length: 12 }, (_, step) => topkPercentAt(options, step));
  t.deepEqual(shares, [25, 25, 12.5, 12.5, 6.25, 6.25, 3.125, 3.125, 1.5625, 1.5625, 1, 1]);
  t.is(topkPercentAt({ topKPercent: 1 }, 0), 1);
  t.is(topkPercentAt({ topKPercent: 25, topKWarmupSteps: 10 }, 3), 25);
});

test('the share never rises, never leaves its bounds, and is its own once the warm-up is over', (t) => {
  const options = fc.record({
    topKPercent: fc.double({ min: 1e-300, max: 25, noNaN: true }),
    topKWarmupSteps: fc.integer({ min: 0, max: 1_000_000_000 }),
  });
  const check = fc.property(options, fc.nat(1_000_000_000), fc.nat(1000), (given, step, more) => {
    const [first, second] = [topkPercentAt(given, step), topkPercentAt(given, step + more)];
    t.true(first >= second && second >= given.topKPercent && first <= 25);
    t.is(topkPercentAt(given, given.topKWarmupSteps + step), given.topKPercent);
    t.is(topkPercentAt(given, 0), given.topKWarmupSteps > 0 ? 25 : given.topKPercent);
  });
  fc.assert(check, { seed: 1, numRuns: 1000 });
});

test('payloads shrink by the step, both ways; small blocks stay exact', (t) => {
  const spec = { codec: 'topk', topKPercent: 1, topKWarmupSteps: 5, workers: 2 } as const;
  const blocks = [
    { kind: 'trainable', elements: 100_000 },
    { kind: 'trainable', elements: 10 },
  ] as const;
  for (const [step, up, down] of [
    [0, 25, 25],
    [1, 12.5, 25],
    [4, 1.5625, 3.125],
    [5, 1, 2],
  ])
    for (const [way, percent] of [
      ['up', up],
      ['down', down],
    ] as const) {
      const codecs = codecsOf(spec, blocks, way, step);
      const sparse = { ...spec, topKPercent: percent, topKWarmupSteps: 0, workers: 1 };
      const same = codecsOf(sparse, blocks, 'up');
      t.is(codecs[0].payloadBytes(100_000), same[0].payloadBytes(100_000), `${way} at ${step}`);
      t.true(codecs[0].payloadBytes(100_000) > 3 * topkCount(100_000, percent));
      t.is(codecs[1].name, 'fp32');
    }
});
