// What runs with faults are accused of: nothing where all held, and each breach by a sentence of its own.
import test from 'ava';
import type { Progress } from './figures.js';
import { growthOf, memoryOf } from './memory.js';
import { type Scenario, UNTOUCHED } from './scenario.js';
import { type Expectable, type Seen, violationsOf } from './verdict.js';

const REFERENCE: Expectable = {
  ...{ weightsSha256: 'a', steps: 4, stepsPerEpoch: 2, records: 16, stepSecondsMax: 0.5 },
};
const SCENARIO: Scenario = {
  ...{ summary: '', servers: 2, workers: 2, flags: [] },
  faults: () => [],
  expects: { ...UNTOUCHED, waitIsNamed: true, stallMaxSeconds: 2 },
};
const progress: Progress[] = [1, 2, 3, 4].map((step) => ({
  ...{ atMs: 1000 * step, samples: 8, kind: 'step' },
  step,
}));
const well = (): Seen => ({
  progress,
  events: [{ event: 'waiting', workers: ['worker 1 (host:77)'] }],
  injected: [{ kind: 'stop', target: 'worker 1', pid: 77, afterStep: 1, atMs: 1500 }],
  exits: [{ name: 'worker 0', code: 0, signal: null, lastWords: [] }],
  wokenUp: [],
  weightsSha256: 'a',
  keeper: '127.0.0.1:7',
});
const exit = (code: number, word: string) => ({ name: 'worker 0', code, signal: null, lastWords: [word] });

test('nothing is said of a run that kept all', (t) => {
  t.deepEqual(violationsOf(SCENARIO, 1, well(), REFERENCE), []);
});

const breaches: [string, Partial<Seen>, RegExp][] = [
  ['other weights', { weightsSha256: 'b' }, /^expected the weights a, got b$/],
  ['no weights', { weightsSha256: undefined }, /^expected the weights a, got none$/],
  [
    'a worker that failed',
    { exits: [exit(1, 'out of luck')] },
    /^worker 0 ended with status 1: out of luck$/,
  ],
  ['steps that are missing', { progress: progress.slice(0, 3) }, /^1 of 4 steps were done by nobody$/],
  [
    'steps done again',
    { progress: [...progress, progress[3]] },
    /^1 steps that were done had to be done again$/,
  ],
  [
    'a record that counts twice',
    { progress: progress.map((each) => (each.step === 4 ? { ...each, samples: 9 } : each)) },
    /^expected 16 records in epoch 2, its steps had 17$/,
  ],
  ['a wait without a name', { events: [] }, /^nobody said that it waits for worker 1, which was stopped$/],
  [
    'a stall',
    { progress: progress.map((each) => (each.step === 4 ? { ...each, atMs: 9000 } : each)) },
    /^expected at most 2.00 s without progress, there were 6.00 s$/,
  ],
  ['a run that could not be followed', { failure: 'the run hangs' }, /^the run hangs$/],
];

for (const [what, change, words] of breaches)
  test(`${what}: said in a sentence of its own`, (t) => {
    const found = violationsOf(SCENARIO, 1, { ...well(), ...change }, REFERENCE);
    t.true(
      found.some((sentence) => words.test(sentence)),
      found.join('; '),
    );
  });

test('a run that is over before its faults is no proof', (t) => {
  t.regex(violationsOf(SCENARIO, 2, well(), REFERENCE).join(), /expected 2 faults, .* after 1/);
});

test('whoever loses the keeper ends with status 1 and its address', (t) => {
  const scenario: Scenario = {
    ...SCENARIO,
    expects: { ...SCENARIO.expects, fails: { role: 'server', index: 0 } },
  };
  const ends = (code: number, word: string) =>
    violationsOf(scenario, 1, { ...well(), exits: [exit(code, word)] }, REFERENCE).length;
  t.is(ends(1, 'the keeper at 127.0.0.1:7 was lost'), 0);
  t.is(ends(0, ''), 1);
  t.is(ends(1, 'something went wrong'), 1);
});

test('a full disk is to be told, and a run goes on from the newest snapshot that was whole', (t) => {
  const full: Scenario = { ...SCENARIO, snapshots: 'full-disk' };
  const told = (failure?: string) =>
    violationsOf(
      full,
      1,
      { ...well(), events: [...well().events, { event: 'snapshot', failure }] },
      REFERENCE,
    );
  t.deepEqual(told('no space left'), []);
  t.regex(told().join(), /was written to a disk that is too small/);
  t.regex(violationsOf(full, 1, well(), REFERENCE).join(), /nobody said/);
  const kept: Scenario = { ...SCENARIO, snapshots: 'kept' };
  const resumed = (fromStep: number) =>
    violationsOf(
      kept,
      1,
      { ...well(), injected: [{ ...well().injected[0], fromStep, wholeStep: 3 }] },
      REFERENCE,
    );
  t.deepEqual(resumed(3), []);
  t.regex(resumed(2).join(), /went on from step 2, a snapshot of step 3 was whole/);
});

test('memory that grows is told, what loads at the beginning and what is seen too short is not', (t) => {
  const MiB = 2 ** 20;
  const samples = (mebibytes: (at: number) => number) =>
    Array.from({ length: 200 }, (_, at) => MiB * mebibytes(at));
  t.is(
    growthOf(
      memoryOf(
        'server 1',
        samples((at) => Math.min(100, 5 * at)),
        500,
      ),
    ),
    undefined,
  );
  t.regex(
    growthOf(
      memoryOf(
        'server 1',
        samples((at) => 100 + at),
        500,
      ),
    ) ?? '',
    /^the memory of server 1 grew/,
  );
  t.is(
    growthOf(
      memoryOf(
        'server 1',
        samples((at) => 100 + at),
        100,
      ),
    ),
    undefined,
  );
});
