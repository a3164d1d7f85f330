// Rounds against counting them one by one.
import test from 'ava';
import fc from 'fast-check';
import { optimizerSpec } from '../../../shared/optimizer/spec.js';
import { roundsOf } from '../../../worker/local/rounds.js';

const local = (steps: number) => ({ steps, optimizer: optimizerSpec('sgd', 1) });

test('a round ends after its steps, or with the epoch', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 15 }), (stepsPerEpoch, length) => {
      const rounds = roundsOf({ stepsPerEpoch, local: local(length) });
      let round = 0;
      let inRound = 0;
      for (let step = 0; step < 3 * stepsPerEpoch; step++) {
        if (inRound === 0) t.is(rounds.firstStep(round), step);
        inRound++;
        const ends = inRound === length || (step + 1) % stepsPerEpoch === 0;
        t.is(rounds.endsWith(step), ends, `step ${step} of ${stepsPerEpoch} by ${length}`);
        if (ends) {
          round++;
          inRound = 0;
        }
        t.is(rounds.endedAfter(step + 1), round);
        t.is(rounds.endedWith(step + 1), round + (inRound > 0 ? 1 : 0));
      }
    }),
    { seed: 20_271, numRuns: 60 },
  );
});

test('without local every step is a round', (t) => {
  const rounds = roundsOf({ stepsPerEpoch: 7 });
  for (const step of [0, 1, 6, 7, 20]) {
    t.true(rounds.endsWith(step));
    t.is(rounds.endedAfter(step), step);
    t.is(rounds.endedWith(step), step);
    t.is(rounds.firstStep(step), step);
  }
});
