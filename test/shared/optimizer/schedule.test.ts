// Schedules of the learning rate: properties over arbitrary ones, and the figures that their papers give.
import test from 'ava';
import fc from 'fast-check';
import { learningRateAt, type ScheduleSpec, scheduleFault } from '../../../shared/optimizer/schedule.js';

const steps = fc.integer({ min: 1, max: 2000 });
const share = fc.double({ min: 0, max: 0.999, noNaN: true });
const warmupSteps = fc.integer({ min: 0, max: 300 });

const anySchedule: fc.Arbitrary<ScheduleSpec> = fc.oneof(
  fc.record({ kind: fc.constant('constant' as const), warmupSteps }),
  fc.record({
    kind: fc.constant('step' as const),
    warmupSteps,
    decaySteps: steps,
    decayRate: fc.double({ min: 0.001, max: 0.999, noNaN: true }),
  }),
  fc.record({ kind: fc.constant('cosine' as const), warmupSteps, decaySteps: steps, decayEnd: share }),
  fc.record({
    kind: fc.constant('polynomial' as const),
    warmupSteps,
    decaySteps: steps,
    decayEnd: share,
    decayPower: fc.double({ min: 0.1, max: 5, noNaN: true }),
  }),
);
const fixed = { seed: 20_264, numRuns: 500 };

test('a learning rate rises to the base in the warm-up, never above, and never rises again', (t) => {
  fc.assert(
    fc.property(
      anySchedule,
      fc.double({ min: 1e-6, max: 10, noNaN: true }),
      fc.nat(4000),
      (schedule, base, step) => {
        t.is(scheduleFault(schedule), undefined);
        const now = learningRateAt(schedule, base, step);
        const next = learningRateAt(schedule, base, step + 1);
        t.true(now >= 0 && now <= base * (1 + 1e-15));
        if (step + 1 < schedule.warmupSteps) t.true(next > now);
        if (step + 1 === schedule.warmupSteps) t.is(now, base);
        if (step >= schedule.warmupSteps) t.true(next <= now * (1 + 1e-12));
        t.is(learningRateAt(schedule, base, schedule.warmupSteps), base);
      },
    ),
    fixed,
  );
});

test('a decay to an end stands at its end from there on', (t) => {
  fc.assert(
    fc.property(anySchedule, fc.nat(10_000), (schedule, later) => {
      if (schedule.kind !== 'cosine' && schedule.kind !== 'polynomial') return;
      const end = schedule.warmupSteps + schedule.decaySteps;
      t.true(Math.abs(learningRateAt(schedule, 1, end + later) - schedule.decayEnd) < 1e-15);
      t.true(learningRateAt(schedule, 1, end - 1) > schedule.decayEnd);
    }),
    fixed,
  );
});

test('no schedule is the learning rate as it is', (t) => {
  t.is(learningRateAt(undefined, 0.3, 12), 0.3);
});

const figures: [title: string, schedule: ScheduleSpec, rates: Record<number, number>][] = [
  ['warm-up of four steps', { kind: 'constant', warmupSteps: 4 }, { 0: 0.25, 1: 0.5, 3: 1, 4: 1, 999: 1 }],
  [
    'a tenth every thirty steps',
    { kind: 'step', warmupSteps: 0, decaySteps: 30, decayRate: 0.1 },
    { 0: 1, 29: 1, 30: 0.1, 59: 0.1, 60: 0.01 },
  ],
  [
    'half a cosine after two steps of warm-up',
    { kind: 'cosine', warmupSteps: 2, decaySteps: 100, decayEnd: 0 },
    { 0: 0.5, 2: 1, 27: (1 + Math.SQRT1_2) / 2, 52: 0.5, 102: 0, 200: 0 },
  ],
  [
    'a line to a fifth',
    { kind: 'polynomial', warmupSteps: 0, decaySteps: 10, decayEnd: 0.2, decayPower: 1 },
    { 0: 1, 5: 0.6, 10: 0.2, 11: 0.2 },
  ],
  [
    'a parabola',
    { kind: 'polynomial', warmupSteps: 0, decaySteps: 10, decayEnd: 0, decayPower: 2 },
    { 5: 0.25, 9: 0.01 },
  ],
];
for (const [title, schedule, rates] of figures)
  test(`${title} has its known figures`, (t) => {
    for (const [step, expected] of Object.entries(rates))
      t.true(Math.abs(learningRateAt(schedule, 1, Number(step)) - expected) < 1e-15, step);
  });
