// The SDK's four verbs against real servers on free ports.
import test from 'ava';
import {
  connect,
  type OptimizerSpec,
  optimizerSpec,
  RunError,
  UserError,
  type Waiting,
} from '../../../shared/client/index.js';
import { startTestServer, until } from '../../helpers/server.js';

const line = { name: 'slope', shape: [2], values: new Float32Array([1, 2]) };

test('push returns a step, wait tells its outcome, pull reads the exact values', async (t) => {
  const server = await startTestServer(t);
  const client = await connect({
    join: server.address,
    tensors: [line],
    optimizer: 'sgd',
    learningRate: 0.5,
  });
  t.is(client.rank, 0);
  t.deepEqual([...(await client.pull(undefined, { codec: 'fp32' })).values.slope], [1, 2]);
  const step = client.push({ slope: new Float32Array([1, -1]) }, { samples: 4, loss: 0.25 });
  t.deepEqual(await client.wait(step), { step: 0, skipped: false, samples: 4, loss: 0.25 });
  const pulled = await client.pull(['slope'], { codec: 'fp32' });
  t.deepEqual([...pulled.values.slope], [0.5, 2.5]);
  t.is(pulled.step, 1);
  t.is(pulled.skew, 0);
  await client.close();
});

test('two clients on two servers see the mean of their gradients, weighted by samples', async (t) => {
  const keeper = await startTestServer(t);
  await startTestServer(t, { join: keeper.address });
  const large = { name: 'large', shape: [300_000], values: new Float32Array(300_000) };
  const options = {
    join: keeper.address,
    tensors: [line, large],
    optimizer: 'sgd',
    learningRate: 1,
    codec: 'fp32',
    workers: 2,
  } as const;
  const clients = await Promise.all([connect(options), connect(options)]);
  const results = await Promise.all(
    clients.map((client, index) =>
      client.pushPull(
        { slope: new Float32Array([index, 0]), large: new Float32Array(300_000).fill(index) },
        { samples: index === 0 ? 1 : 3 },
      ),
    ),
  );
  for (const { values, outcome } of results) {
    t.is(outcome.samples, 4);
    t.deepEqual([...values.slope], [1 - 0.75, 2]);
    t.true(values.large.every((value) => value === -0.75));
  }
  await Promise.all(clients.map((client) => client.close()));
  await until(() => keeper.runs.size === 0);
  t.pass();
});

test('a client whose step waits for another is told whom for, at which step and since when', async (t) => {
  const server = await startTestServer(t);
  const options = { join: server.address, tensors: [line], workers: 2 };
  let tell = (_waiting: Waiting): void => undefined;
  const told = new Promise<Waiting>((resolve) => {
    tell = resolve;
  });
  const [one, other] = await Promise.all([
    connect({ ...options, onWaiting: (waiting) => tell(waiting) }),
    connect(options),
  ]);
  const step = one.push({});
  const { seconds, workers, ...where } = await told;
  t.deepEqual(where, { step, server: server.address });
  t.true(seconds > 0);
  t.is(workers.length, 1);
  t.regex(workers[0], new RegExp(`^worker ${other.rank} \\(.+:${process.pid}\\)$`));
  await other.wait(other.push({}));
  await one.wait(step);
  await Promise.all([one.close(), other.close()]);
});

test('a gradient that is not a number skips the step and changes nothing', async (t) => {
  const server = await startTestServer(t);
  const client = await connect({ join: server.address, tensors: [line], optimizer: 'adam', codec: 'fp32' });
  const { outcome } = await client.pushPull({ slope: new Float32Array([Number.NaN, 0]) });
  t.true(outcome.skipped);
  t.deepEqual([...(await client.pull()).values.slope], [1, 2]);
  const next = await client.pushPull({ slope: new Float32Array([0, 0]) });
  t.false(next.outcome.skipped);
  t.is(next.outcome.step, 1);
  await client.close();
});

test('a client without tensors reads a run that goes on, and cannot push', async (t) => {
  const server = await startTestServer(t);
  const worker = await connect({ join: server.address, tensors: [line], codec: 'bf16' });
  const reader = await connect({ join: server.address });
  t.is(reader.rank, undefined);
  t.is(reader.run, worker.run);
  t.deepEqual([...(await reader.pull()).values.slope], [1, 2]);
  t.throws(() => reader.push({}), { instanceOf: UserError, message: /only pulls/ });
  await reader.close();
  await worker.close();
});

test('mistakes are told in one line before anything is sent', async (t) => {
  const server = await startTestServer(t);
  const at = { join: server.address };
  await t.throwsAsync(connect({ ...at, tensors: [{ ...line, values: new Float32Array(3) }] }), {
    instanceOf: UserError,
    message: /Float32Array of 2 values for 'slope'/,
  });
  await t.throwsAsync(connect({ ...at, tensors: [line, line] }), {
    instanceOf: UserError,
    message: /'slope' twice/,
  });
  await t.throwsAsync(connect({ ...at, tensors: [line], codec: 'fp8' as 'fp16' }), {
    instanceOf: UserError,
    message: /fp32, fp16, bf16/,
  });
  for (const [options, message] of [
    [{ rounding: 'stochastic' }, /rounding: expected codec int8 with it, got fp16/],
    [{ codec: 'int8', rounding: 'up' as 'nearest' }, /nearest, stochastic, got "up"/],
    [{ topKPercent: 5 }, /topKPercent: expected codec topk with it, got fp16/],
    [{ codec: 'topk', optimizer: 'sgd', topKPercent: 0 }, /percentage above 0 .* got 0/],
    [{ codec: 'topk', optimizer: 'sgd', topKWarmupSteps: 1.5 }, /topKWarmupSteps: .* got 1.5/],
  ] as const)
    await t.throwsAsync(connect({ ...at, tensors: [line], ...options }), { instanceOf: UserError, message });
  await t.throwsAsync(connect({ ...at, run: 'nobody' }), { instanceOf: RunError, message: /'nobody'/ });
  const client = await connect({ ...at, tensors: [line] });
  t.throws(() => client.push({ slop: new Float32Array(2) }), {
    instanceOf: UserError,
    message: /'slope', got 'slop'|'slope'/,
  });
  t.throws(() => client.push({ slope: new Float32Array(1) }), {
    instanceOf: UserError,
    message: /expected 2 values/,
  });
  t.throws(() => client.push({}, { samples: 0 }), { instanceOf: UserError, message: /samples of 1 or more/ });
  await t.throwsAsync(client.wait(7), { instanceOf: UserError, message: /step that push\(\) returned/ });
  await t.throwsAsync(client.pull(['x']), { instanceOf: UserError, message: /got 'x'/ });
  await client.close();
});

test('a server that nobody reaches is named', async (t) => {
  await t.throwsAsync(connect({ join: '127.0.0.1:1', tensors: [line], peerDeadlineMs: 1_000 }), {
    instanceOf: RunError,
    message: /127\.0\.0\.1:1/,
  });
});

test('a server that closes in the middle of a run is named by the next wait', async (t) => {
  const server = await startTestServer(t);
  const client = await connect({ join: server.address, tensors: [line] });
  await client.pushPull({});
  await server.close('the test closes it');
  const error = await t.throwsAsync(client.pushPull({}), { instanceOf: RunError });
  t.regex(error.message, /127\.0\.0\.1:\d+|the test closes it/);
});

for (const [consistency, staleness] of [
  ['bsp', 0],
  ['ssp', 2],
] as const)
  test(`${consistency}: a client that closes early lets the others go as far as they may, and is named then`, async (t) => {
    t.timeout(60_000);
    const server = await startTestServer(t);
    const options = {
      join: server.address,
      tensors: [line],
      workers: 2,
      consistency,
      ...(consistency === 'ssp' && { staleness }),
    };
    const clients = await Promise.all([connect(options), connect(options)]);
    const [short, long] = clients;
    const pushes = Array.from({ length: 3 + staleness + 1 }, () => long.pushPull({}));
    for (let step = 0; step < 3; step++) await short.pushPull({});
    const closed = short.close();
    const vain = pushes.pop() as Promise<unknown>;
    const named = {
      instanceOf: RunError,
      message: new RegExp(
        `^step ${3 + staleness} waits for worker ${short.rank} \\(.+\\), which has closed after 3 steps; let every worker take as many steps`,
      ),
    };
    // One is under way when the other closes, the next begins after it.
    await t.throwsAsync(vain, named);
    t.is((await Promise.all(pushes)).length, 3 + staleness);
    await t.throwsAsync(long.pull(), named);
    await Promise.all([closed, long.close()]);
  });

test('asp: a client that closes early holds nobody up', async (t) => {
  const server = await startTestServer(t);
  const options = { join: server.address, tensors: [line], workers: 2, consistency: 'asp' } as const;
  const [short, long] = await Promise.all([connect(options), connect(options)]);
  const closed = short.close();
  for (let step = 0; step < 5; step++) t.false((await long.pushPull({})).outcome.skipped);
  await Promise.all([closed, long.close()]);
});

test('an optimizer given whole runs on the servers, with its schedule, its penalty and its frozen tensors', async (t) => {
  const server = await startTestServer(t);
  const optimizer: OptimizerSpec = {
    ...optimizerSpec('sgd', 1),
    l2: 0.25,
    schedule: { kind: 'constant', warmupSteps: 2 },
    groups: [{ match: 'fix*', frozen: true }],
  };
  const fixed = { name: 'fixed', shape: [1], values: new Float32Array([5]) };
  const client = await connect({ join: server.address, tensors: [line, fixed], optimizer, codec: 'fp32' });
  t.deepEqual(
    client.tensors.map(({ kind }) => kind),
    ['trainable', 'frozen'],
  );
  const gradients = { slope: new Float32Array([1, 0]), fixed: new Float32Array([7]) };
  // Half the learning rate in the first step; the slope of 0.25 · p² is p / 2.
  const first = await client.pushPull(gradients);
  t.deepEqual([...first.values.slope], [1 - 0.5 * 1.5, 2 - 0.5]);
  const second = await client.pushPull(gradients);
  t.deepEqual([...second.values.slope], [0.25 - (1 + 0.125), 1.5 - 0.75]);
  t.deepEqual([...second.values.fixed], [5]);
  await client.close();
});

for (const [title, options, message] of [
  ['an optimizer that nobody has', { optimizer: 'adamax' }, /expected one of sgd.*got 'adamax'/],
  ['two learning rates', { optimizer: optimizerSpec('sgd', 1), learningRate: 2 }, /none beside an optimizer/],
  ['a decay of 1', { optimizer: { ...optimizerSpec('rmsprop', 1), decay: 1 } }, /a decay in \[0, 1\), got 1/],
  [
    'a group that takes nothing',
    { optimizer: { ...optimizerSpec('sgd', 1), groups: [{ match: 'bias', frozen: true }] } },
    /optimizer\.groups: group 1 \('bias'\): expected to take/,
  ],
] as const)
  test(`${title} is refused before anything is sent`, async (t) => {
    await t.throwsAsync(connect({ join: '127.0.0.1:1', tensors: [line], ...(options as object) }), {
      instanceOf: UserError,
      message,
    });
  });

test('a client that only reads follows a shard to another server, and is told of the end of its run', async (t) => {
  const keeper = await startTestServer(t);
  const other = await startTestServer(t, { join: keeper.address });
  const large = { name: 'large', shape: [300_000], values: new Float32Array(300_000).fill(3) };
  const worker = await connect({
    join: keeper.address,
    tensors: [line, large],
    optimizer: 'sgd',
    learningRate: 1,
    codec: 'fp32',
  });
  const reader = await connect({ join: keeper.address });
  const read = async () => {
    const { values, step, skew } = await reader.pull();
    t.true(values.large.every((value) => value === values.large[0]));
    return { slope: [...values.slope], large: values.large[0], step, skew };
  };
  t.deepEqual(await read(), { slope: [1, 2], large: 3, step: 0, skew: 0 });
  await other.close('the test closes it');
  // Training has gone on before the reader looks again.
  await worker.pushPull({ slope: new Float32Array([1, 1]), large: new Float32Array(300_000).fill(1) });
  t.deepEqual(await read(), { slope: [0, 1], large: 2, step: 1, skew: 0 });
  t.is(keeper.runs.get(worker.run)?.size, 2);
  await worker.close();
  await t.throwsAsync(
    async () => {
      for (;;) await reader.pull();
    },
    { instanceOf: RunError, message: /server 0 .* ended the stream .*expected the id of a running run/ },
  );
  await reader.close();
});
