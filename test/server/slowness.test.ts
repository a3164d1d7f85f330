// Who makes steps long: a slow worker is named with its phase whatever its rank, the noise of equal ones names nobody.
import test from 'ava';
import fc from 'fast-check';
import { judge, OWN_PHASES, type OwnPhase, SLOW_RATIO, type WorkerTimes } from '../../server/slowness.js';

const SILENCE_MAX_SECONDS = 2;
const RUNS = { seed: 7, numRuns: 500 };

type Own = Partial<Record<OwnPhase, number>>;

const zeros = Object.fromEntries(OWN_PHASES.map((phase) => [phase, 0])) as Record<OwnPhase, number>;
const sum = (own: Own): number => Object.values(own).reduce((total, seconds) => total + seconds, 0);

/** Workers under bsp: whoever is done with its own phases waits for the slowest. */
function together(owns: readonly Own[], more: Partial<WorkerTimes> = {}): WorkerTimes[] {
  const longest = Math.max(...owns.map(sum));
  return owns.map((own, rank) => ({
    rank,
    seconds: { ...zeros, ...own, wait: 0.01 + longest - sum(own) },
    ...{ phase: 'exchange', secondsInPhase: 0, secondsSilent: 0, servers: new Map() },
    ...more,
  }));
}
const verdict = (workers: readonly WorkerTimes[]) => judge(workers, SILENCE_MAX_SECONDS);

test('the worker that waits least is named, with its phase, its peers, and what they wait', (t) => {
  const found = verdict(
    together([
      { data: 0.01, compute: 0.2, decode: 0.01 },
      { data: 0.01, compute: 0.21, decode: 0.01 },
      { data: 0.01, compute: 1.04, decode: 0.02 },
    ]),
  );
  t.like(found, { role: 'worker', number: 2, phase: 'compute', seconds: 1.04 });
  t.true(Math.abs((found?.peersSeconds ?? 0) - 0.205) < 1e-9);
  t.true(Math.abs((found?.waitedShare ?? 0) - 0.79) < 0.01);
});

test('of two workers the slower one is named', (t) => {
  t.like(verdict(together([{ compute: 0.5, data: 0.5 }, { compute: 0.5 }])), { number: 0, phase: 'data' });
});

test('nobody is named where there is nobody to compare with, or nothing to tell', (t) => {
  t.is(verdict([]), undefined);
  t.is(verdict(together([{ compute: 9 }])), undefined);
  t.is(verdict(together([{}, {}])), undefined);
});

test('where all differ nobody stands out', (t) => {
  t.is(verdict(together([0.1, 0.2, 0.3, 0.4, 0.5].map((compute) => ({ compute })))), undefined);
});

test('two slow ones of five: one of them is named', (t) => {
  const found = verdict(together([0.1, 0.5, 0.1, 0.52, 0.1].map((compute) => ({ compute }))));
  t.like(found, { number: 3, phase: 'compute' });
});

test('a phase that is under way for longer than it takes is what it has taken', (t) => {
  const workers = together([{ compute: 0.1 }, { compute: 0.1 }, { compute: 0.1 }]);
  const stuck = { ...workers[1], phase: 'compute', secondsInPhase: 7 };
  t.like(verdict([workers[0], stuck, workers[2]]), { number: 1, phase: 'compute', seconds: 7 });
});

test('a worker that is silent comes before one that is slow', (t) => {
  const workers = together([{ compute: 0.1 }, { compute: 0.9 }, { compute: 0.1 }]);
  const found = verdict([{ ...workers[0], secondsSilent: 3 }, workers[1], workers[2]]);
  t.like(found, { role: 'worker', number: 0, phase: 'silent', seconds: 3, peersSeconds: 0 });
  t.like(verdict(workers.map((worker) => ({ ...worker, secondsSilent: 0.5 }))), { number: 1 });
});

const servers = (...seconds: number[]) => new Map(seconds.map((each, index) => [10 + index, each]));

test('a server whose blocks come late is named by the worker that waits least', (t) => {
  const workers = together([{ compute: 0.1 }, { compute: 0.11 }, { compute: 0.12 }]);
  const found = verdict(
    workers.map((worker, rank) => ({ ...worker, servers: servers(0.02 + rank / 100, 0.5, 0.03) })),
  );
  t.like(found, { role: 'server', number: 11, phase: 'exchange', seconds: 0.5 });
  t.true(Math.abs((found?.peersSeconds ?? 0) - 0.025) < 1e-9);
});

test('servers that all come late, since a worker does, are not named', (t) => {
  const workers = together([{ compute: 0.1 }, { compute: 1 }, { compute: 0.1 }]);
  t.like(
    verdict(workers.map((worker) => ({ ...worker, servers: servers(0.01 + worker.seconds.wait, 0.9) }))),
    { role: 'worker', number: 1 },
  );
});

test('a backup that answers late is named, and not the server whose blocks wait for it', (t) => {
  const workers = together([{ compute: 0.1 }, { compute: 0.11 }, { compute: 0.12 }]);
  const late = workers.map((worker) => ({ ...worker, servers: servers(0.53, 0.03) }));
  const copies = [
    { primary: 10, backup: 11, seconds: 0.5 },
    { primary: 11, backup: 10, seconds: 2 ** -6 },
  ];
  t.like(judge(late, SILENCE_MAX_SECONDS, copies), {
    ...{ role: 'server', number: 11, phase: 'replicate', seconds: 0.5, peersSeconds: 2 ** -6 },
  });
  t.like(verdict(late), { number: 10, phase: 'exchange' });
  // One that is slow itself is still named as that, whatever its backup takes.
  const slow = workers.map((worker) => ({ ...worker, servers: servers(0.03, 1) }));
  t.like(judge(slow, SILENCE_MAX_SECONDS, [copies[1], { ...copies[0], seconds: 0.02 }]), {
    ...{ number: 11, phase: 'exchange', seconds: 1 - 2 ** -6 },
  });
});

test('one that is slow in both is named once, and backups that answer alike are not', (t) => {
  const workers = together([{ compute: 0.1 }, { compute: 0.1 }]);
  const times = workers.map((worker) => ({ ...worker, servers: servers(0.62, 0.6) }));
  const pair = (one: number, other: number) => [
    { primary: 10, backup: 11, seconds: one },
    { primary: 11, backup: 10, seconds: other },
  ];
  t.like(judge(times, SILENCE_MAX_SECONDS, pair(0.6, 0.01)), { role: 'server', number: 11 });
  t.is(judge(times, SILENCE_MAX_SECONDS, pair(0.5, 0.49)), undefined);
});

/** Equal workers, within a tenth. */
const alike = fc.integer({ min: 2, max: 12 }).chain((count) =>
  fc.array(
    fc.record({
      data: fc.double({ min: 0.01, max: 0.011, noNaN: true }),
      compute: fc.double({ min: 0.2, max: 0.22, noNaN: true }),
      decode: fc.double({ min: 0.02, max: 0.022, noNaN: true }),
    }),
    { minLength: count, maxLength: count },
  ),
);
const phases = ['data', 'compute', 'decode'] as const;

test('equal workers: nobody stands out, whatever the noise', (t) => {
  fc.assert(
    fc.property(alike, (owns) => verdict(together(owns)) === undefined),
    RUNS,
  );
  t.pass();
});

test('one that takes five times as long in one phase is named with it, whatever its rank', (t) => {
  fc.assert(
    fc.property(
      alike,
      fc.nat(),
      fc.constantFrom(...phases),
      fc.double({ min: 5, max: 100, noNaN: true }),
      (owns, at, phase, times) => {
        const rank = at % owns.length;
        // Much of the step, whichever phase it is.
        const slow = owns.map((own, other) => ({ ...own, [phase]: (other === rank ? times : 1) * 0.22 }));
        const found = verdict(together(slow));
        return found?.role === 'worker' && found.number === rank && found.phase === phase;
      },
    ),
    RUNS,
  );
  t.pass();
});

test('the verdict does not depend on the order of workers, nor on the unit of time', (t) => {
  const any = fc.array(
    fc.record({
      data: fc.double({ min: 0, max: 1, noNaN: true }),
      compute: fc.double({ min: 0, max: 1, noNaN: true }),
      decode: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { minLength: 2, maxLength: 8 },
  );
  fc.assert(
    fc.property(any, (owns) => {
      const workers = together(owns);
      const found = verdict(workers);
      const scaled = workers.map((worker) => ({
        ...worker,
        seconds: Object.fromEntries(
          Object.entries(worker.seconds).map(([phase, seconds]) => [phase, 4 * seconds]),
        ) as WorkerTimes['seconds'],
      }));
      t.is(verdict(workers.toReversed())?.number, found?.number);
      t.is(verdict(scaled)?.number, found?.number);
      if (!found) return;
      const own = owns.map(sum);
      t.is(own[found.number], Math.max(...own), 'nobody is slower');
      t.true(found.seconds > found.peersSeconds);
      t.true(own[found.number] * SLOW_RATIO > Math.min(...own) * SLOW_RATIO);
    }),
    RUNS,
  );
});
