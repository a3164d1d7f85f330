// What outlives a keeper: a keeper that goes on from it gives the same orders as the one before would have given.
import { EventEmitter } from 'node:events';
import test from 'ava';
import fc from 'fast-check';
import { Coordinator, type Order } from '../../server/coordinator.js';
import { restore, save } from '../../server/coordinator-state.js';
import { MembershipService } from '../../server/membership-service.js';
import { PROTOCOL_VERSION } from '../../shared/rpc/proto.js';
import { Refused } from '../../shared/rpc/refusal.js';
import type { RunSpec } from '../../shared/run/spec.js';
import { makeSpec } from '../helpers/shards.js';

const WORKERS = 3;
const SERVERS = 2;
const hello = (index: number) => ({
  protocolVersion: PROTOCOL_VERSION,
  run: '',
  label: `w${index}`,
  token: `t${index}`,
});
const serverHello = (index: number) => ({
  ...{ protocolVersion: PROTOCOL_VERSION, address: `10.0.0.${index}:1`, memoryBytes: 2 ** 30 },
  ...{ label: `s${index}`, peer: index === 1 },
});

/** Connections of servers are 100, 101, …; of workers 0, 1, …. */
function runningKeeper(spec: RunSpec): Coordinator {
  const keeper = new Coordinator();
  for (let index = 0; index < SERVERS; index++) keeper.serverJoined(100 + index, serverHello(index));
  for (let index = 0; index < WORKERS; index++) keeper.workerJoined(index, hello(index), spec);
  for (let index = 0; index < SERVERS; index++) keeper.serverPrepared(100 + index, 'test-1');
  return keeper;
}

/** The keeper that follows, when all who were there have come back. */
function follow(keeper: Coordinator, left: ReadonlySet<number> = new Set()): Coordinator {
  const next = new Coordinator();
  next.takeOver(restore(save(keeper.lasting)));
  const runs = [...keeper.runs.keys()];
  for (const { connection, id, address } of keeper.servers.values())
    next.serverBack(connection, { protocolVersion: PROTOCOL_VERSION, address }, { id, runs });
  for (const run of keeper.runs.values())
    for (const { connection, token, view } of run.workers.filter((entry) => !left.has(entry.connection)))
      next.workerBack(
        connection,
        { protocolVersion: PROTOCOL_VERSION, token },
        { run: run.id, view, term: run.view?.term, evaluated: run.evaluated },
      );
  return next;
}

type Event = ((keeper: Coordinator) => Order[]) & { leaves?: number };
const worker = fc.nat(WORKERS - 1);
const server = fc.nat(SERVERS - 1).map((index) => 100 + index);
const number = fc.integer({ min: 1, max: 4 });
const events = fc.array(
  fc.oneof(
    fc.record({ worker, step: fc.nat(9) }).map(
      ({ worker, step }): Event =>
        (keeper) =>
          keeper.evaluationPart(worker, step, {
            records: 4,
            lossSum: step + worker,
            correct: worker,
            view: 9,
          }),
    ),
    fc.record({ worker }).map(
      ({ worker }): Event =>
        (keeper) =>
          keeper.workerDone(worker, { bytesPushed: worker, bytesPulled: 2 * worker, steps: 10 }),
    ),
    fc
      .record({ worker })
      .map(
        ({ worker }): Event =>
          Object.assign((keeper: Coordinator) => keeper.workerLeft(worker, 'it left'), { leaves: worker }),
      ),
    fc.record({ server }).map(
      ({ server }): Event =>
        (keeper) =>
          keeper.serverLeft(server, 'it left'),
    ),
    fc.record({ worker, number }).map(
      ({ worker, number }): Event =>
        (keeper) => {
          keeper.workerEntered(worker, number);
          return [];
        },
    ),
    fc.record({ worker, number, step: fc.nat(9) }).map(
      ({ worker, number, step }): Event =>
        (keeper) =>
          keeper.workerHeld(worker, { number, step }),
    ),
    fc.record({ server, number }).map(
      ({ server, number }): Event =>
        (keeper) =>
          keeper.serverTaken(server, 'test-1', number),
    ),
    fc.constant((keeper: Coordinator) => keeper.serverJoined(200, serverHello(7))),
    fc.constant((keeper: Coordinator) => keeper.workerJoined(50, hello(50), makeSpec({ workers: WORKERS }))),
    fc.constantFrom(1, 3).map(
      (consistency): Event =>
        (keeper) =>
          keeper.changeRequested(1000, { run: '', consistency, staleness: 0 }),
    ),
  ),
  { maxLength: 30 },
);

/** @param left nobody hears what is said to these */
function outcomeOf(keeper: Coordinator, event: Event, left?: ReadonlySet<number>): unknown {
  try {
    // As they go over the wire, where what is not there and what is empty look alike.
    const isNothing = (value: unknown) => value === null || (Array.isArray(value) && value.length === 0);
    return JSON.parse(
      JSON.stringify(
        event(keeper).filter(({ connection }) => connection >= 0 && !left?.has(connection)),
        (_, value) => (isNothing(value) ? undefined : value),
      ) ?? '[]',
    );
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return error.sentence;
  }
}

test('a keeper that follows gives the same orders for the same events', (t) => {
  let compared = 0;
  fc.assert(
    fc.property(events, events, fc.boolean(), (before, after, elastic) => {
      const spec = makeSpec({ workers: WORKERS, ...(elastic ? { elastic } : {}) });
      const keeper = runningKeeper(spec);
      for (const event of before) outcomeOf(keeper, event);
      const left = new Set(before.flatMap((event: Event) => event.leaves ?? []));
      const runs = [...keeper.runs.values()];
      // What is on its way begins anew, and shares are handed in again: see test/simulation/keeper-changes.test.ts.
      fc.pre(
        runs.every(
          ({ state, change, evaluation }) => state === 'running' && !change && evaluation.size === 0,
        ),
      );
      const next = follow(keeper, left);
      if (next.isRecovering) return false;
      for (const event of after) {
        // Numbers of views that were proposed in vain are not remembered: no answer to them can come.
        for (const run of keeper.runs.values()) run.proposed = undefined;
        for (const run of next.runs.values()) run.proposed = undefined;
        t.deepEqual(outcomeOf(next, event, left), outcomeOf(keeper, event, left));
        compared++;
      }
      return true;
    }),
    { seed: 20_261_121, numRuns: 500 },
  );
  t.true(compared > 2000, String(compared));
});

test('what is kept comes back as it was', (t) => {
  const keeper = runningKeeper(makeSpec({ workers: WORKERS, elastic: true }));
  keeper.workerLeft(2, 'it left');
  const [run] = keeper.lasting.runs;
  const left = restore(save(keeper.lasting));
  t.like(left, { nextServer: SERVERS, nextRun: 2, ended: [] });
  t.deepEqual(
    left.servers.map(({ id, address, peer }) => ({ id, address, peer })),
    keeper.lasting.servers.map(({ id, address, peer }) => ({ id, address, peer })),
  );
  t.deepEqual(left.runs[0].spec, run.spec);
  t.is(left.runs[0].divergences, undefined);
  t.deepEqual(left.runs[0].view?.placement, run.view?.placement);
  // The one that is leaving is still to be put out.
  t.deepEqual(
    left.runs[0].workers.map(({ rank, leaving }) => [rank, leaving?.reason]),
    [
      [0, undefined],
      [1, undefined],
      [2, 'it left'],
    ],
  );
  for (const block of [4, 2]) keeper.copyDiverged(100, run.id, { shard: 0, server: 1, block, version: 7 });
  const divergences = { count: 2, last: { shard: 0, server: 1, block: 2, version: 7 } };
  t.like(restore(save(keeper.lasting)).runs[0], { divergences });
  keeper.workerLeft(1, 'it left');
  t.like(restore(save(keeper.lasting)), { runs: [], ended: [{ run: 'test-1', failed: true }] });
});

test('a copy that differed is kept as soon as it is told, though nothing is ordered for it', (t) => {
  const keeper = new Coordinator();
  const service = new MembershipService(
    () => '',
    (message) => t.log(message),
    () => undefined,
  );
  const kept: (number | undefined)[] = [];
  service.keep(keeper, {
    write(then) {
      const [run] = restore(save(keeper.lasting)).runs;
      kept.push(run?.divergences?.count);
      then();
    },
    checkRun: () => undefined,
  });
  const call = Object.assign(new EventEmitter(), {
    ...{ write: () => true, end: () => undefined, getPeer: () => 'a peer' },
  });
  service.handlers().Serve(call as never);
  call.emit('data', { hello: serverHello(0) });
  const [{ connection }] = keeper.servers.values();
  for (let index = 0; index < WORKERS; index++)
    keeper.workerJoined(1000 + index, hello(index), makeSpec({ workers: WORKERS }));
  keeper.serverPrepared(connection, 'test-1');
  const diverged = { shard: 0, server: 1, block: 2, version: 7 };
  call.emit('data', { run: 'test-1', diverged });
  t.is(kept.at(-1), 1);
});

test('whoever does not come back is gone, and whoever comes back to nothing is told', (t) => {
  const keeper = runningKeeper(makeSpec({ workers: WORKERS }));
  const next = new Coordinator();
  next.takeOver(restore(save(keeper.lasting)));
  const run = next.runs.get('test-1');
  t.regex(
    run ? next.waiting(run) : '',
    /^waits for server 0 .*, worker 2 \(w2\) to come back after the change of keeper$/,
  );
  next.serverBack(100, serverHello(0), { id: 0, runs: ['test-1'] });
  for (const index of [0, 1]) next.workerBack(index, hello(index), { run: 'test-1', view: 1, term: 1 });
  t.true(next.isRecovering);
  const told = next.giveUp('it did not come back');
  t.true(
    told.some(
      ({ order }) =>
        'ended' in order && /server 1 .* is gone .*: it did not come back/.test(String(order.ended?.reason)),
    ),
  );
  t.false(next.isRecovering);
  // It comes too late, and hears how it ended.
  const [late] = next.workerBack(2, hello(2), { run: 'test-1', view: 1 }) ?? [];
  t.like(late, { connection: 2, order: { ended: { failed: true } } });
  t.is(next.workerBack(3, hello(3)), undefined);
  const error = t.throws(() => next.serverBack(101, serverHello(1), { id: 1, runs: ['test-1'] }), {
    instanceOf: Refused,
  });
  t.is(error?.label, 'stale_view');
});
