// A real server on a free port, spoken to rightly and wrongly: every refusal arrives with its code and sentence,
// and the server lives on, which a whole little run after it shows.
import { createServer } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import { service as healthService } from 'grpc-health-check';
import { reportTo } from '../../server/metrics.js';
import type { RunningServer } from '../../server/server.js';
import { Exchange } from '../../shared/client/exchange.js';
import { describe, joinRun, status } from '../../shared/client/membership.js';
import { RunError, UserError } from '../../shared/errors.js';
import { loadKernels } from '../../shared/kernels/load.js';
import { CONTROL_MESSAGE_MAX_BYTES } from '../../shared/limits.js';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import { encodeBulk } from '../../shared/rpc/bulk.js';
import { FIELD, PROTOCOL_VERSION } from '../../shared/rpc/proto.js';
import { Refused } from '../../shared/rpc/refusal.js';
import { layoutOf, type RunSpec } from '../../shared/run/spec.js';
import { toWire } from '../../shared/run/wire.js';
import {
  openMesh,
  openServer,
  PEER_DEADLINE_MS,
  startWorker,
  startWorkers,
  wholeRun,
} from '../helpers/mesh.js';
import { helloOf, openRaw, type RawStream } from '../helpers/raw-client.js';
import { bitsOfAll, bulkOf, contributionOf, finiteHeader, makeSpec, normals } from '../helpers/shards.js';
import { STEPS, trainInOrder } from '../helpers/training.js';

/** What gRPC itself prints: nothing, since whatever it meets becomes an error of ours. */
const printed: unknown[] = [];
grpc.setLogger({ error: (...words: unknown[]) => printed.push(words) });
test.after('gRPC has printed nothing of its own', (t) => {
  t.deepEqual(printed, []);
});

const single = makeSpec({ workers: 1 });
const expectedSingle = bitsOfAll(trainInOrder(single, 1));

/** The server is none the worse: another run on it gives the bits that it must. */
async function assertLives(t: ExecutionContext, server: RunningServer): Promise<void> {
  t.deepEqual(await wholeRun({ address: server.address, spec: single, run: 'after' }, STEPS), expectedSingle);
}

/** A server that holds a run of one worker which has joined and sent nothing. */
async function serverWithRun(t: ExecutionContext, spec: RunSpec = single, run = 'held') {
  const counted: string[] = [];
  const metrics = reportTo(createMetrics('server'));
  const server = await openServer(t, { metrics: { ...metrics, refused: (code) => counted.push(code) } });
  const membership = await joinRun({
    address: server.address,
    run,
    spec,
    label: 'holder',
    peerDeadlineMs: PEER_DEADLINE_MS,
    onWelcome: () => undefined,
    onLost: () => undefined,
  });
  t.teardown(() => membership.leave());
  return { server, membership, counted };
}

const wireOf = (kind: 'contribution' | 'initial', bulk: ReturnType<typeof bulkOf>) => ({ [kind]: bulk });

/** Opens with a good hello, gives every block its initial values, sends a header. */
function begin(stream: RawStream): void {
  stream.send(helloOf('held', single));
  for (const { index, elements } of layoutOf(single).blocks)
    stream.send(wireOf('initial', bulkOf(0, index, 'fp32', normals(elements, index))));
  stream.send({ header: { view: 1, step: 0, ...finiteHeader } });
}

const goodContribution = contributionOf(single, 0, 0, 0);

const refusals: [
  title: string,
  method: 'Push' | 'Pull' | 'Work',
  label: string,
  sentence: RegExp,
  act: (stream: RawStream) => void,
][] = [
  [
    'a push that does not begin with hello',
    'Push',
    'malformed',
    /expected hello/,
    (s) => s.send({ header: { view: 1, step: 0 } }),
  ],
  [
    'a pull that does not begin with hello',
    'Pull',
    'malformed',
    /expected hello/,
    (s) => s.send({ fetch: { step: 0 } }),
  ],
  [
    'another protocol version',
    'Push',
    'protocol_version',
    /expected protocol version 1, got 7/,
    (s) => s.send(helloOf('held', single, { protocolVersion: 7 })),
  ],
  ['an unknown run', 'Push', 'unknown_run', /'nowhere'/, (s) => s.send(helloOf('nowhere', single))],
  [
    'an old view',
    'Pull',
    'stale_view',
    /expected view 1, got 0/,
    (s) => s.send(helloOf('held', single, { view: 0 })),
  ],
  [
    'another schema',
    'Push',
    'schema',
    /schema hash/,
    (s) => s.send(helloOf('held', single, { schemaHash: Buffer.alloc(32) })),
  ],
  [
    'no schema',
    'Push',
    'schema',
    /schema hash/,
    (s) => s.send(helloOf('held', single, { schemaHash: undefined })),
  ],
  [
    'a rank beyond the last',
    'Push',
    'unknown_worker',
    /expected a rank below 1, got 1/,
    (s) => s.send(helloOf('held', single, { worker: 1 })),
  ],
  [
    'an observer that pushes',
    'Push',
    'unknown_worker',
    /observers only pull/,
    (s) => s.send(helloOf('held', single, { observer: true })),
  ],
  [
    'an empty message after hello',
    'Push',
    'malformed',
    /empty message/,
    (s) => {
      s.send(helloOf('held', single));
      s.send({});
    },
  ],
  [
    'a second hello',
    'Push',
    'malformed',
    /expected a header, a contribution or initial values/,
    (s) => {
      s.send(helloOf('held', single));
      s.send(helloOf('held', single));
    },
  ],
  [
    'a header before the initial values',
    'Push',
    'step',
    /before every block had its initial values/,
    (s) => {
      s.send(helloOf('held', single));
      s.send({ header: { view: 1, step: 0, ...finiteHeader } });
    },
  ],
  [
    'a contribution without a header',
    'Push',
    'step',
    /expected the header of step 0/,
    (s) => {
      s.send(helloOf('held', single));
      s.send(wireOf('contribution', goodContribution));
    },
  ],
  [
    'a contribution of a step ahead',
    'Push',
    'step',
    /of step 5/,
    (s) => {
      begin(s);
      s.send(wireOf('contribution', { ...goodContribution, step: 5 }));
    },
  ],
  [
    'a contribution to an unknown block',
    'Push',
    'unknown_block',
    /got 99/,
    (s) => {
      begin(s);
      s.send(wireOf('contribution', { ...goodContribution, block: 99 }));
    },
  ],
  [
    'a payload of a wrong length',
    'Push',
    'payload',
    /77 elements in fp16 has 154 bytes, this one has 3/,
    (s) => {
      begin(s);
      s.send(encodeBulk(FIELD.contribution, { step: 0, block: 0, codec: 2, scale: 1 }, new Uint8Array(3)));
    },
  ],
  [
    'a wrong checksum',
    'Push',
    'checksum',
    /send it again/,
    (s) => {
      begin(s);
      s.send(wireOf('contribution', { ...goodContribution, checksum: 1 }));
    },
  ],
  [
    'NaN behind a finite header',
    'Push',
    'not_finite',
    /expected finite numbers/,
    (s) => {
      begin(s);
      s.send(
        encodeBulk(
          FIELD.contribution,
          { step: 0, block: 0, codec: 2, scale: 1 },
          new Uint8Array(154).fill(0xff),
        ),
      );
    },
  ],
  [
    'a header of a loss scale of 3',
    'Push',
    'malformed',
    /power of two/,
    (s) => {
      s.send(helloOf('held', single));
      for (const { index, elements } of layoutOf(single).blocks)
        s.send(wireOf('initial', bulkOf(0, index, 'fp32', normals(elements, index))));
      s.send({ header: { view: 1, step: 0, ...finiteHeader, lossScale: 3 } });
    },
  ],
  [
    "a subscription in another codec than the run's",
    'Pull',
    'run_spec',
    /run's codec fp16/,
    (s) => {
      s.send(helloOf('held', single));
      s.send({ subscribe: { codec: 1 } });
    },
  ],
  [
    'a fetch in an unknown codec',
    'Pull',
    'payload',
    /expected a codec of/,
    (s) => {
      s.send(helloOf('held', single));
      s.send({ fetch: { step: 0, codec: 0 } });
    },
  ],
  [
    'a fetch of an unknown block',
    'Pull',
    'unknown_block',
    /got 99/,
    (s) => {
      s.send(helloOf('held', single));
      s.send({ fetch: { step: 0, codec: 1, blocks: [0, 99] } });
    },
  ],
  [
    'a second fetch before the first is answered',
    'Pull',
    'not_now',
    /one fetch at a time/,
    (s) => {
      s.send(helloOf('held', single));
      s.send({ fetch: { step: 5, codec: 1 } });
      s.send({ fetch: { step: 5, codec: 1 } });
    },
  ],
  [
    'an empty message to a pull',
    'Pull',
    'malformed',
    /expected subscribe or fetch/,
    (s) => {
      s.send(helloOf('held', single));
      s.send({});
    },
  ],
  ['a worker without hello', 'Work', 'malformed', /expected hello/, (s) => s.send({ done: {} })],
  [
    'a worker without a spec',
    'Work',
    'malformed',
    /run spec/,
    (s) => s.send({ hello: { protocolVersion: 1 } }),
  ],
  ...(
    [
      ['no worker at all', 'run_spec', /1 to 1024 workers, got 0/, { workers: 0 }],
      ['an unknown codec', 'run_spec', /codec of fp32, fp16, bf16/, { codec: 77 }],
      [
        'an unknown consistency',
        'run_spec',
        /consistency of bsp, ssp, asp, local, got number 77/,
        { consistency: 77 },
      ],
      ['a staleness under bsp', 'run_spec', /only with ssp, got it with bsp/, { staleness: 1 }],
      [
        'a staleness without end',
        'run_spec',
        /from 0 to 10000 with ssp, got 10001/,
        { consistency: 2, staleness: 10_001 },
      ],
      [
        'a staleness under local',
        'run_spec',
        /only with ssp, got it with local/,
        { consistency: 4, staleness: 1, localSteps: 3, innerOptimizer: { kind: 1, learningRate: 1 } },
      ],
      ['local without its steps', 'run_spec', /1 to 2000 local steps .* got 0 and none/, { consistency: 4 }],
      ['local steps beside bsp', 'run_spec', /consistency local alone/, { localSteps: 3 }],
      [
        'an inner optimizer that cannot be',
        'run_spec',
        /learning rate above 0/,
        { consistency: 4, localSteps: 3, innerOptimizer: { kind: 1, learningRate: 0 } },
      ],
      ['a job name without end', 'malformed', /at most 256 characters/, { job: 'j'.repeat(5000) }],
      [
        'an optimizer that nobody knows',
        'run_spec',
        /sgd, momentum, adam/,
        { optimizer: { kind: 9, learningRate: 1 } },
      ],
      [
        'a learning rate of NaN',
        'run_spec',
        /learning rate above 0/,
        { optimizer: { kind: 1, learningRate: Number.NaN } },
      ],
      [
        'a beta of 1',
        'run_spec',
        /betas in \[0, 1\)/,
        { optimizer: { kind: 3, learningRate: 1, beta1: 1, beta2: 0.9 } },
      ],
      [
        'a hash that is not of its tensors',
        'schema',
        /schema hash/,
        { manifest: { ...toWire(single).manifest, schemaHash: Buffer.alloc(32) } },
      ],
      [
        'a tensor of no kind',
        'malformed',
        /kind for every tensor/,
        { manifest: { tensors: [{ name: 'a', shape: [1] }], schemaHash: Buffer.alloc(32) } },
      ],
      [
        'a tensor of no size',
        'schema',
        /positive dimensions/,
        { manifest: { tensors: [{ name: 'a', shape: [0], kind: 1 }], schemaHash: Buffer.alloc(32) } },
      ],
    ] as const
  ).map(([title, label, sentence, changes]): (typeof refusals)[number] => [
    `a worker's spec with ${title}`,
    'Work',
    label,
    sentence,
    (s) =>
      s.send({
        hello: {
          protocolVersion: PROTOCOL_VERSION,
          spec: { ...toWire(makeSpec({ job: 'other' })), ...changes },
        },
      }),
  ]),
];

for (const [title, method, label, sentence, act] of refusals)
  test(`${title}: refused as ${label}, and the server lives on`, async (t) => {
    const { server, counted } = await serverWithRun(t);
    const stream = openRaw(t, server.address, method);
    act(stream);
    const refusal = await stream.refusal();
    t.is(refusal.label, label);
    t.deepEqual(counted, [label]);
    t.regex(refusal.sentence, sentence);
    t.is((await stream.status).code, grpc.status.OK);
    await assertLives(t, server);
  });

test('bytes that are no message end the stream, not the server', async (t) => {
  const { server } = await serverWithRun(t);
  for (const bytes of [Buffer.from('1a05', 'hex'), Buffer.alloc(50, 0xff)]) {
    const stream = openRaw(t, server.address, 'Push');
    stream.send(helloOf('held', single));
    t.truthy((await stream.next()).ready);
    stream.send(bytes);
    t.not((await stream.status).code, grpc.status.OK);
  }
  await assertLives(t, server);
});

test('a message that is too large ends the stream, not the server', async (t) => {
  const { server } = await serverWithRun(t);
  const stream = openRaw(t, server.address, 'Push');
  stream.send(helloOf('held', single));
  stream.send(Buffer.alloc(CONTROL_MESSAGE_MAX_BYTES + 1));
  const { code, details } = await stream.status;
  t.is(code, grpc.status.RESOURCE_EXHAUSTED);
  t.regex(details, /at most \d+ bytes, got one of/);
  await assertLives(t, server);
});

test('streams that are cancelled in the middle leave the server and its run alive', async (t) => {
  const { server } = await serverWithRun(t);
  const push = openRaw(t, server.address, 'Push');
  const pull = openRaw(t, server.address, 'Pull');
  begin(push);
  pull.send(helloOf('held', single));
  pull.send({ subscribe: { codec: 2 } });
  t.truthy((await pull.next()).ready);
  t.truthy((await pull.next()).ready);
  t.truthy((await push.next()).ready);
  push.send(wireOf('contribution', goodContribution));
  push.cancel();
  pull.cancel();
  await Promise.all([push.status, pull.status]);
  t.deepEqual([...server.runs.keys()], ['held']);
  await assertLives(t, server);
});

test('a worker that is cancelled ends its run for the others, with its name', async (t) => {
  const server = await openServer(t);
  const first = openRaw(t, server.address, 'Work');
  const second = openRaw(t, server.address, 'Work');
  for (const [label, stream] of [
    ['one', first],
    ['two', second],
  ] as const) {
    stream.send({ hello: { protocolVersion: PROTOCOL_VERSION, spec: toWire(makeSpec()), label } });
    while (!(await stream.next()).welcome);
  }
  while (!(await first.next()).start);
  second.cancel();
  let ended: { failed: boolean; reason: string } | undefined;
  while (!ended) ended = (await first.next()).ended;
  t.true(ended.failed);
  t.regex(ended.reason, /^worker 1 \(two\) is gone at step 0: /);
  await assertLives(t, server);
});

test('a worker that is refused in the middle of its run is gone from it', async (t) => {
  const server = await openServer(t);
  const [first, second] = [0, 1].map(() => openRaw(t, server.address, 'Work'));
  for (const stream of [first, second])
    stream.send({ hello: { protocolVersion: PROTOCOL_VERSION, spec: toWire(makeSpec()), label: 'w' } });
  for (const stream of [first, second]) while (!(await stream.next()).start);
  second.send({});
  t.is((await second.refusal()).label, 'malformed');
  let ended: { reason: string } | undefined;
  while (!ended) ended = (await first.next()).ended;
  t.regex(ended.reason, /it was refused: expected progress/);
});

test('a server that is not the keeper refuses workers and servers, and says who is', async (t) => {
  const [keeper, other] = await openMesh(t, 2);
  const worker = openRaw(t, other.address, 'Work');
  worker.send({ hello: { protocolVersion: PROTOCOL_VERSION, spec: toWire(single) } });
  const refusal = await worker.refusal();
  t.is(refusal.label, 'not_now');
  t.true(refusal.sentence.includes(`join ${keeper.address} instead`));
  await t.throwsAsync(openServer(t, { join: other.address }), {
    instanceOf: Refused,
    message: /not the keeper/,
  });
});

test('a server that finds nobody at --join says so in one line', async (t) => {
  const error = await t.throwsAsync(openServer(t, { join: '127.0.0.1:1' }), { instanceOf: RunError });
  t.regex(
    error?.message ?? '',
    /^cannot join the mesh at 127\.0\.0\.1:1: [^\n]*start the first server there/,
  );
});

test('a worker that finds nobody at --join says so in one line', async (t) => {
  const joining = joinRun({
    address: '127.0.0.1:1',
    run: '',
    spec: single,
    label: 'w',
    peerDeadlineMs: PEER_DEADLINE_MS,
    onWelcome: () => undefined,
    onLost: () => undefined,
  });
  const error = await t.throwsAsync(joining, { instanceOf: RunError });
  t.regex(error?.message ?? '', /^cannot reach the keeper at 127\.0\.0\.1:1: [^\n]*start a server there/);
});

test("a port that is taken is the user's mistake, in one line", async (t) => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  t.teardown(() => taken.close());
  const { port } = taken.address() as { port: number };
  const error = await t.throwsAsync(openServer(t, { listen: `127.0.0.1:${port}` }), {
    instanceOf: UserError,
  });
  t.is(
    error?.message,
    `cannot listen on 127.0.0.1:${port}: that port is taken; choose another, or port 0 for any free one`,
  );
});

test("an address of another machine is the user's mistake, in one line", async (t) => {
  const error = await t.throwsAsync(openServer(t, { listen: '192.0.2.1:0' }), { instanceOf: UserError });
  t.regex(error?.message ?? '', /^cannot listen on 192\.0\.2\.1:0: that address is not one of this machine/);
});

test('health is answered for the server and each service', async (t) => {
  const server = await openServer(t);
  const Health = grpc.makeClientConstructor(healthService as unknown as grpc.ServiceDefinition, 'Health');
  const client = new Health(server.address, grpc.credentials.createInsecure());
  t.teardown(() => client.close());
  const check = (service: string) =>
    new Promise<unknown>((resolve, reject) =>
      client.check({ service }, (error: Error | null, reply: { status: unknown }) =>
        error ? reject(error) : resolve(reply.status),
      ),
    );
  for (const name of ['', 'gradloom.v1.Parameters', 'gradloom.v1.Membership'])
    t.is(await check(name), 'SERVING');
  await t.throwsAsync(check('nobody'), { message: /NOT_FOUND/ });
});

test('reflection lists the services and describes their messages', async (t) => {
  const server = await openServer(t);
  const client = new grpc.Client(server.address, grpc.credentials.createInsecure());
  t.teardown(() => client.close());
  const bytes = (value: Buffer) => value;
  const ask = (request: Buffer) =>
    new Promise<string>((resolve, reject) => {
      const call = client.makeBidiStreamRequest(
        '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
        bytes,
        bytes,
      );
      call.on('data', (reply: Buffer) => {
        resolve(reply.toString('latin1'));
        call.end();
      });
      call.on('error', reject);
      call.write(request);
    });
  const listServices = Buffer.from([0x3a, 1, 0x2a]);
  const services = await ask(listServices);
  const names = [
    'gradloom.v1.Parameters',
    'gradloom.v1.Membership',
    'gradloom.v1.Rows',
    'grpc.health.v1.Health',
  ];
  for (const name of names) t.true(services.includes(name), name);
  for (const [service, message] of [
    ['gradloom.v1.Parameters', 'StepHeader'],
    ['grpc.health.v1.Health', 'HealthCheckRequest'],
  ]) {
    const symbol = Buffer.from(service);
    t.true(
      (await ask(Buffer.concat([Buffer.from([0x22, symbol.length]), symbol]))).includes(message),
      service,
    );
  }
});

test('status and describe tell of a run, and describe names what runs where it finds nothing', async (t) => {
  const { server } = await serverWithRun(t);
  const { servers, runs } = await status(server.address, PEER_DEADLINE_MS);
  t.is(servers.length, 1);
  t.like(runs[0], { run: 'held', state: 'running', workersExpected: 1, steps: 10 });
  t.is((await describe(server.address, '', PEER_DEADLINE_MS)).run, 'held');
  await t.throwsAsync(describe(server.address, 'nowhere', PEER_DEADLINE_MS), {
    instanceOf: Refused,
    message: /got 'nowhere'; running: 'held'/,
  });
});

for (const codec of ['fp32', 'fp16', 'bf16'] as const)
  test(`two workers on two servers over ${codec} get the bits of the pure shard, run after run`, async (t) => {
    const [keeper] = await openMesh(t, 2);
    const spec = makeSpec({ codec });
    const expected = bitsOfAll(trainInOrder(spec, 1));
    t.deepEqual(await wholeRun({ address: keeper.address, spec }, STEPS), expected);
    t.deepEqual(await wholeRun({ address: keeper.address, spec }, STEPS), expected);
  });

test('what workers get in training are the masters in the run codec, on both workers the same', async (t) => {
  const [keeper] = await openMesh(t, 2);
  const spec = makeSpec({ codec: 'fp32' });
  const workers = await startWorkers({ address: keeper.address, spec });
  for (const result of await Promise.all(workers.map((worker) => worker.step(0))))
    t.like(result.outcome, { step: 0, skipped: false });
  const [first, second] = workers.map((worker) => worker.parameters());
  t.deepEqual(first, second);
  const masters = await workers[0].fetchBits(1);
  const exchanged = layoutOf(spec).blocks.filter(({ kind }) => kind !== 'frozen');
  const flat = first.flatMap((block) => [...block]);
  t.deepEqual(new Uint32Array(Float32Array.from(flat).buffer), masters);
  t.true(exchanged.length > 0);
  for (const worker of workers) worker.leave();
});

test('servers without a block of the model take part in every step, skipped ones too', async (t) => {
  const [keeper] = await openMesh(t, 3);
  const spec = makeSpec({
    tensors: [
      { name: 'w', shape: [50], kind: 'trainable' },
      { name: 'frozen', shape: [70], kind: 'frozen' },
    ],
  });
  const expected = bitsOfAll(trainInOrder(spec, 1, { skippedStep: 1 }));
  const workers = await startWorkers({ address: keeper.address, spec });
  for (let step = 0; step < STEPS; step++) {
    const results = await Promise.all(
      workers.map((worker) => worker.step(step, !(worker.membership.rank === 0 && step === 1))),
    );
    for (const { outcome } of results) t.is(outcome.skipped, step === 1);
    if (step === 1) for (const { outcome } of results) t.deepEqual(outcome.notFinite, [0]);
  }
  t.deepEqual(await workers[1].fetchBits(STEPS), expected);
  for (const worker of workers) worker.leave();
});

test('a server that stops ends an exchange under way with its name', async (t) => {
  const [keeper, other] = await openMesh(t, 2);
  const lost: RunError[] = [];
  const workers = await startWorkers({
    address: keeper.address,
    spec: makeSpec(),
    // As every client does: links are made again until the keeper says that the run has ended.
    onLost: (error) => {
      lost.push(error);
      for (const { exchange } of workers) exchange.close();
    },
  });
  // The other worker sends nothing: this step cannot end.
  const step = workers[0].step(0);
  const failing = t.throwsAsync(step, { instanceOf: RunError });
  await other.close('the test stops it');
  await failing;
  t.true(lost[0].message.includes(other.address), lost[0].message);
  await t.throwsAsync(workers[0].step(0), { instanceOf: RunError });
  for (const worker of workers) worker.leave();
});

test('an exchange that is closed in the middle of a step fails instead of waiting', async (t) => {
  const [keeper] = await openMesh(t, 1);
  const workers = await startWorkers({ address: keeper.address, spec: makeSpec() });
  const failing = t.throwsAsync(workers[0].step(0), { instanceOf: RunError, message: /was closed/ });
  workers[0].exchange.close();
  await failing;
  for (const worker of workers) worker.leave();
});

test('parameters beyond all numbers end the run with the block and what to do, and the server lives on', async (t) => {
  const server = await openServer(t);
  const spec = makeSpec({ workers: 1, codec: 'fp32', optimizer: optimizerSpec('sgd', 1e38) });
  const worker = await startWorker({ address: server.address, spec });
  const error = await t.throwsAsync(
    async () => {
      for (let step = 0; step < 3; step++) await worker.step(step);
    },
    { instanceOf: Refused },
  );
  t.is(error?.label, 'not_finite');
  t.regex(error?.message ?? '', /lower the learning rate/);
  worker.leave();
  await assertLives(t, server);
});

test('an observer fetches one version and is asked for nothing', async (t) => {
  const server = await openServer(t);
  const worker = await startWorker({ address: server.address, spec: single });
  await worker.step(0);
  const layout = layoutOf(single);
  const kernels = loadKernels({ bytes: 8 * 1024 ** 2 });
  const { view, run } = worker.membership;
  const target = kernels.firstFreeByte;
  const observer = await Exchange.open({
    run,
    rank: undefined,
    spec: single,
    layout,
    view,
    memory: { kernels, gradients: 0, parameters: target, scratch: target + 1024 ** 2 },
    peerDeadlineMs: PEER_DEADLINE_MS,
    onWaiting: () => undefined,
  });
  t.like(await observer.fetch(1, 'fp32', target), { skew: 0, step: 1, bytesPulled: layout.elements * 4 });
  observer.close();
  await worker.step(1);
  worker.leave();
  t.pass();
});
