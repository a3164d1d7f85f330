// What is usual, and so when a wait is told of: never on what a constant says once something was measured, not moved by
// a few waits that went wrong, and in one rhythm.
import test from 'ava';
import fc from 'fast-check';
import { NOTICE_MIN_MS, USUAL_WAITS, WAITING_NOTICE_MS } from '../../shared/limits.js';
import { NOTICE_RATIO, Notice, shownMs, Usual, usually } from '../../shared/usual.js';

const measured = (waits: readonly number[]): Usual => {
  const usual = new Usual();
  for (const ms of waits) usual.observe(ms);
  return usual;
};
const waitMs = fc.double({ min: 0, max: 1e6, noNaN: true });
const options = { numRuns: 500, seed: 1 };

test('before anything was measured the constant holds', (t) => {
  const usual = new Usual();
  t.is(usual.medianMs, undefined);
  t.is(usual.deadlineMs, WAITING_NOTICE_MS);
});

test('steps of 8 s may last 16 s, steps of 20 ms as long as anybody cares', (t) => {
  t.is(measured(Array(8).fill(8000)).deadlineMs, 16_000);
  t.is(measured(Array(8).fill(20)).deadlineMs, NOTICE_MIN_MS);
  t.is(measured(Array(8).fill(20)).unusualMs, 40);
});

test('where waits differ much, one is told of when it stands out from them', (t) => {
  const usual = measured([100, 1000, 2000, 4000, 9000]);
  t.is(usual.medianMs, 2000);
  // The median of the deviations 1900, 1000, 0, 2000, 7000 is 1900.
  t.true(Math.abs(usual.deadlineMs - (2000 + 3 * 1.4826 * 1900)) < 1e-9);
});

test('it is the last waits that count, in any order, and as somebody would who sorts them all', (t) => {
  const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b);
  const middle = (values: readonly number[]) =>
    (sorted(values)[(values.length - 1) >> 1] + sorted(values)[values.length >> 1]) / 2;
  fc.assert(
    fc.property(fc.array(waitMs, { minLength: 1, maxLength: 3 * USUAL_WAITS }), (waits) => {
      const last = waits.slice(-USUAL_WAITS);
      const median = middle(last);
      const deviation = middle(last.map((ms) => Math.abs(ms - median)));
      const deadline = Math.max(NOTICE_MIN_MS, NOTICE_RATIO * median, median + 3 * 1.4826 * deviation);
      for (const usual of [measured(waits), measured(sorted(last))]) {
        t.is(usual.medianMs, median);
        t.true(Math.abs(usual.deadlineMs - deadline) <= 1e-9 * deadline);
      }
    }),
    options,
  );
});

test('it does not depend on when it was asked for', (t) => {
  fc.assert(
    fc.property(fc.array(waitMs, { minLength: 1, maxLength: 100 }), (waits) => {
      const asked = new Usual();
      for (const ms of waits) {
        asked.observe(ms);
        if (asked.deadlineMs < NOTICE_MIN_MS) throw new Error('below the least');
      }
      t.is(asked.deadlineMs, measured(waits).deadlineMs);
    }),
    options,
  );
});

test('less than half of the waits may be anything: the deadline stays within what the others say', (t) => {
  const good = fc.double({ min: 100, max: 200, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(good, { minLength: 17, maxLength: 32 }),
      fc.array(waitMs, { maxLength: 16 }),
      (goods, bads) => {
        const { medianMs, deadlineMs } = measured([...goods, ...bads]);
        t.true((medianMs as number) >= 100 && (medianMs as number) <= 200);
        t.true(deadlineMs <= 200 + 3 * 1.4826 * 100 + 1e-9);
      },
    ),
    options,
  );
});

test('another pace is the usual one when as many waits as count were measured of it', (t) => {
  const usual = measured(Array(1000).fill(10_000));
  for (let wait = 0; wait < USUAL_WAITS; wait++) usual.observe(20);
  t.deepEqual([usual.medianMs, usual.deadlineMs], [20, NOTICE_MIN_MS]);
});

test('a notice is due at the deadline, then every second, and anew for the next wait', (t) => {
  const notice = new Notice();
  const due = (...waits: number[]) => waits.filter((ms) => notice.isDue(ms, 300));
  t.deepEqual(due(0, 250, 500, 750, 1000, 1250, 1500, 2250, 2500), [500, 1500, 2500]);
  t.deepEqual(due(0, 250, 500), [500]);
  // One that has lasted less than the last is another, although nobody looked in between.
  t.deepEqual(due(400, 1399, 1400), [400, 1400]);
});

test('while a wait lasts it is told of at least every second and not more often, however often somebody looks', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 200 }), (looks) => {
      const notice = new Notice();
      let waitedMs = 0;
      let toldMs = Number.NEGATIVE_INFINITY;
      for (const ms of looks) {
        waitedMs += ms;
        const isDue = notice.isDue(waitedMs, 300);
        if (isDue !== (waitedMs >= 300 && waitedMs - toldMs >= WAITING_NOTICE_MS))
          throw new Error(`told after ${waitedMs} ms, and before after ${toldMs}`);
        if (isDue) toldMs = waitedMs;
      }
      t.pass();
    }),
    options,
  );
});

test('in a sentence', (t) => {
  t.is(usually('a step', new Usual()), 'how long a step usually takes is not known yet');
  t.is(usually('a step', measured([31.4])), 'a step usually takes 31 ms');
  t.deepEqual([0.25, 9.96, 9999, 12_345].map(shownMs), ['0.3 ms', '10.0 ms', '9999 ms', '12.3 s']);
});
