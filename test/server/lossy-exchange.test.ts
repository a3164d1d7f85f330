// Lossy codecs over real connections: the same bits on any number of servers, workers that hold what the servers
// take them to hold, residuals that bring back what was left out, and skipped steps that leave no trace.
import test from 'ava';
import { type ConnectOptions, connect } from '../../shared/client/index.js';
import type { LossyCodecName } from '../../shared/codec/codec.js';
import { codecs, lossyCodecNames } from '../../shared/codec/registry.js';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import { Refused } from '../../shared/rpc/refusal.js';
import { codecsOf } from '../../shared/run/block-codecs.js';
import { layoutOf, type RunSpec } from '../../shared/run/spec.js';
import { openMesh, openServer, startWorkers } from '../helpers/mesh.js';
import { helloOf, openRaw } from '../helpers/raw-client.js';
import { startTestServer } from '../helpers/server.js';
import {
  contributionOf,
  finiteHeader,
  makeShards,
  makeSpec,
  normals,
  stateOf,
  withPayload,
} from '../helpers/shards.js';

const STEPS = 4;

function lossySpec(codec: LossyCodecName, changes: Partial<RunSpec> = {}): RunSpec {
  return makeSpec({
    tensors: [
      { name: 'dense/kernel', shape: [60, 40], kind: 'trainable' },
      { name: 'dense/bias', shape: [40], kind: 'trainable' },
      { name: 'norm/moving_mean', shape: [1200], kind: 'state' },
      { name: 'embedding', shape: [1500], kind: 'frozen' },
      { name: 'large', shape: [9000], kind: 'trainable' },
      { name: 'out/kernel', shape: [1024], kind: 'trainable' },
    ],
    codec,
    optimizer: codec === 'int8' ? optimizerSpec('adam', 1e-2) : optimizerSpec('momentum', 1e-2),
    ...(codec === 'topk' ? { topKPercent: 1 } : {}),
    ...changes,
  });
}

for (const [codec, changes] of [
  ['int8', {}],
  ['int8', { stochasticRounding: true }],
  ['topk', {}],
  ['topk', { topKWarmupSteps: 3 }],
  ['sign', {}],
] as const) {
  const how =
    'stochasticRounding' in changes
      ? ' rounded by chance'
      : 'topKWarmupSteps' in changes
        ? ' that warms up'
        : '';
  const title = `${codec}${how}`;
  test(`${title} gives the same bits on 1, 2 and 3 servers, and every worker holds the same`, async (t) => {
    const spec = lossySpec(codec, changes);
    const results = [];
    for (const servers of [1, 2, 3]) {
      const [{ address }] = await openMesh(t, servers);
      const workers = await startWorkers({ address, spec });
      const initial = workers[0].parameters();
      for (let step = 0; step < STEPS; step++) {
        const stepped = await Promise.all(workers.map((worker) => worker.step(step, step !== 1)));
        t.deepEqual(
          stepped.map(({ outcome }) => outcome.skipped),
          [step === 1, step === 1],
        );
        if (step === 1) continue;
        const { blocks } = layoutOf(spec);
        const [up, down] = (['up', 'down'] as const).map((way) =>
          codecsOf(spec, blocks, way, step)
            .map(({ payloadBytes }, i) =>
              blocks[i].kind === 'frozen' ? 0 : payloadBytes(blocks[i].elements),
            )
            .reduce((sum, bytes) => sum + bytes, 0),
        );
        // In its first steps top-k sends as much down as it may, also where only one worker's is sent up.
        t.true(codec !== 'topk' ? down === up : 'topKWarmupSteps' in changes ? down >= up : down > up);
        for (const { bytesPushed, bytesPulled } of stepped)
          t.deepEqual([bytesPushed, bytesPulled], [up, down]);
      }
      const bits = await workers[0].fetchBits(STEPS);
      const held = workers.map((worker) => worker.parameters());
      t.deepEqual(held[0], held[1]);
      // Differences arrive: what is held is nearer to the masters than the initial values are.
      const masters = new Float32Array(bits.buffer);
      const distance = (from: Float32Array[]) => {
        const all = Float32Array.from(from.flatMap((block) => [...block]));
        return Math.sqrt(all.reduce((sum, x, i) => sum + (x - masters[i]) ** 2, 0));
      };
      t.true(distance(held[0]) < distance(initial), `${distance(held[0])} of ${distance(initial)}`);
      results.push({ bits, held: held[0] });
      const done = { bytesPushed: 0, bytesPulled: 0, bytesRetried: 0, steps: STEPS };
      await Promise.all(workers.map((worker) => worker.membership.done(done)));
      for (const worker of workers) worker.exchange.close();
    }
    t.deepEqual(results[1], results[0]);
    t.deepEqual(results[2], results[0]);
  });
}

for (const codec of lossyCodecNames) {
  test(`${codec}: a step that is skipped leaves no trace in residuals and parameters`, async (t) => {
    const elements = 2000;
    const tensors = [{ name: 'w', shape: [elements], values: normals(elements, 'start') }];
    const gradient = (step: number) => ({ w: normals(elements, 'step', step) });
    const bad = { w: normals(elements, 'bad').map((x, i) => (i === 77 ? Number.NaN : x)) };
    const finals = [];
    for (const skips of [false, true]) {
      const server = await startTestServer(t);
      const options = {
        join: server.address,
        tensors,
        codec,
        // Top-k with momentum has velocities too, which must leave no trace either.
        optimizer: codec === 'topk' ? 'momentum' : 'sgd',
        learningRate: 0.1,
        workers: 2,
      } as const;
      const clients = await Promise.all([connect(options), connect(options)]);
      for (let step = 0; step < 5; step++) {
        await Promise.all(clients.map((client) => client.pushPull(gradient(step))));
        // One worker's gradients are finite: it may have encoded them before it learns of the verdict.
        if (skips) {
          const [first] = await Promise.all(
            clients.map((client, index) => client.pushPull(index === 0 ? bad : gradient(99))),
          );
          t.true(first.outcome.skipped);
        }
      }
      const held = await Promise.all(clients.map((client) => client.pushPull(gradient(5))));
      const masters = await clients[0].pull();
      finals.push([...held.map(({ values }) => values), masters.values]);
      await Promise.all(clients.map((client) => client.close()));
    }
    t.deepEqual(finals[1], finals[0]);
  });

  test(`${codec}: a payload of nonsense is refused and changes nothing`, (t) => {
    const spec = lossySpec(codec, { workers: 1 });
    const { shards } = makeShards(spec, 1);
    shards[0].header(0, 0, finiteHeader);
    const good = contributionOf(spec, 0, 0, 0);
    const before = stateOf(shards[0]);
    const nonsense = withPayload(good, Buffer.alloc(good.payload.length, 0xff));
    const short = withPayload(good, good.payload.subarray(1));
    const attempts = [short, { ...good, scale: Number.NaN }, { ...good, codec: 2 }];
    if (codec !== 'sign') attempts.push(nonsense);
    for (const bulk of attempts) {
      const error = t.throws(() => shards[0].contribution(0, bulk), { instanceOf: Refused });
      t.true(['payload', 'not_finite'].includes(error.label), error.label);
      t.deepEqual(stateOf(shards[0]), before);
    }
    shards[0].contribution(0, good);
    t.notDeepEqual(stateOf(shards[0]), before);
  });
}

test('top-k brings every element in the end, though 1 % of them travel in a step', async (t) => {
  const elements = 2000;
  const server = await startTestServer(t);
  const client = await connect({
    join: server.address,
    tensors: [{ name: 'w', shape: [elements], values: new Float32Array(elements) }],
    codec: 'topk',
    optimizer: 'sgd',
    learningRate: 1,
  });
  const gradient = Float32Array.from({ length: elements }, (_, i) => -1 - (i * 7919) / 10_000 / elements);
  await client.pushPull({ w: gradient });
  const once = (await client.pull()).values.w;
  t.is(once.filter((x) => x !== 0).length, 20);
  const steps = 400;
  let held = once;
  for (let step = 1; step < steps; step++) held = (await client.pushPull({ w: gradient })).values.w;
  const masters = (await client.pull()).values.w;
  for (let i = 0; i < elements; i++) {
    // An element waits for at most some hundred steps on either way.
    t.true(masters[i] <= -gradient[i] * steps + 1 && masters[i] >= -gradient[i] * (steps - 160), `${i}`);
    t.true(held[i] >= -gradient[i] * (steps - 320), `${i}`);
  }
  await client.close();
});

test('options of codecs reach the servers from the SDK: the share of top-k while it warms up, and the rounding', async (t) => {
  const elements = 2000;
  const gradient = { w: normals(elements, 'step') };
  const changed = async (
    options: Pick<ConnectOptions, 'codec' | 'rounding' | 'topKPercent' | 'topKWarmupSteps'>,
  ) => {
    const server = await startTestServer(t);
    const tensors = [{ name: 'w', shape: [elements], values: new Float32Array(elements) }];
    const client = await connect({ join: server.address, tensors, optimizer: 'sgd', ...options });
    await client.pushPull(gradient);
    const { values } = await client.pull();
    await client.close();
    return values.w;
  };
  const moved = (values: Float32Array) => values.filter((x) => x !== 0).length;
  const topk = { codec: 'topk', topKPercent: 2 } as const;
  t.is(moved(await changed(topk)), elements * 0.02);
  t.is(moved(await changed({ ...topk, topKWarmupSteps: 4 })), elements * 0.25);
  const nearest = await changed({ codec: 'int8' });
  t.deepEqual(await changed({ codec: 'int8', rounding: 'nearest' }), nearest);
  t.notDeepEqual(await changed({ codec: 'int8', rounding: 'stochastic' }), nearest);
});

test('a subscription to differences that comes after the first step is refused, as is a fetch in a lossy codec', async (t) => {
  const server = await openServer(t);
  const spec = lossySpec('int8', { workers: 1 });
  const [worker] = await startWorkers({ address: server.address, spec, run: 'held' });
  const hello = helloOf('held', spec);
  const early = openRaw(t, server.address, 'Pull');
  early.send(hello);
  early.send({ fetch: { step: 0, codec: codecs.int8.id, blocks: [0] } });
  t.like(await early.refusal(), { label: 'payload' });
  await worker.step(0);
  const late = openRaw(t, server.address, 'Pull');
  late.send(hello);
  late.send({ subscribe: { codec: codecs.int8.id } });
  const refusal = await late.refusal();
  t.is(refusal.label, 'not_now');
  t.regex(refusal.sentence, /brings differences, before the first step, got it at step 1/);
  await worker.step(1);
  worker.leave();
});
