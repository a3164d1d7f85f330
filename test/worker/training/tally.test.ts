// What is added up over steps: against sums made by hand.
import test from 'ava';
import type { Exchanged } from '../../../worker/exchange/messages.js';
import { Tally } from '../../../worker/training/tally.js';

const round = (changed: Partial<Exchanged> = {}): Exchanged => ({
  step: 1,
  late: [],
  steps: 1,
  skipped: false,
  notFinite: [],
  samples: 64,
  loss: 1,
  accuracy: 0.5,
  encodeSeconds: 0.25,
  waitSeconds: 0.5,
  decodeSeconds: 0.125,
  bytesPushed: 100,
  bytesPulled: 200,
  bytesRetried: 7,
  elementsPushed: 50,
  clocked: false,
  ...changed,
});

test('samples, bytes and phases are added up; a skipped step has bytes and no samples', (t) => {
  const tally = new Tally({ workers: 2, backed: false });
  tally.add({ exchanged: round() });
  tally.add({ exchanged: round({ skipped: true, steps: 0 }) });
  tally.took('compute', 3);
  tally.met(99);
  t.is(tally.samples, 64);
  t.is(tally.updates, 1, 'steps that all took together are counted here, whatever the servers say');
  t.is(tally.samplesOfAll(32), 64);
  t.deepEqual(tally.bytes, { bytesPushed: 200, bytesPulled: 400, bytesRetried: 14 });
  t.is(tally.elementsPushed, 100);
  t.deepEqual(tally.late, {});
  t.deepEqual(tally.phaseSeconds(2, { optimizer: false, rows: false }), {
    data: 0,
    compute: 1.5,
    encode: 0.25,
    wait: 0.5,
    decode: 0.125,
    apply: 0,
  });
});

test('after a step with a clock of its own each update is one worker’s, with its share of the batch', (t) => {
  const tally = new Tally({ workers: 2, backed: false });
  tally.add({ exchanged: round() });
  tally.add({ exchanged: round({ clocked: true, samples: 32 }) });
  tally.met(5);
  t.is(tally.updates, 5);
  t.is(tally.samplesOfAll(32), 64 + 4 * 32);
});

test('within a round of local steps only the optimizer’s time counts', (t) => {
  const tally = new Tally({ workers: 2, backed: false });
  tally.add({ local: { skipped: false, optimizerSeconds: 0.5 } });
  tally.met(3);
  t.is(tally.updates, 0);
  t.is(tally.phaseSeconds(1, {}).optimizer, 0.5);
});

test('steps that went on without a worker are counted by rank, where there are backup workers', (t) => {
  const tally = new Tally({ workers: 3, backed: true });
  tally.add({ exchanged: round({ late: [0, 2, 1], steps: 3 }) });
  tally.add({ exchanged: round({ late: [0, 0, 1] }) });
  const { lateContributions } = tally.late;
  t.deepEqual(lateContributions, [0, 2, 2]);
  (lateContributions as number[])[0] = 9;
  t.deepEqual(tally.late, { lateContributions: [0, 2, 2] }, 'what is told is a copy');
});
