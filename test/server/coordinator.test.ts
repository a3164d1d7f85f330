// The keeper's pure core: joining, starting, refusing, evaluating, and what the death of each participant in each
// state means.
import test, { type ExecutionContext } from 'ava';
import { Coordinator, type Order } from '../../server/coordinator.js';
import { shareBytes } from '../../server/memory-budget.js';
import { blockBytes, shardBytes } from '../../server/shard-memory.js';
import { layoutBlocks } from '../../shared/blocks/blocks.js';
import { place } from '../../shared/blocks/placement.js';
import { SERVERS_MAX, SHARD_MEMORY_MAX_BYTES } from '../../shared/limits.js';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import { PROTOCOL_VERSION } from '../../shared/rpc/proto.js';
import { Refused } from '../../shared/rpc/refusal.js';
import { layoutOf, type RunSpec } from '../../shared/run/spec.js';
import { makeSpec } from '../helpers/shards.js';

const GiB = 1024 ** 3;
const MiB = 1024 ** 2;

/** Connections of servers are 100, 101, …; of workers 0, 1, …. */
const serverJoins = (keeper: Coordinator, index: number, changes: object = {}) =>
  keeper.serverJoined(100 + index, {
    protocolVersion: PROTOCOL_VERSION,
    address: `10.0.0.${index}:7000`,
    memoryBytes: GiB,
    label: `host-${index}:1`,
    ...changes,
  });

const workerJoins = (
  keeper: Coordinator,
  connection: number,
  spec: RunSpec,
  run = '',
  changes: object = {},
) =>
  keeper.workerJoined(
    connection,
    { protocolVersion: PROTOCOL_VERSION, run, label: `worker-${connection}`, ...changes },
    spec,
  );

/** `worker 1 start`, `server 100 prepare`, …: who is told what. */
const told = (orders: Order[]) =>
  orders.map(({ to, connection, order }) => `${to} ${connection} ${Object.keys(order)[0]}`);

const reasons = (orders: Order[]) =>
  orders.map(({ order }) => ('ended' in order && order.ended ? order.ended.reason : '') || '');

function refused(t: ExecutionContext, label: string, sentence: RegExp, act: () => unknown): void {
  const error = t.throws(act, { instanceOf: Refused });
  t.is(error?.label, label);
  t.regex(error?.sentence ?? '', sentence);
}

/** A keeper with two servers and a run of two workers in a state. */
function keeperIn(state: 'gathering' | 'preparing' | 'running', spec = makeSpec()): Coordinator {
  const keeper = new Coordinator();
  serverJoins(keeper, 0);
  serverJoins(keeper, 1);
  workerJoins(keeper, 0, spec);
  if (state === 'gathering') return keeper;
  workerJoins(keeper, 1, spec);
  if (state === 'preparing') return keeper;
  keeper.serverPrepared(100, 'test-1');
  keeper.serverPrepared(101, 'test-1');
  keeper.workerProgress(0, { step: 7, phase: 'exchange', secondsInPhase: 0.5 });
  keeper.workerProgress(1, { step: 6, phase: 'exchange', secondsInPhase: 2 });
  return keeper;
}

test('a run starts when its workers and a server are there and every shard is prepared', (t) => {
  const keeper = new Coordinator();
  const spec = makeSpec();
  t.deepEqual(told(serverJoins(keeper, 0)), ['server 100 welcome']);
  t.deepEqual(told(workerJoins(keeper, 0, spec)), ['worker 0 welcome']);
  t.deepEqual(told(serverJoins(keeper, 1)), ['server 101 welcome', 'worker 0 welcome']);
  t.deepEqual(told(workerJoins(keeper, 1, spec)), [
    'worker 0 welcome',
    'worker 1 welcome',
    'server 100 prepare',
    'server 101 prepare',
  ]);
  t.deepEqual(told(keeper.serverPrepared(101, 'test-1')), []);
  t.deepEqual(told(keeper.serverPrepared(101, 'test-1')), []);
  t.deepEqual(told(keeper.serverPrepared(100, 'test-1')), ['worker 0 start', 'worker 1 start']);
});

test('workers that come before the first server wait for it', (t) => {
  const keeper = new Coordinator();
  workerJoins(keeper, 0, makeSpec());
  workerJoins(keeper, 1, makeSpec());
  t.is(keeper.waiting([...keeper.runs.values()][0]), 'waits for a server');
  t.true(told(serverJoins(keeper, 0)).includes('server 100 prepare'));
});

test('the view holds the servers, the workers by rank, and a placement of every block', (t) => {
  const run = keeperIn('running').runs.get('test-1');
  t.like(run?.view, { number: 1, fromStep: 0, workers: [{ rank: 0 }, { rank: 1 }] });
  t.deepEqual(
    run?.view?.servers?.map(({ id, address }) => [id, address]),
    [
      [0, '10.0.0.0:7000'],
      [1, '10.0.0.1:7000'],
    ],
  );
  const spec = makeSpec();
  t.deepEqual(
    run?.view?.placement,
    place({
      sizes: layoutOf(spec).blocks.map((block) => blockBytes(block, spec.optimizer, spec.codec)),
      servers: [
        { id: 0, weight: 1 },
        { id: 1, weight: 1 },
      ],
    }),
  );
});

test('a server that is not of the run neither prepares nor refuses it', (t) => {
  const keeper = keeperIn('preparing');
  serverJoins(keeper, 2);
  t.deepEqual(keeper.serverPrepared(100, 'test-1'), []);
  t.deepEqual(keeper.serverPrepared(102, 'test-1'), []);
  t.deepEqual(keeper.serverRefused(102, 'test-1', 'no'), []);
  t.is(keeper.runs.get('test-1')?.state, 'preparing');
});

test('ranks are given in the order of joining, and closed up when one leaves before the start', (t) => {
  const keeper = new Coordinator();
  serverJoins(keeper, 0);
  const spec = makeSpec({ workers: 4 });
  for (const connection of [5, 3, 9]) workerJoins(keeper, connection, spec);
  const orders = keeper.workerLeft(3, 'it left');
  t.deepEqual(
    orders.map(({ connection, order }) => ['welcome' in order && order.welcome, connection]),
    [5, 9].map((connection, rank) => [
      { run: 'test-1', rank, workersJoined: 2, workersExpected: 4, servers: 1 },
      connection,
    ]),
  );
});

test('a run that everybody leaves before its start is gone', (t) => {
  const keeper = keeperIn('gathering');
  t.deepEqual(keeper.workerLeft(0, 'it left'), []);
  t.is(keeper.runs.size, 0);
});

test('another protocol version is refused, of servers and of workers', (t) => {
  const keeper = new Coordinator();
  const wrong = { protocolVersion: PROTOCOL_VERSION + 1 };
  const sentence = /expected protocol version 1, got 2/;
  refused(t, 'protocol_version', sentence, () => serverJoins(keeper, 0, wrong));
  refused(t, 'protocol_version', sentence, () => workerJoins(keeper, 0, makeSpec(), '', wrong));
  t.is(keeper.servers.size + keeper.runs.size, 0);
});

test('a second server at the same address is refused with the label of the first', (t) => {
  const keeper = new Coordinator();
  serverJoins(keeper, 0);
  refused(t, 'run_spec', /10\.0\.0\.0:7000 is in the mesh already \(host-0:1\)/, () =>
    serverJoins(keeper, 1, { address: '10.0.0.0:7000' }),
  );
  keeper.serverLeft(100, 'it left');
  t.notThrows(() => serverJoins(keeper, 1, { address: '10.0.0.0:7000' }));
});

test('a mesh takes only so many servers', (t) => {
  const keeper = new Coordinator();
  for (let index = 0; index < SERVERS_MAX; index++) serverJoins(keeper, index);
  refused(t, 'full', /at most 1024 servers/, () => serverJoins(keeper, SERVERS_MAX));
});

const tensors = makeSpec().tensors;
const differences: [title: string, label: string, sentence: RegExp, changes: Partial<RunSpec>][] = [
  [
    'a tensor of another shape',
    'schema',
    /tensor 1 to be trainable 'dense\/bias' of shape \[11\], got trainable 'dense\/bias' of shape \[12\]/,
    {
      tensors: tensors.map((tensor) => (tensor.name === 'dense/bias' ? { ...tensor, shape: [12] } : tensor)),
    },
  ],
  [
    'a tensor of another kind',
    'schema',
    /got frozen 'dense\/bias'/,
    {
      tensors: tensors.map((tensor) =>
        tensor.name === 'dense/bias' ? { ...tensor, kind: 'frozen' as const } : tensor,
      ),
    },
  ],
  ['a missing tensor', 'schema', /missing one is 'scale'/, { tensors: tensors.slice(0, -1) }],
  [
    'an extra tensor',
    'schema',
    /extra one is 'more'/,
    { tensors: [...tensors, { name: 'more', shape: [1], kind: 'trainable' }] },
  ],
  [
    'another optimizer',
    'run_spec',
    /the run's optimizer is .*adam.*, got .*sgd/,
    { optimizer: optimizerSpec('sgd', 0.1) },
  ],
  ['another learning rate', 'run_spec', /optimizer/, { optimizer: optimizerSpec('adam', 0.1) }],
  ['another codec', 'run_spec', /the run's codec is fp16, got fp32/, { codec: 'fp32' }],
  ['another number of workers', 'run_spec', /the run's workers is 2, got 3/, { workers: 3 }],
  ['another batch', 'run_spec', /the run's batch is 64, got 32/, { globalBatch: 32 }],
  ['other epochs', 'run_spec', /the run's epochs is 1, got 2/, { epochs: 2 }],
  ['other steps per epoch', 'run_spec', /the run's steps per epoch is 10, got 9/, { stepsPerEpoch: 9 }],
  ['another seed', 'run_spec', /the run's seed is 1, got 0/, { seed: 0 }],
  ['other data', 'run_spec', /the run's data fingerprint is none, got b/, { dataFingerprint: 'b' }],
];

for (const [title, label, sentence, changes] of differences)
  test(`a worker with ${title} is refused, told which, and the run goes on gathering`, (t) => {
    const keeper = keeperIn('gathering');
    refused(t, label, sentence, () => workerJoins(keeper, 1, makeSpec(changes)));
    t.deepEqual(keeper.workerLeft(1, 'it left'), []);
    t.true(told(workerJoins(keeper, 2, makeSpec())).includes('server 100 prepare'));
  });

for (const name of ['a\nb', '\u001b[2J', 'x'.repeat(257)])
  test(`a run named ${JSON.stringify(name.slice(0, 20))} is refused`, (t) => {
    const keeper = new Coordinator();
    serverJoins(keeper, 0);
    refused(t, 'malformed', /expected a run name/, () => workerJoins(keeper, 0, makeSpec(), name));
    t.is(keeper.runs.size, 0);
  });

test('a worker beyond the last is refused from its run, and opens one of its own without a name', (t) => {
  const keeper = keeperIn('running');
  refused(t, 'full', /run 'test-1' has its 2 workers/, () => workerJoins(keeper, 2, makeSpec(), 'test-1'));
  workerJoins(keeper, 2, makeSpec());
  t.deepEqual([...keeper.runs.keys()], ['test-1', 'test-2']);
});

for (const servers of [1, 2, 3])
  test(`a model too large for ${servers} servers is refused with the number that is enough`, (t) => {
    const spec = makeSpec({ tensors: [{ name: 'w', shape: [9_000_001], kind: 'trainable' }] });
    const memoryBytes = 30 * MiB;
    const join = (count: number) => {
      const keeper = new Coordinator();
      for (let index = 0; index < count; index++) serverJoins(keeper, index, { memoryBytes });
      return workerJoins(keeper, 0, spec);
    };
    const error = t.throws(() => join(servers), { instanceOf: Refused });
    t.is(error?.label, 'memory');
    const needed = Number(/start (\d+) servers/.exec(error?.sentence ?? '')?.[1]);
    t.throws(() => join(needed - 1), { instanceOf: Refused });
    t.notThrows(() => join(needed));
    // And that number does not only pass the check: each of its shards fits.
    const { blocks } = layoutBlocks(spec.tensors);
    const placement = place({
      sizes: blocks.map((block) => blockBytes(block, spec.optimizer, spec.codec)),
      servers: Array.from({ length: needed }, (_, id) => ({ id, weight: 1 })),
    });
    for (let index = 0; index < needed; index++)
      t.true(
        shardBytes(
          blocks.filter((_, block) => placement[block] === index),
          spec.optimizer,
          spec.codec,
        ) <= memoryBytes,
      );
  });

test('servers that are too small for a single block are told so', (t) => {
  const keeper = new Coordinator();
  serverJoins(keeper, 0, { memoryBytes: 3 * MiB });
  const spec = makeSpec({ tensors: [{ name: 'w', shape: [900_000], kind: 'trainable' }] });
  refused(t, 'memory', /give each server more --memory/, () => workerJoins(keeper, 0, spec));
});

test('no server is counted with more memory than a shard can address', (t) => {
  const keeper = new Coordinator();
  serverJoins(keeper, 0, { memoryBytes: 64 * GiB });
  const spec = makeSpec({ tensors: [{ name: 'w', shape: [300_000_000], kind: 'trainable' }] });
  t.true(300_000_000 * 16 > SHARD_MEMORY_MAX_BYTES);
  refused(t, 'memory', /start 2 servers/, () => workerJoins(keeper, 0, spec));
});

test('the shards of other runs are counted', (t) => {
  const keeper = new Coordinator();
  serverJoins(keeper, 0, { memoryBytes: 100 * MiB });
  const spec = (job: string) =>
    makeSpec({ job, workers: 1, tensors: [{ name: 'w', shape: [4_000_000], kind: 'trainable' }] });
  workerJoins(keeper, 0, spec('first'));
  refused(t, 'memory', /start \d+ servers|other runs/, () => workerJoins(keeper, 1, spec('second')));
  keeper.workerLeft(0, 'it left');
  t.notThrows(() => workerJoins(keeper, 2, spec('second')));
});

test('a model that no longer fits when the run is complete ends it with the reason', (t) => {
  const keeper = new Coordinator();
  workerJoins(keeper, 0, makeSpec({ workers: 1 }));
  const orders = serverJoins(keeper, 0, { memoryBytes: MiB });
  t.deepEqual(told(orders), ['server 100 welcome', 'worker 0 welcome', 'worker 0 ended']);
  t.regex(reasons(orders)[2], /the model needs 1 MiB on the servers/);
});

test('a model of too many blocks is refused before any server is there', (t) => {
  const keeper = new Coordinator();
  refused(t, 'schema', /at most 65536 blocks/, () =>
    workerJoins(keeper, 0, makeSpec({ tensors: [{ name: 'w', shape: [2 ** 35], kind: 'trainable' }] })),
  );
  t.is(keeper.runs.size, 0);
});

test('the mesh takes only so many runs at a time', (t) => {
  const keeper = new Coordinator();
  let opened = 0;
  const error = t.throws(
    () => {
      for (; opened < 100_000; opened++) workerJoins(keeper, opened, makeSpec({ job: `job${opened}` }));
    },
    { instanceOf: Refused },
  );
  t.is(error?.label, 'full');
  t.is(keeper.runs.size, opened);
});

for (const state of ['preparing', 'running'] as const) {
  test(`a worker that dies while the run is ${state} ends it for everybody, with its name and step`, (t) => {
    const keeper = keeperIn(state);
    const orders = keeper.workerLeft(1, 'its connection broke');
    t.deepEqual(told(orders), ['worker 0 ended', 'worker 1 ended', 'server 100 end', 'server 101 end']);
    t.is(
      reasons(orders)[0],
      state === 'running'
        ? 'worker 1 (worker-1) is gone at step 6: its connection broke; worker 1 was in exchange for 2.0 s; how long a step usually takes is not known yet'
        : 'worker 1 (worker-1) is gone at step 0: its connection broke',
    );
    t.is(keeper.runs.size, 0);
    t.deepEqual(keeper.workerLeft(0, 'it left'), []);
  });
}

test('the last copy of a shard gone: who waited, in which phase, since when, compared with what is usual', (t) => {
  const keeper = keeperIn('running');
  keeper.workerProgress(0, { step: 7, phase: 'exchange', secondsInPhase: 3.14, stepSeconds: 0.2 });
  keeper.workerProgress(1, { step: 7, phase: 'compute', secondsInPhase: 0.5, stepSeconds: 0.4 });
  t.regex(
    reasons(keeper.serverLeft(101, 'its connection broke'))[0],
    /its connection broke; shard 1 had no other copy; worker 0 was in exchange for 3\.1 s, worker 1 was in compute for 0\.5 s; a step usually takes 300 ms, so the run cannot go on$/,
  );
});

test('a phase that is too long, and a time in it that cannot be, are refused', (t) => {
  const keeper = keeperIn('running');
  const told = { step: 7, phase: 'compute', secondsInPhase: 1 };
  for (const wrong of [{ phase: 'x'.repeat(257) }, { secondsInPhase: Number.NaN }, { secondsInPhase: -1 }])
    refused(t, 'malformed', /expected a phase of at most 256 characters/, () =>
      keeper.workerProgress(0, { ...told, ...wrong }),
    );
});

test('a server that dies with the only copy of a shard ends the run for everybody, with its name and step', (t) => {
  const keeper = keeperIn('running');
  const orders = keeper.serverLeft(101, 'its connection broke');
  t.deepEqual(told(orders), ['worker 0 ended', 'worker 1 ended', 'server 100 end', 'server 101 end']);
  t.regex(reasons(orders)[0], /^server 1 \(10\.0\.0\.1:7000, host-1:1\) is gone at step 6/);
  t.is(keeper.runs.size, 0);
});

for (const replicas of [1, 2])
  test(`replicas ${replicas}: a server that dies while a run is prepared: the others make the shards anew`, (t) => {
    const keeper = keeperIn('preparing', makeSpec({ replicas }));
    keeper.serverPrepared(100, 'test-1');
    const orders = keeper.serverLeft(101, 'its connection broke');
    t.deepEqual(told(orders), ['server 100 end', 'server 100 prepare']);
    t.deepEqual(
      orders.map(({ order }) => ('end' in order ? order.end?.reason : undefined)),
      ['it is placed anew: server 1 (10.0.0.1:7000) is gone: its connection broke', undefined],
    );
    t.like(keeper.runs.get('test-1')?.view, {
      number: 1,
      term: 2,
      servers: [{ id: 0 }],
      shards: [{ primary: 0, backups: [], joining: [] }],
    });
    t.is(keeper.waiting([...keeper.runs.values()][0]), 'waits for the shards of 10.0.0.0:7000');
    // What was prepared before, and said only now.
    t.deepEqual(keeper.serverPrepared(100, 'test-1', 1), []);
    t.deepEqual(
      told(keeper.serverPrepared(100, 'test-1', 2)).filter((each) => each.startsWith('worker')),
      ['worker 0 start', 'worker 1 start'],
    );
  });

test('a server that dies while copies are made before the start: all is made anew, also with fewer copies than asked for', (t) => {
  const keeper = keeperIn('preparing', makeSpec({ replicas: 2 }));
  keeper.serverPrepared(100, 'test-1');
  t.deepEqual(told(keeper.serverPrepared(101, 'test-1')), ['server 100 place', 'server 101 place']);
  keeper.shardReplicated(100, 'test-1', { shard: 0, server: 1 });
  t.deepEqual(told(keeper.serverLeft(101, 'it was killed')), ['server 100 end', 'server 100 prepare']);
  const term = keeper.runs.get('test-1')?.view?.term;
  t.true(told(keeper.serverPrepared(100, 'test-1', term)).includes('worker 0 start'));
  // As soon as there is another server it gets the copy.
  const joined = serverJoins(keeper, 2);
  t.deepEqual(told(joined).slice(0, 3), ['server 102 welcome', 'server 100 place', 'server 102 place']);
  t.like(keeper.runs.get('test-1')?.view?.shards, [{ primary: 0, joining: [2] }]);
});

test('a copy that cannot be made does not hold a run: it starts without, and the copy is made while it trains', (t) => {
  const keeper = keeperIn('preparing', makeSpec({ replicas: 2 }));
  keeper.serverPrepared(100, 'test-1');
  keeper.serverPrepared(101, 'test-1');
  const run = [...keeper.runs.values()][0];
  // Only a shard's primary can say so, and only of its copies.
  t.deepEqual(keeper.backupLost(101, 'test-1', { shard: 0, server: 1 }), []);
  t.deepEqual(keeper.backupLost(100, 'test-1', { shard: 0, server: 0 }), []);
  // The other copy is still waited for.
  const lost = keeper.backupLost(100, 'test-1', { shard: 0, server: 1 });
  t.deepEqual(told(lost), ['server 100 place', 'server 101 place']);
  t.is(run.state, 'preparing');
  t.is(keeper.waiting(run), 'waits for copies: that of shard 1 on server 0');
  t.deepEqual(run.view?.shards[0], { primary: 0, backups: [], joining: [] });
  const copied = keeper.shardReplicated(101, 'test-1', { shard: 1, server: 0 });
  t.deepEqual(told(copied), ['server 100 place', 'server 101 place', 'worker 0 start', 'worker 1 start']);
  const shards = [
    { primary: 0, backups: [], joining: [1] },
    { primary: 1, backups: [0], joining: [] },
  ];
  const [start] = copied.flatMap(({ order }) => ('start' in order && order.start ? [order.start] : []));
  t.deepEqual(start.view?.shards, shards);
  const made = keeper.shardReplicated(100, 'test-1', { shard: 0, server: 1 });
  t.deepEqual(told(made).slice(2), ['worker 0 placed', 'worker 1 placed']);
  t.deepEqual(run.view?.shards[0], { primary: 0, backups: [1], joining: [] });
});

test('a run of which no copy can be made starts when the last is given up', (t) => {
  const keeper = keeperIn('preparing', makeSpec({ replicas: 2 }));
  keeper.serverPrepared(100, 'test-1');
  keeper.serverPrepared(101, 'test-1');
  keeper.backupLost(100, 'test-1', { shard: 0, server: 1 });
  const orders = keeper.backupLost(101, 'test-1', { shard: 1, server: 0 });
  t.deepEqual(told(orders), ['server 100 place', 'server 101 place', 'worker 0 start', 'worker 1 start']);
  t.like(keeper.runs.get('test-1')?.view?.shards, [{ joining: [1] }, { joining: [0] }]);
  // While it trains nobody waits for it, however often it is given up.
  t.deepEqual(told(keeper.backupLost(101, 'test-1', { shard: 1, server: 0 })), [
    ...['server 100 place', 'server 101 place', 'worker 0 placed', 'worker 1 placed'],
  ]);
});

test('servers that die one after another while a run is prepared: it waits for one', (t) => {
  const keeper = keeperIn('preparing');
  keeper.serverLeft(101, 'it was killed');
  t.deepEqual(told(keeper.serverLeft(100, 'it was killed')), ['worker 0 welcome', 'worker 1 welcome']);
  t.is(keeper.waiting([...keeper.runs.values()][0]), 'waits for a server');
  t.true(told(serverJoins(keeper, 2)).includes('server 102 prepare'));
});

test('only a server that is being emptied is left for a run that was being prepared: it waits for another', (t) => {
  const keeper = keeperIn('running', makeSpec({ replicas: 2 }));
  for (const [connection, shard, server] of [
    [100, 0, 1],
    [101, 1, 0],
  ])
    keeper.shardReplicated(connection, 'test-1', { shard, server });
  // What is decided keeps the one that is emptied from letting go.
  keeper.changeRequested(7, { run: 'test-1', consistency: 2, staleness: 3 });
  for (const rank of [0, 1]) keeper.workerHeld(rank, { number: 2, step: 7 });
  keeper.drain(1, 8);
  for (const worker of [2, 3]) workerJoins(keeper, worker, makeSpec());
  const run = keeper.runs.get('test-2');
  t.like(run?.view?.servers, [{ id: 0 }]);
  t.is(run?.view?.servers?.length, 1);
  keeper.serverLeft(100, 'it was killed');
  t.is(run && keeper.waiting(run), 'waits for a server');
  t.true(told(serverJoins(keeper, 2)).includes('server 102 prepare'));
  t.like(run?.view?.servers, [{ id: 2 }]);
});

test('what is left is too small for a run that was being prepared: it ends, with how much is missing', (t) => {
  const keeper = new Coordinator();
  const spec = makeSpec();
  const memoryBytes = Math.ceil(shareBytes(spec, 2));
  for (const index of [0, 1]) serverJoins(keeper, index, { memoryBytes });
  workerJoins(keeper, 0, spec);
  workerJoins(keeper, 1, spec);
  const orders = keeper.serverLeft(101, 'it was killed');
  t.deepEqual(told(orders), ['server 100 end', 'worker 0 ended', 'worker 1 ended']);
  t.regex(reasons(orders)[1], /server/);
  t.is(keeper.runs.size, 0);
});

test('a server that dies while workers gather is left out of the run, and they are told', (t) => {
  const keeper = keeperIn('gathering');
  const orders = keeper.serverLeft(100, 'its connection broke');
  t.deepEqual(told(orders), ['worker 0 welcome']);
  workerJoins(keeper, 1, makeSpec());
  t.deepEqual(
    keeper.runs.get('test-1')?.view?.servers?.map(({ id }) => id),
    [1],
  );
});

test('a server that is not of a running run may leave', (t) => {
  const keeper = keeperIn('running');
  serverJoins(keeper, 2);
  t.deepEqual(keeper.serverLeft(102, 'it left'), []);
  t.is(keeper.runs.get('test-1')?.state, 'running');
});

test("an id of a server is never used again, nor is a departed one's leave told twice", (t) => {
  const keeper = new Coordinator();
  serverJoins(keeper, 0);
  keeper.serverLeft(100, 'it left');
  t.deepEqual(keeper.serverLeft(100, 'it left'), []);
  t.like(serverJoins(keeper, 0)[0], { order: { welcome: { id: 1 } } });
});

test('a shard that cannot be prepared ends the run with the sentence of its server', (t) => {
  const orders = keeperIn('preparing').serverRefused(101, 'test-1', 'no memory is left');
  t.is(reasons(orders)[1], 'server 1 (10.0.0.1:7000) could not prepare its shard: no memory is left');
});

test('an evaluation is added in the order of ranks, whatever the order in which the shares come', (t) => {
  const keeper = keeperIn('running');
  const shares = [
    { records: 3, lossSum: 0.1, correct: 2 },
    { records: 5, lossSum: 0.7, correct: 1 },
  ];
  const expected = { step: 7, records: 8, loss: (0.1 + 0.7) / 8, accuracy: 3 / 8 };
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    t.deepEqual(keeper.evaluationPart(order[0], 7, shares[order[0]]), []);
    const orders = keeper.evaluationPart(order[1], 7, shares[order[1]]);
    t.deepEqual(orders, [
      { to: 'worker', connection: 0, order: { evaluation: expected } },
      { to: 'worker', connection: 1, order: { evaluation: expected } },
    ]);
  }
});

test('shares of two different steps are refused, with both named', (t) => {
  const keeper = keeperIn('running');
  const share = { records: 1, lossSum: 1, correct: 1 };
  keeper.evaluationPart(0, 7, share);
  refused(t, 'step', /worker 1: expected its share of the evaluation at step 7, got step 8/, () =>
    keeper.evaluationPart(1, 8, share),
  );
});

test('an evaluation over no record at all is refused, not answered with NaN', (t) => {
  const keeper = keeperIn('running');
  const none = { records: 0, lossSum: 0, correct: 0 };
  keeper.evaluationPart(0, 7, none);
  refused(t, 'malformed', /at least one record/, () => keeper.evaluationPart(1, 7, none));
});

for (const state of ['gathering', 'preparing'] as const)
  test(`an evaluation while the run is ${state} is refused`, (t) => {
    refused(t, 'not_now', /running run/, () =>
      keeperIn(state).evaluationPart(0, 7, { records: 1, lossSum: 1, correct: 1 }),
    );
  });

test('a run ends when every worker is done, with the sums of what they moved, and the next has the same servers', (t) => {
  const keeper = keeperIn('running');
  // Who goes on is told after how many steps the other has ended.
  t.deepEqual(keeper.workerDone(0, { bytesPushed: 3, bytesPulled: 5, steps: 8 }), [
    { to: 'worker', connection: 1, order: { done: { rank: 0, steps: 8 } } },
  ]);
  t.deepEqual(keeper.workerLeft(0, 'it left'), []);
  const orders = keeper.workerDone(1, { bytesPushed: 30, bytesPulled: 50, steps: 8 });
  t.deepEqual(told(orders), ['worker 0 ended', 'worker 1 ended', 'server 100 end', 'server 101 end']);
  t.like(orders[0], { order: { ended: { failed: false, bytesPushed: 33, bytesPulled: 55 } } });
  t.deepEqual(keeper.workerLeft(1, 'it left'), []);
  workerJoins(keeper, 2, makeSpec());
  const next = workerJoins(keeper, 3, makeSpec());
  t.deepEqual(told(next).slice(2), ['server 100 prepare', 'server 101 prepare']);
  keeper.serverPrepared(100, 'test-2');
  t.deepEqual(told(keeper.serverPrepared(101, 'test-2')), ['worker 2 start', 'worker 3 start']);
});

test('two runs of different jobs are held side by side and end apart', (t) => {
  const keeper = keeperIn('running');
  for (const connection of [2, 3]) workerJoins(keeper, connection, makeSpec({ job: 'other' }));
  t.deepEqual([...keeper.runs.keys()], ['test-1', 'other-2']);
  t.deepEqual(told(keeper.workerLeft(2, 'it left')).slice(0, 2), ['worker 2 ended', 'worker 3 ended']);
  t.deepEqual([...keeper.runs.keys()], ['test-1']);
});

test('whoever holds a run up is named', (t) => {
  const text = (keeper: Coordinator) => keeper.waiting([...keeper.runs.values()][0]);
  t.is(text(keeperIn('gathering')), 'waits for 1 more of 2 workers');
  t.is(text(keeperIn('preparing')), 'waits for the shards of 10.0.0.0:7000, 10.0.0.1:7000');
  const running = 'waits at step 6 for worker 1 (worker-1), in exchange for 2.0 s';
  t.is(text(keeperIn('running')), running);
  // Under ssp nobody waits within the bound, under asp only at an evaluation.
  const ssp = (staleness: number) => makeSpec({ consistency: 'ssp', staleness });
  t.is(text(keeperIn('running', ssp(1))), running);
  t.is(text(keeperIn('running', ssp(2))), '');
  const asp = keeperIn('running', makeSpec({ consistency: 'asp' }));
  t.is(text(asp), '');
  asp.workerProgress(0, { step: 90, phase: 'evaluate', secondsInPhase: 1 });
  t.is(text(asp), running);
});

test('a worker is held to nothing that it said before another began to wait for it', (t) => {
  const keeper = keeperIn('running');
  const [run] = keeper.runs.values();
  const heard = (first: number, second: number, noticeSeconds = 0.25) => ({
    secondsSilent: ({ connection }: { connection: number }) => (connection === 0 ? first : second),
    missing: () => [],
    serverSecondsSilent: () => 0,
    noticeSeconds,
  });
  const progress = (connection: number, step: number, phase: string, secondsInPhase: number) =>
    keeper.workerProgress(connection, { step, phase, secondsInPhase });
  // Worker 0 was heard of 0.1 s ago, and has been waiting for 0.4 s; worker 1 has said for 0.3 s, or 0.45 s, nothing more.
  progress(0, 8, 'exchange', 0.3);
  progress(1, 7, 'compute', 0.2);
  t.is(keeper.waiting(run, heard(0.1, 0.45)), '');
  t.is(keeper.waiting(run, heard(0.1, 0.3)), 'waits at step 7 for worker 1 (worker-1), in compute for 0.2 s');
  // A wait that does not last is none.
  t.is(keeper.waiting(run, heard(0.1, 0.3, 0.5)), '');
  // Nobody waits, whatever the steps.
  progress(0, 8, 'compute', 3);
  t.is(keeper.waiting(run, heard(0.1, 0.3)), '');
  // In the same step who computes is waited for, and who exchanges as well is not.
  progress(0, 8, 'exchange', 3);
  progress(1, 8, 'compute', 2.5);
  t.regex(keeper.waiting(run, heard(0, 0)), /^waits at step 8 for worker 1 .+ in compute for 2.5 s$/);
  // So is who was last heard of in the evaluation before that step.
  progress(1, 8, 'evaluate', 2.5);
  t.regex(keeper.waiting(run, heard(0, 2.9)), /^waits at step 8 for worker 1 .+ in evaluate for 2.5 s$/);
  progress(1, 8, 'exchange', 0.1);
  t.is(keeper.waiting(run, heard(0, 0)), '');
  // Silence is heard.
  progress(1, 8, 'compute', 0.1);
  progress(0, 8, 'exchange', 5);
  t.is(keeper.waiting(run, heard(0, 5.2)), 'waits at step 8 for worker 1 (worker-1), not heard of for 5.2 s');
});

test('a server that others wait for within a step is named, as long as they do', (t) => {
  const keeper = keeperIn('running');
  const [run] = keeper.runs.values();
  keeper.serverProgress(100, run.id, { step: 6, servers: [1], copies: [], seconds: 3.25, usualSeconds: 0 });
  t.regex(keeper.waiting(run), /worker 1/, 'a worker that is behind is the reason');
  keeper.workerProgress(1, { step: 7, phase: 'exchange', secondsInPhase: 2 });
  t.is(
    keeper.waiting(run),
    'waits at step 6 for the part of server 1 (10.0.0.1:7000) in what all servers decide together, for 3.3 s',
  );
  keeper.serverProgress(100, run.id, {
    step: 6,
    servers: [1],
    copies: [],
    seconds: 3.25,
    usualSeconds: 0.04,
  });
  t.regex(keeper.waiting(run), /, for 3\.3 s, usually 40 ms$/);
  keeper.serverProgress(101, run.id, { step: 6, servers: [0, 77], copies: [], seconds: 4, usualSeconds: 0 });
  t.regex(keeper.waiting(run), /of server 0 \(10.0.0.0:7000\), server 1 \(10.0.0.1:7000\) in .+ 4.0 s$/);
  keeper.serverProgress(101, run.id, { step: 6, servers: [], copies: [0], seconds: 2, usualSeconds: 0 });
  t.is(
    keeper.waiting(run),
    'waits at step 6 for the part of server 1 (10.0.0.1:7000) in what all servers decide together and the copy of server 0 (10.0.0.0:7000), for 3.3 s, usually 40 ms',
  );
  keeper.serverProgress(100, run.id, { step: 7, servers: [], copies: [], seconds: 0, usualSeconds: 0 });
  keeper.serverProgress(101, run.id, { step: 7, servers: [], copies: [], seconds: 0, usualSeconds: 0 });
  t.is(keeper.waiting(run), '');
  // Of a run that has ended meanwhile, or from one who has no part in it.
  t.notThrows(() =>
    keeper.serverProgress(100, 'gone', { step: 0, servers: [1], copies: [], seconds: 1, usualSeconds: 0 }),
  );
  keeper.serverProgress(107, run.id, { step: 7, servers: [1], copies: [], seconds: 1, usualSeconds: 0 });
  t.is(keeper.waiting(run), '');
});

test('a server whose blocks the workers wait for is named, unless it waits itself', (t) => {
  const keeper = keeperIn('running');
  const [run] = keeper.runs.values();
  for (const connection of [0, 1])
    keeper.workerProgress(connection, { step: 7, phase: 'exchange', secondsInPhase: 2 - connection });
  const text = (silent: readonly number[], missing: readonly number[], noticeSeconds = 0.25) =>
    keeper.waiting(run, {
      secondsSilent: () => 0.5,
      missing: ({ connection }) => (connection === 0 ? missing : []),
      serverSecondsSilent: (id) => silent[id],
      noticeSeconds,
    });
  t.is(text([0, 0], []), '');
  t.is(text([0, 0], [0], 1.75), '', 'a server that waits has said so after a second');
  t.is(text([0, 0], [0]), 'waits at step 7 for the blocks of server 0 (10.0.0.0:7000), for 2.5 s');
  t.is(
    text([0, 7], [1, 77]),
    'waits at step 7 for the blocks of server 1 (10.0.0.1:7000, not heard of for 7.0 s), for 2.5 s',
  );
  t.is(text([0, 0], [0, 1]), '', 'what no server has, some worker has not sent');
  t.regex(text([0, 7], [0, 1]), /for the blocks of server 1 \([^)]+, not heard of for 7\.0 s\), for 2\.5 s$/);
  // Blocks of server 0 come late because it waits for server 1.
  const wait = { step: 7, copies: [], seconds: 3, usualSeconds: 0.04 };
  keeper.serverProgress(100, run.id, { ...wait, servers: [1] });
  const one =
    'waits at step 7 for the part of server 1 (10.0.0.1:7000) in what all servers decide together, for 3.0 s, usually 40 ms';
  t.is(text([0, 0], [0, 1]), one);
  // What server 1 said before it fell silent is no longer so.
  keeper.serverProgress(101, run.id, { ...wait, servers: [0], seconds: 9 });
  t.is(text([0, 7], [0, 1]), one.replace('7000)', '7000, not heard of for 7.0 s)'));
});

test('only who has given its share of an evaluation waits, and only for those who have not', (t) => {
  const keeper = keeperIn('running');
  t.deepEqual(keeper.evaluationWaits(), []);
  keeper.evaluationPart(1, 7, { records: 3, lossSum: 1, correct: 2 });
  t.deepEqual(keeper.evaluationWaits(), [
    { to: 'worker', connection: 1, order: { evaluationWait: { step: 7, workers: [0] } } },
  ]);
  keeper.evaluationPart(0, 7, { records: 3, lossSum: 1, correct: 2 });
  t.deepEqual(keeper.evaluationWaits(), []);
});

test('within a round of local nobody is held up by one who has taken fewer steps', (t) => {
  const local = { steps: 5, optimizer: optimizerSpec('sgd', 0.1) };
  const keeper = keeperIn('running', makeSpec({ consistency: 'local', local }));
  const [run] = keeper.runs.values();
  keeper.workerProgress(0, { step: 7, phase: 'compute', secondsInPhase: 0.5 });
  t.is(keeper.waiting(run), '');
  keeper.workerProgress(1, { step: 6, phase: 'compute', secondsInPhase: 1 });
  keeper.workerProgress(0, { step: 9, phase: 'exchange', secondsInPhase: 1 });
  t.is(keeper.waiting(run), 'waits at step 6 for worker 1 (worker-1), in compute for 1.0 s');
});

test('a change of view is decided at the latest step that is next for a worker, and told when every server has it', (t) => {
  const keeper = keeperIn('running');
  const [run] = keeper.runs.values();
  const asked = { run: '', consistency: 2, staleness: 3 };
  t.deepEqual(told(keeper.changeRequested(7, asked)), ['worker 0 hold', 'worker 1 hold']);
  refused(t, 'not_now', /while view 2 is on its way/, () => keeper.changeRequested(8, asked));
  t.deepEqual(keeper.workerHeld(1, { number: 2, step: 7 }), []);
  t.regex(keeper.waiting(run), /^waits for the answer of worker 0 \(worker-0\) to view 2$/);
  t.deepEqual(told(keeper.workerHeld(0, { number: 2, step: 8 })), ['server 100 change', 'server 101 change']);
  t.deepEqual(keeper.serverTaken(100, 'test-1', 2), []);
  t.regex(keeper.waiting(run), /^waits for the answer of server 1 \(10.0.0.1:7000\) to view 2$/);
  const [, , { order }] = keeper.serverTaken(101, 'test-1', 2);
  t.like(order, { run: 'test-1', view: { number: 2, fromStep: 8, consistency: 2, staleness: 3 } });
  t.like(run.spec, { consistency: 'ssp', staleness: 3 });
  refused(t, 'not_now', /before worker 0 has reached step 8, from which view 2 holds/, () =>
    keeper.changeRequested(8, asked),
  );
  keeper.workerEntered(0, 2);
  keeper.workerEntered(1, 2);
  t.is(keeper.changeRequested(8, asked).length, 2);
});

test('a change of view that comes too late, or whose run ends, changes nothing and is answered', (t) => {
  const asked = { run: '', consistency: 3, staleness: 0 };
  const late = keeperIn('running');
  late.changeRequested(7, asked);
  late.workerHeld(0, { number: 2, step: 10 });
  const orders = late.workerHeld(1, { number: 2, step: 9 });
  t.deepEqual(told(orders), ['worker 0 view', 'worker 1 view', 'caller 7 run']);
  t.like(orders[0].order, { view: { number: 1 } });
  t.like(orders[2].order, {
    refusal: { sentence: 'nothing was changed: the run has only 10 steps, which are all under way' },
  });
  const done = keeperIn('running');
  done.changeRequested(7, asked);
  t.deepEqual(told(done.workerDone(0, { bytesPushed: 0, bytesPulled: 0, steps: 8 })), [
    'worker 0 view',
    'worker 1 view',
    'caller 7 run',
    'worker 1 done',
  ]);
  const ended = keeperIn('running');
  ended.changeRequested(7, asked);
  t.true(told(ended.workerLeft(1, 'it left')).includes('caller 7 run'));
});

test('a keeper that is stopped ends every run with the reason', (t) => {
  const keeper = keeperIn('running');
  t.deepEqual(reasons(keeper.shutDown('stopped by SIGTERM')).slice(0, 2), [
    'stopped by SIGTERM',
    'stopped by SIGTERM',
  ]);
  t.is(keeper.runs.size, 0);
});
