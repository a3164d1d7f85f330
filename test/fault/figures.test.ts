// The figures of runs with faults, on timelines made by hand.
import test from 'ava';
import { dipOf, gapsOf, longestGapSeconds, type Progress, recordsOfEpochs, stepsLost } from './figures.js';

const step = (atMs: number, number: number, samples = 8): Progress => ({
  ...{ atMs, samples },
  kind: 'step',
  step: number,
});

/** Steps at the times given (ms). */
const timeline = (times: readonly number[]): Progress[] => times.map((atMs, index) => step(atMs, index + 1));

test('time without progress is from one step to the next', (t) => {
  const progress = timeline([0, 100, 2100, 2200]);
  t.deepEqual(gapsOf(progress), [0.1, 2, 0.1]);
  t.is(longestGapSeconds(progress), 2);
  t.is(longestGapSeconds(progress, 2150), 0.1);
  t.is(longestGapSeconds([]), 0);
});

/** Ten steps a second for so many seconds, without those that `isLost` says. */
const steady = (seconds: number, isLost: (atMs: number) => boolean = () => false): Progress[] =>
  timeline(Array.from({ length: 10 * seconds }, (_, index) => 100 * index).filter((atMs) => !isLost(atMs)));

test('the dip is measured in the ten seconds around a fault, against the rest of the run', (t) => {
  t.is(dipOf(steady(60), [], 10), 0);
  t.true(Math.abs(dipOf(steady(60), [30_000], 10)) < 0.02);
  const stalled = steady(60, (atMs) => atMs > 30_000 && atMs <= 32_000);
  t.true(Math.abs(dipOf(stalled, [30_000], 10) - 0.2) < 0.02);
  t.true(Math.abs(dipOf(stalled, [15_000, 30_000], 10) - 0.2) < 0.02, 'the worst of several');
  t.true(Math.abs(dipOf(stalled, [29_000, 30_000], 10) - 0.2) < 0.02, 'windows that overlap');
});

test('a run that is shorter than the windows is compared with one without faults', (t) => {
  const short = steady(8, (atMs) => atMs > 4000 && atMs <= 6000);
  t.true(Math.abs(dipOf(short, [4000], 10) - 0.25) < 0.03);
});

test('steps lost are those that were done again, and those that nobody did', (t) => {
  t.deepEqual(stepsLost(timeline([0, 1, 2]), 3), { redone: 0, missing: 0 });
  const again = [...timeline([0, 1, 2]), step(9, 2), step(10, 3), step(11, 5)];
  t.deepEqual(stepsLost(again, 5), { redone: 2, missing: 1 });
});

test('records of an epoch are those of its steps, each once, as they came out last', (t) => {
  const progress = [...timeline([0, 1, 2, 3]), step(9, 2, 5)];
  t.deepEqual(recordsOfEpochs(progress, 2), [13, 16]);
});
