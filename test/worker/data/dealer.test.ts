import test from 'ava';
import fc from 'fast-check';
import {
  createDealer,
  epochOrder,
  equalShares,
  evaluationShare,
  shareOf,
  shares,
  stepsPerEpoch,
} from '../../../worker/data/dealer.js';

const FAST_CHECK = { seed: 20_24, numRuns: 100 };
const weightsOf = fc
  .array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 12 })
  .filter((weights) => weights.some((weight) => weight > 0));

const plan = fc.record({
  records: fc.integer({ min: 1, max: 400 }),
  batch: fc.integer({ min: 1, max: 64 }),
  seed: fc.integer(),
  epoch: fc.nat(1000),
  workers: fc.integer({ min: 1, max: 9 }),
});

test('an epoch has each record at most once, and exactly as many as its full batches take', (t) => {
  fc.assert(
    fc.property(plan, ({ records, batch, seed, epoch, workers }) => {
      const dealer = createDealer(records, batch, seed);
      const seen = new Set<number>();
      let dealt = 0;
      for (let step = 0; step < dealer.stepsPerEpoch; step++) {
        for (let rank = 0; rank < workers; rank++) {
          for (const record of dealer.batch(epoch, step, equalShares(workers), rank)) {
            seen.add(record);
            dealt++;
          }
        }
      }
      const expected = Math.floor(records / batch) * batch;
      return (
        dealer.stepsPerEpoch === stepsPerEpoch(records, batch) &&
        dealt === expected &&
        seen.size === expected &&
        [...seen].every((record) => record >= 0 && record < records)
      );
    }),
    FAST_CHECK,
  );
  t.pass();
});

test('the records of a step are the same for any number of workers and any weights, in the same order', (t) => {
  fc.assert(
    fc.property(plan, weightsOf, ({ records, batch, seed, epoch }, weights) => {
      fc.pre(records >= batch);
      const dealer = createDealer(records, batch, seed);
      const step = dealer.stepsPerEpoch - 1;
      const parts = weights.flatMap((_, rank) => [...dealer.batch(epoch, step, { weights }, rank)]);
      return parts.join() === [...dealer.globalBatch(epoch, step)].join();
    }),
    FAST_CHECK,
  );
  t.pass();
});

test('two dealers agree, whatever they were asked before', (t) => {
  fc.assert(
    fc.property(plan, ({ records, batch, seed, epoch }) => {
      fc.pre(records >= batch);
      const used = createDealer(records, batch, seed);
      for (const before of [epoch + 3, epoch, epoch + 1, epoch + 2]) used.globalBatch(before, 0);
      const fresh = createDealer(records, batch, seed);
      return used.globalBatch(epoch, 0).join() === fresh.globalBatch(epoch, 0).join();
    }),
    FAST_CHECK,
  );
  t.pass();
});

test('an order is a permutation, and differs between epochs and between seeds', (t) => {
  const order = epochOrder(1000, 1, 0);
  t.deepEqual(
    [...order].sort((a, b) => a - b),
    [...Array(1000).keys()],
  );
  t.notDeepEqual(order, epochOrder(1000, 1, 1));
  t.notDeepEqual(order, epochOrder(1000, 2, 0));
  t.notDeepEqual(epochOrder(1000, 0, 0), epochOrder(1000, 1, 0));
});

test('every record is as likely at every place', (t) => {
  const places = 8;
  const epochs = 4000;
  const counts = Array.from({ length: places }, () => new Array<number>(places).fill(0));
  for (let epoch = 0; epoch < epochs; epoch++) {
    epochOrder(places, 3, epoch).forEach((record, place) => {
      counts[place][record]++;
    });
  }
  const expected = epochs / places;
  const chiSquare = counts.flat().reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  // 49 degrees of freedom: the 99.99 % quantile of the chi-square distribution is 94.
  t.true(chiSquare < 94, `chi-square ${chiSquare}`);
});

test('shares add up, follow the weights within one record, and differ by at most one when weights are equal', (t) => {
  fc.assert(
    fc.property(fc.nat(500), weightsOf, (total, weights) => {
      const parts = shares(total, weights);
      const sum = weights.reduce((a, b) => a + b, 0);
      const equal = shares(total, equalShares(weights.length).weights);
      return (
        parts.reduce((a, b) => a + b, 0) === total &&
        parts.every((part, rank) => Math.abs(part - (total * weights[rank]) / sum) < 1) &&
        parts.every((part, rank) => weights[rank] > 0 || part === 0) &&
        Math.max(...equal) - Math.min(...equal) <= 1
      );
    }),
    FAST_CHECK,
  );
  t.pass();
});

test('a share in proportion is what one expects', (t) => {
  t.deepEqual(shares(64, [3, 1]), [48, 16]);
  t.deepEqual(shares(10, [1, 1, 1]), [4, 3, 3]);
  t.deepEqual(shares(1, [0, 1]), [0, 1]);
  t.deepEqual(shareOf(10, [1, 1, 1], 1), [4, 7]);
});

test('the evaluation deals every record once', (t) => {
  fc.assert(
    fc.property(fc.nat(300), weightsOf, (records, weights) => {
      const all = weights.flatMap((_, rank) => [...evaluationShare(records, { weights }, rank)]);
      return all.join() === [...Array(records).keys()].join();
    }),
    FAST_CHECK,
  );
  t.pass();
});

test('a step, rank or weight that cannot be is refused', (t) => {
  const dealer = createDealer(100, 32, 1);
  t.is(dealer.stepsPerEpoch, 3);
  t.throws(() => dealer.globalBatch(0, 3), { instanceOf: RangeError, message: /\[0, 3\), not 3/ });
  t.throws(() => dealer.batch(0, 0, equalShares(2), 2), { instanceOf: RangeError });
  t.throws(() => shares(4, []), { instanceOf: RangeError });
  t.throws(() => shares(4, [1, -1]), { instanceOf: RangeError });
  t.throws(() => shares(4, [Number.NaN]), { instanceOf: RangeError });
});

test('what a worker that leaves had is dealt again: each record of an epoch is trained once', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 5 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.record({ after: fc.nat(20), lost: fc.nat(1) }), { minLength: 1, maxLength: 3 }),
      (workers, perWorker, steps, leaving) => {
        const batch = workers * perWorker;
        const dealer = createDealer(batch * steps, batch, 3);
        // One after the other: nobody leaves before the others have got over the leaving before.
        let next = 0;
        const leavings = leaving.slice(0, workers - 1).map(({ after, lost }, rank) => {
          const lostFrom = next + after;
          next = lostFrom + lost;
          return { rank, lostFrom, lostTo: next };
        });
        for (const epoch of [1, 2]) {
          const times = new Map<number, number>();
          for (let index = 0; index < steps; index++) {
            const step = (epoch - 1) * steps + index;
            // A step is dealt by who was known to be there when it began, and counts for who was there when it ended.
            const departed = leavings.filter(({ lostTo }) => lostTo <= step);
            const view = { weights: new Array<number>(workers).fill(1), departed };
            for (let rank = 0; rank < workers; rank++) {
              const counts = leavings.every((each) => each.rank !== rank || step < each.lostFrom);
              const records = dealer.batch(epoch, index, view, rank);
              if (counts) for (const record of records) times.set(record, (times.get(record) ?? 0) + 1);
              else if (departed.some((each) => each.rank === rank)) t.is(records.length, 0);
            }
          }
          t.true([...times.values()].every((count) => count === 1));
          // What is lost in the last step of an epoch, or beyond twice a batch, sits the epoch out.
          const room = leavings.every(({ lostTo }) => Math.abs(lostTo - epoch * steps) > leavings.length);
          if (room) t.is(times.size, batch * steps);
        }
      },
    ),
    { seed: 4, numRuns: 400 },
  );
});
