// Whom a client says it waits for: what servers tell, and what the silence of one tells where others speak.
import test from 'ava';
import { type UsualWaits, Waits } from '../../../shared/client/waits.js';
import { Usual } from '../../../shared/usual.js';

const workers = [{ label: 'a:1' }, { label: 'b:2' }];
const links = { nameOf: (shard: number) => `server ${shard}`, addressOf: (shard: number) => `host:${shard}` };
const forWorker = { step: 7, workers: [1], servers: [], copies: [], seconds: 60, usualSeconds: 0.1 };
/** Of a step that began at 1,000 ms. */
const wait = { step: 7, sinceMs: 1000, missing: [0, 1] };

/** Three exchanges and steps that took so long each. */
function usual(exchangeMs: number, stepMs = exchangeMs): UsualWaits {
  const known = { exchange: new Usual(), step: new Usual() };
  for (let step = 0; step < 3; step++) {
    known.exchange.observe(exchangeMs);
    known.step.observe(stepMs);
  }
  return known;
}

const namesAt = (waits: Waits, nowMs: number, changes: object = {}, own: object = {}) =>
  waits.told(0, { ...forWorker, ...changes }, { ...wait, ...own }, nowMs)?.workers;

test('a worker is named with its label, once the client has waited longer than it usually does', (t) => {
  const waits = new Waits(workers, links, usual(400));
  t.is(namesAt(waits, 1799), undefined);
  t.deepEqual(waits.told(0, forWorker, wait, 1800), {
    step: 7,
    seconds: 0.8,
    usualSeconds: 0.4,
    server: 'host:0',
    workers: ['worker 1 (b:2)'],
  });
});

test('where one server tells of a worker and another that is waited for, too, is silent, that one is named', (t) => {
  const waits = new Waits(workers, links, usual(400));
  const at = (nowMs: number) => {
    waits.heard(0, nowMs);
    return namesAt(waits, nowMs);
  };
  waits.heard(1, 900);
  t.deepEqual(at(1000 + 2000 + 799), ['worker 1 (b:2)']);
  t.deepEqual(at(1000 + 800 + 2000), ['server 1, whose blocks of the step are missing']);
  // It tells, too, or sends: then it does not stand still.
  waits.heard(1, 3900);
  t.deepEqual(at(3900 + 1999), ['worker 1 (b:2)']);
  t.deepEqual(at(3900 + 2000), ['server 1, whose blocks of the step are missing']);
  // Nothing of it is missing: its silence says nothing.
  waits.heard(0, 60_000);
  t.deepEqual(namesAt(waits, 60_000, {}, { missing: [0] }), ['worker 1 (b:2)']);
});

test('a server tells when a whole step is late, however short exchanges are: until then its silence is none', (t) => {
  const waits = new Waits(workers, links, usual(200, 5200));
  // Five seconds of computation before; both servers tell once the step takes twice as long as usual, one after another.
  waits.heard(0, 1000 + 5400);
  waits.heard(1, 1100);
  t.deepEqual(namesAt(waits, 1000 + 5400), ['worker 1 (b:2)']);
  t.deepEqual(namesAt(waits, 1000 + 10_400 + 1999), ['worker 1 (b:2)']);
  waits.heard(0, 1000 + 10_400 + 2000);
  t.deepEqual(namesAt(waits, 1000 + 10_400 + 2000), ['server 1, whose blocks of the step are missing']);
});

test('a server that is past the step is asked for its copies, or others are those to wait for', (t) => {
  const waits = new Waits(workers, links, usual(400));
  t.deepEqual(namesAt(waits, 3000, { step: 8 }, { missing: [1] }), [
    'server 1, whose blocks of the step are missing',
  ]);
  t.deepEqual(namesAt(waits, 3000, { step: 8, copies: [2] }, { missing: [1] }), [
    'server 2, whose copy of shard 0 is missing',
  ]);
});

test('under clocks of their own, what the server says is said on as it is', (t) => {
  const waits = new Waits(workers, links, usual(400));
  const told = waits.told(1, forWorker, { ...wait, sinceMs: undefined }, 60_000);
  t.deepEqual(told, {
    step: 7,
    seconds: 60,
    usualSeconds: 0.1,
    server: 'host:1',
    workers: ['worker 1 (b:2)'],
  });
});

test('who waits for nobody tells nothing', (t) => {
  t.is(namesAt(new Waits(workers, links, usual(400)), 9000, { workers: [] }), undefined);
});
