// One run between its streams: who subscribes gets every new block once and never an old one, however slow or
// short-lived other subscribers are.
import test from 'ava';
import { HostedRun, type PushCall } from '../../server/hosted-run.js';
import { reportTo } from '../../server/metrics.js';
import type { PullCall } from '../../server/reader.js';
import { codecs, lossyCodecNames } from '../../shared/codec/registry.js';
import { OBSERVERS_MAX, UNREAD_MAX, WORKER_READERS_MAX } from '../../shared/limits.js';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import { Framed } from '../../shared/rpc/frame.js';
import { deserializePull } from '../../shared/rpc/proto.js';
import { Refused } from '../../shared/rpc/refusal.js';
import { layoutOf } from '../../shared/run/spec.js';
import { parseExposition, sampleValue } from '../helpers/exposition.js';
import { bulkOf, contributionOf, headerOf, makeSpec, normals } from '../helpers/shards.js';

const spec = makeSpec({ workers: 1 });
const layout = layoutOf(spec);
const exchanged = layout.blocks.filter(({ kind }) => kind !== 'frozen');

interface Written {
  block?: { block: number; step: number; version: number };
  outcome?: { step: number };
  waiting?: { step: number; workers: number[]; seconds: number };
  ready?: object;
  refusal?: { sentence: string };
  ack?: { step: number; blocks: number[]; releasedBytes: number };
}

/** A stream that keeps what is written to it, and flushes when it is told to. */
function fakeCall() {
  const written: Written[] = [];
  const unflushed: { bulk: boolean; flushed: () => void }[] = [];
  let ended = false;
  return {
    written,
    get ended() {
      return ended;
    },
    blocks: () => written.flatMap(({ block }) => (block ? [[block.block, block.step, block.version]] : [])),
    /** Bulk messages that have been written and not flushed. */
    get unflushed() {
      return unflushed.filter(({ bulk }) => bulk).length;
    },
    flush() {
      while (unflushed.length > 0) unflushed.shift()?.flushed();
    },
    write(message: object, flushed?: () => void) {
      if (ended) throw new Error('written after its end');
      written.push(message instanceof Framed ? (deserializePull(message.message) as Written) : message);
      if (flushed) unflushed.push({ bulk: message instanceof Framed, flushed });
      return true;
    },
    end() {
      ended = true;
    },
  };
}

function hostedRun(runSpec = spec) {
  const view = {
    number: 1,
    fromStep: 0,
    servers: [],
    workers: [],
    placement: layout.blocks.map(() => 0),
    rowPlacement: [],
    departed: null,
    shards: [],
    term: 0,
    consistency: 1 as const,
    staleness: 0,
  };
  const instruments = createMetrics('server');
  const run = new HostedRun(
    'r',
    runSpec,
    view,
    layout,
    layout.blocks.map(({ index }) => index),
    reportTo(instruments),
    () => 0,
  );
  for (const { index, elements } of layout.blocks)
    run.shard.initial(0, bulkOf(0, index, 'fp32', normals(elements, index)));
  const subscribe = (rank?: number) => {
    const call = fakeCall();
    const reader = run.attachReader(call as unknown as PullCall, rank);
    run.subscribe(reader, { codec: 2 });
    return { call, reader };
  };
  const train = (step: number, rank = 0) => {
    run.push(rank, { header: { view: 1, step, ...headerOf(step, rank) } } as never);
    for (const { index } of exchanged)
      run.push(rank, { contribution: contributionOf(runSpec, step, rank, index) } as never);
  };
  return { run, subscribe, train, instruments };
}

const expectedAt = (step: number) => exchanged.map(({ index }) => [index, step, step]);

test('every subscriber gets every block of every step, once, with its step and version', (t) => {
  const { subscribe, train } = hostedRun();
  const subscribers = [subscribe(), subscribe()];
  for (let step = 0; step < 3; step++) {
    train(step);
    for (const { call } of subscribers) call.flush();
  }
  for (const { call } of subscribers)
    t.deepEqual(call.blocks(), [...expectedAt(1), ...expectedAt(2), ...expectedAt(3)]);
});

test('a subscriber that leaves before it has its blocks leaves no old block to the others', (t) => {
  const { run, subscribe, train } = hostedRun();
  const steady = subscribe();
  const leaving = subscribe();
  train(0);
  steady.call.flush();
  run.detachReader(leaving.reader);
  train(1);
  steady.call.flush();
  t.deepEqual(steady.call.blocks(), [...expectedAt(1), ...expectedAt(2)]);
});

test('a subscriber that does not read holds nobody up, and what waits for it does not grow', (t) => {
  const { subscribe, train } = hostedRun();
  const steady = subscribe();
  const slow = subscribe();
  for (let step = 0; step < 20; step++) {
    train(step);
    steady.call.flush();
  }
  t.is(steady.call.blocks().length, 20 * exchanged.length);
  t.is(slow.call.unflushed, 4);
  slow.call.flush();
  const late = slow.call.blocks().slice(4);
  // What it missed is sent as it stands now, each block at most once.
  t.true(late.length <= exchanged.length);
  for (const [, step, version] of late) t.deepEqual([step, version], [20, 20]);
});

test('a subscriber that never reads is refused in the end, and the others are not', (t) => {
  const { run, subscribe } = hostedRun();
  const steady = subscribe();
  const deaf = subscribe();
  const skip = { ...headerOf(0, 0), allFinite: false };
  for (let step = 0; step <= UNREAD_MAX; step++) {
    run.push(0, { header: { view: 1, step, ...skip } } as never);
    run.announceWaiting();
    steady.call.flush();
  }
  t.true(deaf.call.ended);
  t.regex(deaf.call.written.at(-1)?.refusal?.sentence ?? '', /at most 4096 messages unread/);
  t.true(deaf.call.written.length <= UNREAD_MAX + 3);
  t.false(steady.call.ended);
});

test('one who subscribes in the middle gets what is new from then on', (t) => {
  const { subscribe, train } = hostedRun();
  const first = subscribe();
  train(0);
  const second = subscribe();
  first.call.flush();
  train(1);
  for (const { call } of [first, second]) call.flush();
  t.deepEqual(second.call.blocks(), expectedAt(2));
  t.deepEqual(first.call.blocks(), [...expectedAt(1), ...expectedAt(2)]);
});

test('acknowledgements of one turn travel together, and none after the stream has gone', async (t) => {
  const { run, train } = hostedRun();
  const call = fakeCall();
  run.attachWriter(0, call as unknown as PushCall);
  train(0);
  await new Promise(setImmediate);
  const acks = call.written.flatMap(({ ack }) => (ack ? [ack] : []));
  t.is(acks.length, 1);
  t.deepEqual(
    acks[0].blocks,
    exchanged.map(({ index }) => index),
  );
  const sent = exchanged.reduce(
    (sum, { index }) => sum + contributionOf(spec, 0, 0, index).payload.length,
    0,
  );
  t.is(acks[0].releasedBytes, sent);
  train(1);
  run.close();
  await new Promise(setImmediate);
  t.true(call.ended);
});

test('a stream that replaces another of its worker gets the acknowledgements', async (t) => {
  const { run, train } = hostedRun();
  const [old, fresh] = [fakeCall(), fakeCall()];
  run.attachWriter(0, old as unknown as PushCall);
  run.attachWriter(0, fresh as unknown as PushCall);
  t.true(old.ended);
  train(0);
  await new Promise(setImmediate);
  t.is(fresh.written.filter(({ ack }) => ack).length, 1);
});

test('what was fetched is one version, however slowly it is read while training goes on', (t) => {
  const { run, train } = hostedRun();
  const call = fakeCall();
  const reader = run.attachReader(call as unknown as PullCall);
  train(0);
  run.fetch(reader, { step: 1, codec: 1, blocks: [] });
  for (let step = 1; step < 4; step++) train(step);
  call.flush();
  t.deepEqual(
    call.blocks().map(([block, step]) => [block, step]),
    layout.blocks.map(({ index }) => [index, 1]),
  );
  // The next fetch is of what stands now.
  run.fetch(reader, { step: 4, codec: 1, blocks: [0] });
  call.flush();
  t.deepEqual(call.blocks().at(-1), [0, 4, 4]);
});

test('a reader that leaves before it has what it fetched makes nobody copy for it', (t) => {
  const { run, train } = hostedRun();
  const call = fakeCall();
  const reader = run.attachReader(call as unknown as PullCall);
  run.fetch(reader, { step: 0, codec: 1, blocks: [] });
  run.detachReader(reader);
  run.detachReader(reader);
  train(0);
  const other = fakeCall();
  run.fetch(run.attachReader(other as unknown as PullCall), { step: 1, codec: 1, blocks: [] });
  other.flush();
  t.deepEqual(
    other.blocks().map(([, step]) => step),
    layout.blocks.map(() => 1),
  );
});

test('the streams that a worker reads from are counted, and too many are refused', (t) => {
  const { run } = hostedRun();
  const readers = Array.from({ length: WORKER_READERS_MAX }, () => run.attachReader(fakeCall() as never, 0));
  t.is(t.throws(() => run.attachReader(fakeCall() as never, 0), { instanceOf: Refused })?.label, 'full');
  t.notThrows(() => run.attachReader(fakeCall() as never, 1));
  run.detachReader(readers[0]);
  t.notThrows(() => run.attachReader(fakeCall() as never, 0));
});

test('observers are counted, and too many are refused', (t) => {
  const { run } = hostedRun();
  const readers = Array.from({ length: OBSERVERS_MAX }, () => run.attachReader(fakeCall() as never));
  t.is(t.throws(() => run.attachReader(fakeCall() as never), { instanceOf: Refused })?.label, 'full');
  t.notThrows(() => run.attachReader(fakeCall() as never, 0));
  run.detachReader(readers[0]);
  t.notThrows(() => run.attachReader(fakeCall() as never));
});

const clocked = makeSpec({ workers: 2, consistency: 'ssp', staleness: 1, globalBatch: 32 });

test('ssp: a worker gets the blocks of its own steps only, and what was withheld as it stands when it is let go', async (t) => {
  const { run, subscribe, train, instruments } = hostedRun(clocked);
  const fast = subscribe(0);
  const slow = subscribe(1);
  const observer = fakeCall();
  run.attachReader(observer as unknown as PullCall);
  const drain = () => {
    for (const { call } of [fast, slow]) call.flush();
  };
  train(0);
  drain();
  train(1);
  drain();
  t.deepEqual(
    fast.call.blocks(),
    exchanged.map(({ index }) => [index, 1, 1]),
  );
  t.deepEqual(slow.call.blocks(), []);
  t.deepEqual(run.waiting(), { step: 0, workers: [1], waitedMs: 0 });
  run.announceWaiting();
  t.like(fast.call.written.at(-1), { waiting: { step: 0, workers: [1] } });
  t.is(slow.call.written.filter(({ waiting }) => waiting).length, 0);

  train(0, 1);
  drain();
  // Two updates of worker 0 and one of worker 1.
  t.deepEqual(
    fast.call.blocks().slice(exchanged.length),
    exchanged.map(({ index }) => [index, 2, 3]),
  );
  t.deepEqual(
    slow.call.blocks(),
    exchanged.map(({ index }) => [index, 1, 3]),
  );
  t.deepEqual(
    [fast, slow].map(({ call }) => call.written.flatMap(({ outcome }) => outcome?.step ?? [])),
    [[0, 1], [0]],
  );
  t.deepEqual(run.waiting(), { step: 1, workers: [], waitedMs: 0 });
  t.deepEqual(observer.blocks(), []);

  const exposition = parseExposition(await instruments.registry.metrics());
  const reads = (rank: string, le: string) =>
    sampleValue(exposition, 'gradloom_read_staleness_steps_bucket', { rank, le });
  t.is(reads('0', '0'), 0);
  t.is(reads('0', '1'), 2 * exchanged.length);
  t.is(reads('1', '0'), exchanged.length);
  t.is(sampleValue(exposition, 'gradloom_read_staleness_max_steps', { run: 'r' }), 1);
});

test('ssp: a worker that does not read gets each block once, as it stands then, for its latest step', (t) => {
  const { subscribe, train } = hostedRun({ ...clocked, consistency: 'asp', staleness: undefined });
  const deaf = subscribe(0);
  for (let step = 0; step < 5; step++) train(step);
  train(0, 1);
  t.is(deaf.call.unflushed, 4);
  deaf.call.flush();
  const late = deaf.call.blocks().slice(4);
  t.true(late.length <= exchanged.length);
  for (const [, step, version] of late) t.deepEqual([step, version], [5, 6]);
});

test('an observer that subscribes to a lossy codec is refused: being late, it would miss a difference', (t) => {
  const optimizer = optimizerSpec('momentum', 0.01);
  for (const codec of lossyCodecNames) {
    const run = hostedRun(makeSpec({ workers: 1, codec, optimizer })).run;
    const call = fakeCall();
    const reader = run.attachReader(call as unknown as PullCall);
    t.throws(() => run.subscribe(reader, { codec: codecs[codec].id }), {
      message: new RegExp(`under codec ${codec} observers only fetch`),
    });
    run.fetch(reader, { step: 0, codec: codecs.fp32.id, blocks: [] });
    t.true(call.blocks().length > 0);
  }
});

test('ssp: an observer that subscribes is refused, since it has no steps of its own', (t) => {
  const { subscribe } = hostedRun(clocked);
  t.throws(() => subscribe(), { message: /observers only fetch/ });
});
