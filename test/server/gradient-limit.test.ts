// A limit on the elements of a contribution: what is above it is refused with the worker, the tensor and the
// magnitude, and changes nothing; what is at it is taken, in every codec, whatever the loss scale.
import test from 'ava';
import { reportTo } from '../../server/metrics.js';
import { joinRun } from '../../shared/client/membership.js';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import { Refused } from '../../shared/rpc/refusal.js';
import { layoutOf } from '../../shared/run/spec.js';
import { openServer, PEER_DEADLINE_MS } from '../helpers/mesh.js';
import { helloOf, openRaw } from '../helpers/raw-client.js';
import { bulkOf, finiteHeader, makeShards, makeSpec, stateOf } from '../helpers/shards.js';

const LIMIT = 8;
const LOSS_SCALE = 4;

/** Ones, and at some place another; times the loss scale. */
const gradient = (elements: number, magnitude: number) =>
  Float32Array.from({ length: elements }, (_, i) => (i === elements - 2 ? -magnitude : 1) * LOSS_SCALE);

for (const codec of ['fp32', 'fp16', 'bf16'] as const)
  for (const consistency of ['bsp', 'asp'] as const)
    test(`an element above the limit is refused in ${codec} under ${consistency}, one at it is taken`, (t) => {
      const spec = makeSpec({
        codec,
        consistency,
        workers: 1,
        optimizer: optimizerSpec('sgd', 0.1),
        gradientLimit: LIMIT,
      });
      const [shard] = makeShards(spec, 1).shards;
      const { elements } = layoutOf(spec).blocks[0];
      shard.header(0, 0, { ...finiteHeader, lossScale: LOSS_SCALE });
      const before = stateOf(shard);
      const error = t.throws(() => shard.contribution(0, bulkOf(0, 0, codec, gradient(elements, 12))), {
        instanceOf: Refused,
      });
      t.is(error?.label, 'gradient_limit');
      t.regex(
        error?.sentence ?? '',
        /^worker 0: expected magnitudes of at most 8 in its gradient of 'dense\/kernel' \(block 0, step 0\), got 12\.00;/,
      );
      t.deepEqual(stateOf(shard), before);
      shard.contribution(0, bulkOf(0, 0, codec, gradient(elements, LIMIT)));
      t.notDeepEqual(stateOf(shard), before);
    });

test('the limit is of gradients: state may be as large as it is, and without a limit so may all', (t) => {
  const spec = makeSpec({ codec: 'fp32', workers: 1, gradientLimit: LIMIT });
  const state = layoutOf(spec).blocks.find(({ kind }) => kind === 'state');
  const [shard] = makeShards(spec, 1).shards;
  shard.header(0, 0, finiteHeader);
  t.notThrows(() =>
    shard.contribution(0, bulkOf(0, state?.index ?? -1, 'fp32', new Float32Array(11).fill(1e6))),
  );
  const [unlimited] = makeShards({ ...spec, gradientLimit: undefined }, 1).shards;
  unlimited.header(0, 0, finiteHeader);
  t.notThrows(() => unlimited.contribution(0, bulkOf(0, 0, 'fp32', new Float32Array(77).fill(1e6))));
});

test('over gRPC the worker is told by code and sentence, and the refusal is counted', async (t) => {
  const spec = makeSpec({ codec: 'fp32', workers: 1, gradientLimit: LIMIT });
  const counted: string[] = [];
  const metrics = {
    ...reportTo(createMetrics('server')),
    refused: (code: string) => void counted.push(code),
  };
  const server = await openServer(t, { metrics });
  const membership = await joinRun({
    address: server.address,
    run: 'held',
    spec,
    label: 'worker',
    peerDeadlineMs: PEER_DEADLINE_MS,
    onWelcome: () => undefined,
    onLost: () => undefined,
  });
  t.teardown(() => membership.leave());
  const stream = openRaw(t, server.address, 'Push');
  stream.send(helloOf('held', spec));
  const { blocks } = layoutOf(spec);
  for (const { index, elements } of blocks)
    stream.send({ initial: bulkOf(0, index, 'fp32', new Float32Array(elements)) });
  stream.send({ header: { view: 1, step: 0, ...finiteHeader } });
  stream.send({ contribution: bulkOf(0, 0, 'fp32', gradient(blocks[0].elements, 12)) });
  const { label, sentence } = await stream.refusal();
  t.is(label, 'gradient_limit');
  t.regex(sentence, /^worker 0: .* 'dense\/kernel' .* got 48\.00;/);
  t.deepEqual(counted, ['gradient_limit']);
});
