// Views that change in thousands of random interleavings of a keeper, servers, workers and messages: at the boundary
// every server has every contribution of the steps before, every worker every block as it then stood; nothing is lost
// or applied twice, nobody is refused or waits for ever, and who acts under an old view is refused.
import test from 'ava';
import fc from 'fast-check';
import { Coordinator, type Order } from '../../server/coordinator.js';
import type { Effect } from '../../server/effects.js';
import { Shard } from '../../server/shard.js';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import { type KeyedRandom, keyedRandom } from '../../shared/random.js';
import type { View } from '../../shared/rpc/generated/gradloom/v1/View.js';
import { PROTOCOL_VERSION } from '../../shared/rpc/proto.js';
import { Refused } from '../../shared/rpc/refusal.js';
import { rulesToWire, specUnder } from '../../shared/run/rules.js';
import { isClocked, layoutOf, type RunSpec } from '../../shared/run/spec.js';
import { bulkOf, finiteHeader, makeSpec } from '../helpers/shards.js';

interface Change {
  consistency: RunSpec['consistency'];
  staleness?: number;
  /** Events after which it is asked for. */
  after: number;
}

const anyCase = fc.record({
  workers: fc.integer({ min: 1, max: 4 }),
  servers: fc.integer({ min: 1, max: 3 }),
  blocks: fc.integer({ min: 1, max: 4 }),
  steps: fc.integer({ min: 1, max: 12 }),
  start: fc.constantFrom<Change>(
    { consistency: 'bsp', after: 0 },
    { consistency: 'ssp', staleness: 1, after: 0 },
    { consistency: 'asp', after: 0 },
  ),
  changes: fc.array(
    fc.record({
      consistency: fc.constantFrom<RunSpec['consistency']>('bsp', 'ssp', 'asp'),
      bound: fc.integer({ min: 0, max: 3 }),
      after: fc.integer({ min: 0, max: 150 }),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  speeds: fc.array(fc.constantFrom(1, 0.3, 0.03), { minLength: 5, maxLength: 5 }),
  seed: fc.nat(),
});
type Case = typeof anyCase extends fc.Arbitrary<infer C> ? C : never;

interface Worker {
  rank: number;
  clock: number;
  rules: RunSpec;
  view: number;
  next: View | undefined;
  held: boolean;
  /** Blocks and verdicts that it waits for; of the step, or of the fetch at a boundary. */
  missing: Set<string>;
  phase: 'step' | 'boundary' | 'fetch';
}

interface Server {
  shard: Shard;
  blocks: number[];
  /** Ranks that fetch, with their step. */
  fetches: Map<number, number>;
  /** Blocks that wait for room in a stream, encoded as they then stand: rank, block and the step that they belong to. */
  queue: { rank: number; block: number; step: number | undefined }[];
}

const element = (spec: RunSpec) => layoutOf(spec).blocks[0].elements;

/** Runs a case until nothing is under way; what was wrong, in words, and how many changes came into force. */
function simulate(each: Case): { faults: string[]; changed: number; refused: number } {
  const { workers: count, steps, start, speeds } = each;
  const random: KeyedRandom = keyedRandom(each.seed, 'views');
  const spec = makeSpec({
    tensors: Array.from({ length: each.blocks }, (_, index) => ({
      name: `t${index}`,
      shape: [count],
      kind: 'trainable' as const,
    })),
    optimizer: optimizerSpec('sgd', 1),
    codec: 'fp32',
    consistency: start.consistency,
    ...(start.consistency === 'ssp' ? { staleness: start.staleness } : {}),
    workers: count,
    globalBatch: count,
    epochs: 1,
    stepsPerEpoch: steps,
  });
  const faults: string[] = [];
  const keeper = new Coordinator();
  const layout = layoutOf(spec);
  const hello = { protocolVersion: PROTOCOL_VERSION, run: 'r', label: '' };
  const SERVERS = 100;
  for (let server = 0; server < each.servers; server++)
    keeper.serverJoined(SERVERS + server, { ...hello, address: `s${server}`, memoryBytes: 2 ** 30 });
  const prepared: Order[] = [];
  for (let rank = 0; rank < count; rank++) prepared.push(...keeper.workerJoined(rank, hello, spec));
  for (let server = 0; server < each.servers; server++) keeper.serverPrepared(SERVERS + server, 'r');
  const view = keeper.running('r').view;
  const servers = Array.from({ length: each.servers }, (_, server): Server => {
    const blocks = layout.blocks.flatMap(({ index }) => (view.placement?.[index] === server ? [index] : []));
    const shard = new Shard(spec, layout, blocks);
    for (const block of blocks) shard.initial(0, bulkOf(0, block, 'fp32', new Float32Array(element(spec))));
    return { shard, blocks, fetches: new Map(), queue: [] };
  });
  const ranks = Array.from({ length: count }, (_, rank) => rank);
  const workers = ranks.map(
    (rank): Worker => ({
      ...{ rank, clock: 0, rules: spec, view: 1, next: undefined, held: false },
      ...{ missing: new Set(), phase: 'step' },
    }),
  );
  /** In order on each way: worker to server, keeper to anyone, anyone to keeper. */
  const ways = new Map<string, (() => void)[]>();
  const send = (way: string, deliver: () => void) => {
    const queue = ways.get(way);
    if (queue) queue.push(deliver);
    else ways.set(way, [deliver]);
  };
  let changed = 0;
  let refused = 0;

  const carryOut = (orders: Order[]) => {
    for (const order of orders) {
      if (order.to === 'caller') {
        if (order.order.refusal) refused++;
        continue;
      }
      send(`keeper>${order.connection}`, () => obey(order));
    }
  };
  const guarded = (who: string, act: () => void) => {
    try {
      act();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      faults.push(`${who} was refused: ${error.sentence}`);
    }
  };
  const obey = (order: Order) => {
    const { connection } = order;
    if (order.to === 'server') {
      const to = order.order.change;
      const server = servers[connection - SERVERS];
      if (!to?.view) return;
      const next = to.view as View & { number: number; fromStep: number };
      guarded(`server ${connection}`, () =>
        effectsOf(
          server,
          server.shard.change({ ...next, spec: specUnder(server.shard.spec, next as never) }),
        ),
      );
      send(`${connection}>keeper`, () => carryOut(keeper.serverTaken(connection, 'r', next.number)));
    } else if (order.to === 'worker') {
      const worker = workers[connection];
      const { hold, view: told } = order.order;
      if (hold) {
        worker.held = true;
        const step = worker.clock + 1;
        send(`${connection}>keeper`, () =>
          guarded('an answer', () =>
            carryOut(keeper.workerHeld(connection, { number: hold.number ?? 0, step })),
          ),
        );
      } else if (told) {
        if ((told.number ?? 0) > worker.view) worker.next = told;
        worker.held = false;
        advance(worker);
      }
    }
  };

  const begin = (worker: Worker) => {
    worker.phase = 'step';
    if (worker.clock === steps) return;
    const { rank, clock, view: number } = worker;
    // So that an update takes 1 from the worker's own element: under bsp it is a mean over all.
    const whole = isClocked(worker.rules) ? 1 : count;
    for (const [index, server] of servers.entries()) {
      worker.missing.add(`outcome ${index}`);
      for (const block of server.blocks) worker.missing.add(`block ${block}`);
      send(`${rank}>${SERVERS + index}`, () =>
        guarded(`the header of ${rank}`, () =>
          effectsOf(server, server.shard.header(rank, clock, { ...finiteHeader, samples: 1 }, number)),
        ),
      );
      for (const block of server.blocks) {
        const gradient = new Float32Array(element(spec)).map((_, i) => (i === rank ? whole : 0));
        send(`${rank}>${SERVERS + index}`, () =>
          guarded(`block ${block} of ${rank}`, () =>
            effectsOf(server, server.shard.contribution(rank, bulkOf(clock, block, 'fp32', gradient))),
          ),
        );
      }
    }
  };

  /** What a worker takes of a block: counts of every worker's updates must be those of its rules. */
  const read = (worker: Worker, server: Server, block: number, step: number) => {
    const { payload, clockMin } = server.shard.encode(block, 'fp32');
    const values = new Float32Array(payload.slice().buffer);
    const clocked = isClocked(worker.rules);
    const least =
      clocked && worker.phase === 'step' ? step - (worker.rules.staleness ?? Number.POSITIVE_INFINITY) : step;
    if (clockMin < least) faults.push(`worker ${worker.rank} entered ${step} with clock ${clockMin}`);
    if (worker.rules.consistency === 'asp' && worker.phase === 'step') return;
    for (const [rank, value] of values.entries()) {
      const done = Math.round(-value);
      if (done < least) faults.push(`worker ${worker.rank} entered ${step} with ${done} updates of ${rank}`);
    }
  };

  const effectsOf = (server: Server, effects: Effect[]) => {
    const index = servers.indexOf(server);
    const toAll = (effect: () => void) => effect();
    for (const effect of effects)
      toAll(() => {
        switch (effect.kind) {
          case 'updated':
            for (const rank of ranks) server.queue.push({ rank, block: effect.block, step: undefined });
            break;
          case 'answer':
            server.queue.push({ rank: effect.worker, block: effect.block, step: effect.step });
            break;
          case 'outcome':
            for (const rank of effect.worker === undefined ? ranks : [effect.worker])
              send(`${SERVERS + index}>${rank}`, () => got(workers[rank], `outcome ${index}`));
            break;
          case 'duplicate':
            faults.push('a contribution was there before');
            break;
          case 'view':
            changed++;
            break;
        }
      });
    for (const [rank, step] of [...server.fetches])
      if (server.shard.step >= step) {
        server.fetches.delete(rank);
        for (const block of server.blocks)
          send(`${SERVERS + index}>${rank}`, () => {
            read(workers[rank], server, block, step);
            got(workers[rank], `fetched ${block}`);
          });
      }
  };

  const got = (worker: Worker, what: string) => {
    if (!worker.missing.delete(what))
      faults.push(`worker ${worker.rank} got ${what} that it did not wait for`);
    if (worker.missing.size > 0) return;
    if (worker.phase === 'fetch') return enter(worker);
    worker.clock++;
    worker.phase = 'boundary';
    advance(worker);
  };

  const enter = (worker: Worker) => {
    const next = worker.next as View;
    worker.rules = specUnder(worker.rules, next as never);
    worker.view = next.number ?? 0;
    worker.next = undefined;
    send(`${worker.rank}>keeper`, () => keeper.workerEntered(worker.rank, worker.view));
    begin(worker);
  };

  /** At the end of a step: as an exchange does. */
  const advance = (worker: Worker) => {
    if (worker.phase !== 'boundary' || worker.held) return;
    if (worker.next?.fromStep !== worker.clock) return begin(worker);
    if (!isClocked(worker.rules)) return enter(worker);
    worker.phase = 'fetch';
    for (const [index, server] of servers.entries()) {
      for (const block of server.blocks) worker.missing.add(`fetched ${block}`);
      send(`${worker.rank}>${SERVERS + index}`, () => {
        server.fetches.set(worker.rank, worker.clock);
        effectsOf(server, []);
      });
    }
  };

  for (const worker of workers) begin(worker);
  const changes = [...each.changes].sort((a, b) => a.after - b.after);
  for (let event = 0; ; event++) {
    while (changes.length > 0 && changes[0].after <= event) {
      const { consistency, bound } = changes.shift() as (typeof changes)[number];
      const rules = rulesToWire({ consistency, ...(consistency === 'ssp' ? { staleness: bound } : {}) });
      try {
        carryOut(keeper.changeRequested(1000 + event, { run: 'r', ...rules }));
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        refused++;
      }
    }
    const ready: { weight: number; act: () => void }[] = [];
    for (const [way, queue] of ways)
      if (queue.length > 0) {
        const weight = speeds[Number(way.split('>')[0]) % 5] || 1;
        ready.push({ weight, act: () => (queue.shift() as () => void)() });
      }
    for (const [index, server] of servers.entries())
      if (server.queue.length > 0)
        ready.push({
          weight: 1,
          act: () => {
            const at = random.below(server.queue.length);
            const first = server.queue.findIndex(({ rank }) => rank === server.queue[at].rank);
            const [{ rank, block, step }] = server.queue.splice(first, 1);
            read(workers[rank], server, block, step ?? workers[rank].clock + 1);
            send(`${SERVERS + index}>${rank}`, () => got(workers[rank], `block ${block}`));
          },
        });
    if (ready.length === 0) break;
    let left = random.float() * ready.reduce((sum, { weight }) => sum + weight, 0);
    const chosen = ready.find(({ weight }) => {
      left -= weight;
      return left < 0;
    });
    (chosen ?? ready[ready.length - 1]).act();
  }
  for (const { rank, clock } of workers)
    if (clock !== steps) faults.push(`worker ${rank} stands at ${clock}`);
  for (const { shard, blocks } of servers)
    for (const block of blocks) {
      const values = new Float32Array(shard.encode(block, 'fp32').payload.slice().buffer);
      for (const value of values)
        if (Math.round(-value * 1000) !== steps * 1000) faults.push(`block ${block} ends with ${values}`);
    }
  return { faults, changed, refused };
}

test('whatever the order of messages, a view changes between two steps and nothing is lost', (t) => {
  let changed = 0;
  let refused = 0;
  fc.assert(
    fc.property(anyCase, (each) => {
      const report = simulate(each);
      changed += report.changed;
      refused += report.refused;
      t.deepEqual(report.faults, []);
    }),
    { seed: 20, numRuns: 1000 },
  );
  t.true(changed > 500, `${changed} changes`);
  t.true(refused > 50, `${refused} refused`);
});

test('a step under an old view, and a view under way, are refused: who was left behind changes nothing', (t) => {
  const spec = makeSpec({ workers: 1 });
  const shard = new Shard(
    spec,
    layoutOf(spec),
    layoutOf(spec).blocks.map(({ index }) => index),
  );
  for (const { index, elements } of layoutOf(spec).blocks)
    shard.initial(0, bulkOf(0, index, 'fp32', new Float32Array(elements)));
  t.deepEqual(shard.change({ number: 2, fromStep: 0, spec: { ...spec, consistency: 'asp' } }), [
    { kind: 'view', number: 2 },
  ]);
  const stale = (act: () => unknown, label = 'stale_view') =>
    t.is(t.throws(act, { instanceOf: Refused })?.label, label);
  stale(() => shard.header(0, 0, finiteHeader, 1));
  stale(() => shard.header(0, 0, finiteHeader, 3));
  stale(() => shard.change({ number: 2, fromStep: 3, spec }));
  shard.change({ number: 3, fromStep: 3, spec });
  stale(() => shard.change({ number: 4, fromStep: 3, spec }), 'not_now');
  // Up to its step the old one holds.
  stale(() => shard.header(0, 0, finiteHeader, 3));
  t.notThrows(() => shard.header(0, 0, finiteHeader, 2));
});
