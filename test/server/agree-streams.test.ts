// Norms between servers: what a run tells and whom it waits for, by name; a server that is out of reach ends the run
// with a sentence; and what is not a server of the run is refused on its stream.
import test, { type ExecutionContext } from 'ava';
import { AgreeStreams } from '../../server/agree-streams.js';
import type { BlockNorms } from '../../server/effects.js';
import { HostedRun, type PushCall } from '../../server/hosted-run.js';
import { reportTo } from '../../server/metrics.js';
import type { PullCall } from '../../server/reader.js';
import { schemaHash } from '../../shared/blocks/manifest.js';
import { STREAM_UNSENT_MAX } from '../../shared/limits.js';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import type { Bulk } from '../../shared/rpc/bulk.js';
import { Framed } from '../../shared/rpc/frame.js';
import { deserializePull, PROTOCOL_VERSION } from '../../shared/rpc/proto.js';
import { Refused } from '../../shared/rpc/refusal.js';
import { layoutOf } from '../../shared/run/spec.js';
import { openMesh, PEER_DEADLINE_MS, startWorkers, wholeRun } from '../helpers/mesh.js';
import { openRaw } from '../helpers/raw-client.js';
import { until } from '../helpers/server.js';
import { bitsOfAll, bulkOf, contributionOf, headerOf, makeSpec, normals } from '../helpers/shards.js';
import { STEPS, trainInOrder } from '../helpers/training.js';

const spec = makeSpec({ workers: 1, optimizer: { ...optimizerSpec('lamb', 0.01), clipNorm: 0.05 } });
const layout = layoutOf(spec);
const trainable = layout.blocks.filter(({ kind }) => kind === 'trainable').map(({ index }) => index);
/** The first server of the view owns all but the last trainable block. */
const foreign = trainable.at(-1) as number;

interface Written {
  waiting?: { servers: number[]; workers: number[] };
  refusal?: { sentence: string };
}

/** A run on the first of two servers, in the middle of step 0: all its own contributions are there. */
function waitingRun() {
  const lost = new Map<number, string>();
  const sent: BlockNorms[] = [];
  const server = (id: number) => ({ id, address: `127.0.0.1:${id}`, weight: 1 });
  const view = {
    number: 1,
    fromStep: 0,
    servers: [server(7), server(8)],
    workers: [],
    placement: layout.blocks.map(({ index }) => (index === foreign ? 1 : 0)),
    rowPlacement: [],
    departed: null,
    shards: [],
    term: 0,
    consistency: 1 as const,
    staleness: 0,
  };
  const owned = layout.blocks.map(({ index }) => index).filter((index) => index !== foreign);
  const metrics = reportTo(createMetrics('server'));
  const run = new HostedRun('r', spec, view, layout, owned, metrics, () => 0);
  run.agreeOver({
    send: (what) => void ('norms' in what && sent.push(what.norms)),
    lost: (at) => lost.get(at),
    close() {},
  });
  const written: Written[] = [];
  let ended = 0;
  const call = {
    write(message: Written, flushed?: () => void) {
      written.push(message);
      flushed?.();
      return true;
    },
    end: () => void ended++,
  };
  for (const index of owned)
    run.shard.initial(0, bulkOf(0, index, 'fp32', normals(layout.blocks[index].elements, index)));
  run.attachWriter(0, call as unknown as PushCall);
  run.subscribe(run.attachReader(call as unknown as PullCall, 0), { codec: 2 });
  run.push(0, { header: { view: 1, step: 0, ...headerOf(0, 0) } } as never);
  for (const index of owned)
    if (layout.blocks[index].kind !== 'frozen')
      run.push(0, { contribution: contributionOf(spec, 0, 0, index) } as never);
  return { run, sent, lost, written, ended: () => ended };
}

test('a run tells its norms, round after round, and names the server whose norms it waits for', (t) => {
  const { run, sent, written } = waitingRun();
  t.deepEqual(
    sent.map(({ step, round, squares }) => [step, round, squares.length]),
    [[0, 0, trainable.length - 1]],
  );
  t.deepEqual(run.serversWaitedFor(), [1]);
  run.announceWaiting();
  t.like(written.at(-1), { waiting: { servers: [1], workers: [] } });
  run.norms(1, { step: 0, round: 0, blocks: [foreign], squares: [4] });
  t.deepEqual([sent[1].round, sent[1].squares.length], [1, 2 * (trainable.length - 1)]);
  t.is(run.shard.step, 0);
  run.norms(1, { step: 0, round: 1, blocks: [foreign], squares: [1, 1] });
  t.is(run.shard.step, 1);
  t.deepEqual(run.serversWaitedFor(), []);
});

test('norms of a block that the speaker does not own are refused', (t) => {
  const { run } = waitingRun();
  const norms = { step: 0, round: 0, blocks: [foreign], squares: [4] };
  const error = t.throws(() => run.norms(0, norms), { instanceOf: Refused });
  t.is(error?.label, 'unknown_block');
  t.deepEqual(run.serversWaitedFor(), [1]);
});

test('a server that is out of reach ends all streams with its name, and one that is not waited for ends none', (t) => {
  const { run, lost, written, ended } = waitingRun();
  lost.set(0, 'who knows');
  run.serverLost();
  t.is(ended(), 0);
  lost.set(1, 'the connection was reset');
  run.serverLost();
  t.is(ended(), 2);
  const refusals = written.flatMap(({ refusal }) => refusal ?? []);
  t.is(refusals.length, 2);
  for (const { sentence } of refusals)
    t.is(
      sentence,
      'it waits for the norms of step 0 from server 8 (127.0.0.1:8), which is out of reach: the connection was reset; step 0 has been open for 0.0 s, how long a step usually takes is not known yet',
    );
});

test('what was asked for before the norms came is given as it was then, however late it is read', (t) => {
  const { run } = waitingRun();
  const messages: Framed[] = [];
  const unflushed: (() => void)[] = [];
  const call = {
    write(message: object, flushed?: () => void) {
      if (message instanceof Framed) messages.push(message);
      if (flushed) unflushed.push(flushed);
      return true;
    },
    end: () => undefined,
  };
  run.fetch(run.attachReader(call as unknown as PullCall), { step: 0, codec: 1, blocks: [] });
  t.is(messages.length, STREAM_UNSENT_MAX);
  for (const [round, squares] of [[4], [1, 1]].entries())
    run.norms(1, { step: 0, round, blocks: [foreign], squares });
  t.is(run.shard.step, 1);
  const kept = trainable.at(-2) as number;
  while (unflushed.length > 0) unflushed.shift()?.();
  t.is(messages.length, STREAM_UNSENT_MAX + 1);
  const { block } = deserializePull(messages[STREAM_UNSENT_MAX].message) as { block: Bulk };
  t.deepEqual([block.block, block.version], [kept, 0]);
  const initial = normals(layout.blocks[kept].elements, kept);
  t.deepEqual(Buffer.from(block.payload), Buffer.from(initial.buffer));
});

const hello = (changes: object = {}) => ({
  hello: {
    protocolVersion: PROTOCOL_VERSION,
    run: 'held',
    view: 1,
    server: 0,
    schemaHash: schemaHash(spec.tensors),
    ...changes,
  },
});

/** Two servers that hold a run whose worker has sent nothing. */
async function held(t: ExecutionContext) {
  const servers = await openMesh(t, 2);
  const [worker] = await startWorkers({ address: servers[0].address, spec, run: 'held' });
  t.teardown(() => worker.leave());
  return servers;
}

test('servers over gRPC give the bits that shards give, and the next run too', async (t) => {
  const [{ address }] = await openMesh(t, 3);
  const expected = bitsOfAll(trainInOrder(spec, 1));
  for (const run of ['first', 'second']) t.deepEqual(await wholeRun({ address, spec, run }, STEPS), expected);
});

test('a stream of norms that does not fit the run is refused, and the server lives on', async (t) => {
  const [, server] = await held(t);
  for (const [messages, label, says] of [
    [[{ norms: { step: 0 } }], 'malformed', /expected hello/],
    [[hello({ protocolVersion: 9 })], 'protocol_version', /got 9/],
    [[hello({ run: 'nowhere' })], 'unknown_run', /'nowhere'/],
    [[hello({ view: 3 })], 'stale_view', /got 3/],
    [[hello({ schemaHash: Buffer.alloc(32) })], 'schema', /schema hash/],
    [[hello({ server: 2 })], 'malformed', /a server of the view's 2, got 2/],
    [[hello(), {}], 'malformed', /expected norms/],
    [
      [hello(), { norms: { step: 0, round: 0, blocks: [0, 1, 2, 3, 4, 5], squares: [] } }],
      'unknown_block',
      /server 0/,
    ],
    [[hello(), { norms: { step: 0, round: 2 } }], 'malformed', /one of 2 rounds of norms, got round 2/],
  ] as [object[], string, RegExp][]) {
    const stream = openRaw(t, server.address, 'Agree');
    for (const message of messages) stream.send(message);
    const refusal = await stream.refusal();
    t.is(refusal.label, label);
    t.regex(refusal.sentence, says);
  }
});

test('a server that refuses norms, or is not there, is told as lost, with the reason', async (t) => {
  const [, server] = await held(t);
  const told: [number, string][] = [];
  const streams = new AgreeStreams({
    hello: hello({ run: 'nowhere' }).hello,
    addresses: new Map([
      [0, '127.0.0.1:1'],
      [1, server.address],
    ]),
    peerDeadlineMs: PEER_DEADLINE_MS,
    onLost: (at, reason) => void told.push([at, reason]),
  });
  t.teardown(() => streams.close());
  streams.send({ norms: { step: 0, round: 0, blocks: [], squares: [] } });
  await until(() => told.length === 2);
  told.sort(([a], [b]) => a - b);
  t.deepEqual(
    told.map(([at]) => at),
    [0, 1],
  );
  t.is(streams.lost(0), told[0][1]);
  t.regex(told[1][1], /^it refused: .*'nowhere'/);
  streams.send({ norms: { step: 1, round: 0, blocks: [], squares: [] } });
  t.is(told.length, 4, 'and again with the next norms');
});
