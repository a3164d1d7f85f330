// Backup workers over the pure cores: servers and workers whose messages come in any order (each stream keeps its own).
// All servers take the same contributors of a step, the sums are those of these and of nobody else, and nobody waits
// for ever. The reference is float64, and to the bit a run that has no workers but the contributors.
import test from 'ava';
import fc from 'fast-check';
import { StepCut } from '../../../server/consistency/step-cut.js';
import type { BlockNorms, Cut, Effect } from '../../../server/effects.js';
import type { Outcome } from '../../../server/step-headers.js';
import { optimizerSpec } from '../../../shared/optimizer/spec.js';
import { keyedRandom } from '../../../shared/random.js';
import { Refused } from '../../../shared/rpc/refusal.js';
import { layoutOf, type RunSpec } from '../../../shared/run/spec.js';
import {
  bitsOfAll,
  contributionOf,
  gradientOf,
  headerOf,
  makeShards,
  makeSpec,
  normals,
  valuesOf,
} from '../../helpers/shards.js';
import { deliver, type Message, messagesOf, trainContributors } from '../../helpers/training.js';

const STEPS = 5;

interface Trained {
  /** Contributors by step, as each server said them. */
  taken: (readonly number[])[][];
  skipped: boolean[];
  bits: Uint32Array;
  values: Float32Array[];
  acknowledged: { worker: number; step: number; block: number }[];
  lateBlocks: number;
  heldBytes: number[];
  sentBytes: number[];
  releasedBytes: number[];
  firstHeaders: number[][];
}

/** Trains with everything in random order; throws where nothing can go on. */
function trainMixed(spec: RunSpec, servers: number, seed: number, badStep = -1): Trained {
  const set = makeShards(spec, servers);
  const random = keyedRandom(seed, 'order');
  const { workers } = spec;
  const streams = Array.from({ length: workers * servers }, (_, index) => ({
    worker: Math.floor(index / servers),
    server: index % servers,
    /** What the worker has still to send, and what is on its way. */
    unsent: [] as Message[],
    queue: [] as Message[],
  }));
  const between = Array.from({ length: servers * servers }, (_, index) => ({
    from: Math.floor(index / servers),
    to: index % servers,
    queue: [] as ({ cut: Cut } | { norms: BlockNorms })[],
  })).filter(({ from, to }) => from !== to);
  /** The step under way of each worker; undefined: it has to begin one. */
  const under = new Array<number | undefined>(workers).fill(undefined);
  const outcomes: (Outcome | undefined)[][] = set.shards.map(() => []);
  const trained: Trained = {
    taken: Array.from({ length: STEPS }, () => []),
    skipped: [],
    bits: new Uint32Array(),
    values: [],
    acknowledged: [],
    lateBlocks: 0,
    heldBytes: [],
    sentBytes: new Array(workers).fill(0),
    releasedBytes: new Array(workers).fill(0),
    firstHeaders: Array.from({ length: STEPS }, () => []),
  };
  const carryOut = (server: number, effects: readonly Effect[]) => {
    for (const effect of effects) {
      const sends =
        effect.kind === 'cut'
          ? { cut: effect.cut }
          : effect.kind === 'norms'
            ? { norms: effect.norms }
            : undefined;
      if (sends) for (const { from, queue } of between) if (from === server) queue.push(sends);
      if (effect.kind === 'ack') trained.acknowledged.push(effect);
      if (effect.kind === 'late') trained.lateBlocks++;
      if (effect.kind === 'release') trained.releasedBytes[effect.worker] += effect.bytes;
      if (effect.kind !== 'outcome') continue;
      const { outcome } = effect;
      outcomes[server][outcome.step] = outcome;
      trained.taken[outcome.step].push(outcome.contributors);
      trained.skipped[outcome.step] = outcome.skipped;
    }
  };
  /** What a worker may do: begin the step that is open on all servers, or stop one that has gone on without it. */
  const decided = (step: number) =>
    outcomes.map((told) => told[step]).find((outcome) => outcome !== undefined);
  for (;;) {
    const steps = set.shards.map(({ step }) => step);
    if (steps.every((step) => step === STEPS)) break;
    const actions: (() => void)[] = [];
    for (let worker = 0; worker < workers; worker++) {
      const step = under[worker];
      const own = streams.filter((stream) => stream.worker === worker);
      if (step !== undefined) {
        const outcome = decided(step);
        const isOut = outcome && (outcome.skipped || !outcome.contributors.includes(worker));
        const isDone = steps.every((closed) => closed > step);
        if (isOut || isDone)
          actions.push(() => {
            under[worker] = undefined;
            // Headers have gone to all servers before the first contribution.
            for (const stream of own)
              if (isOut) stream.unsent = stream.unsent.filter((message) => 'header' in message);
          });
        continue;
      }
      const [open] = steps;
      if (open === STEPS || steps.some((each) => each !== open) || decided(open)) continue;
      actions.push(() => {
        under[worker] = open;
        const header = { ...headerOf(open, worker), allFinite: !(open === badStep && worker === 0) };
        for (const stream of own)
          stream.unsent.push(...messagesOf(spec, set, worker, stream.server, open, header));
      });
    }
    for (const stream of streams) {
      if (stream.unsent.length > 0)
        actions.push(() => {
          const message = stream.unsent.shift() as Message;
          stream.queue.push(message);
          if ('contribution' in message)
            trained.sentBytes[stream.worker] += message.contribution.payload.byteLength;
        });
      if (stream.queue.length > 0)
        actions.push(() => {
          const message = stream.queue.shift() as Message;
          if ('header' in message && stream.server === 0)
            trained.firstHeaders[message.step].push(stream.worker);
          carryOut(stream.server, deliver(set.shards[stream.server], stream.worker, message));
        });
    }
    for (const { to, queue } of between)
      if (queue.length > 0)
        actions.push(() => {
          const sent = queue.shift() as (typeof queue)[number];
          carryOut(to, 'cut' in sent ? set.shards[to].cut(sent.cut) : set.shards[to].norms(sent.norms));
        });
    if (actions.length === 0)
      throw new Error(
        `nothing can go on: ${JSON.stringify(set.shards.map((shard) => [shard.step, shard.waitingFor(), shard.awaitsCut]))}`,
      );
    actions[random.below(actions.length)]();
  }
  for (const stream of streams)
    for (const message of stream.queue)
      carryOut(stream.server, deliver(set.shards[stream.server], stream.worker, message));
  trained.bits = bitsOfAll(set);
  trained.values = set.owners.map((owner, block) => valuesOf(set.shards[owner], block));
  trained.heldBytes = set.shards.map(({ heldBytes }) => heldBytes);
  return trained;
}

const anyRun = fc
  .record({
    servers: fc.integer({ min: 1, max: 3 }),
    workers: fc.integer({ min: 2, max: 5 }),
    backups: fc.integer({ min: 1, max: 4 }),
    seed: fc.nat(),
  })
  .map((each) => ({ ...each, backups: Math.min(each.backups, each.workers - 1) }));

for (const optimizer of [
  optimizerSpec('sgd', 0.1),
  optimizerSpec('adam', 1e-2),
  { ...optimizerSpec('lamb', 1e-2), clipNorm: 0.05 },
])
  test(`${optimizer.kind}: all servers take the same contributors, and the bits are those of a run of these alone`, (t) => {
    let lateBlocks = 0;
    fc.assert(
      fc.property(
        anyRun,
        fc.integer({ min: -1, max: STEPS - 1 }),
        ({ servers, workers, backups, seed }, badStep) => {
          const spec = makeSpec({ workers, backupWorkers: backups, optimizer });
          const trained = trainMixed(spec, servers, seed, badStep);
          lateBlocks += trained.lateBlocks;
          for (const [step, told] of trained.taken.entries()) {
            t.is(told.length, servers);
            for (const contributors of told) t.deepEqual(contributors, told[0]);
            const first = trained.firstHeaders[step].slice(0, workers - backups);
            t.deepEqual(
              told[0],
              first.sort((a, b) => a - b),
            );
          }
          const taken = trained.taken.map(([contributors]) => contributors);
          for (const { worker, step } of trained.acknowledged) t.true(taken[step].includes(worker));
          t.deepEqual(trained.releasedBytes, trained.sentBytes);
          t.true(trained.heldBytes.every((bytes) => bytes === 0));
          t.deepEqual(trained.bits, bitsOfAll(trainContributors(spec, taken, badStep)));
        },
      ),
      { seed: 20_264, numRuns: 40 },
    );
    t.true(lateBlocks > 20, `${lateBlocks} blocks came late`);
  });

test('sums are those of the contributors, as float64 has them', (t) => {
  fc.assert(
    fc.property(anyRun, ({ servers, workers, backups, seed }) => {
      const spec = makeSpec({
        workers,
        backupWorkers: backups,
        codec: 'fp32',
        optimizer: optimizerSpec('sgd', 0.1),
      });
      const trained = trainMixed(spec, servers, seed);
      for (const { index, kind, elements } of layoutOf(spec).blocks) {
        const expected = Float64Array.from(normals(elements, 'initial', spec.seed, index));
        const sizes = new Float64Array(elements);
        for (const [step, [contributors]] of trained.taken.entries()) {
          const samples = contributors.reduce((sum, rank) => sum + headerOf(step, rank).samples, 0);
          const mean = new Float64Array(elements);
          for (const rank of contributors)
            for (const [i, x] of gradientOf(spec, step, rank, index).entries()) {
              mean[i] += (x * headerOf(step, rank).samples) / samples;
              sizes[i] += Math.abs(x);
            }
          for (let i = 0; i < elements; i++)
            if (kind === 'trainable') expected[i] -= 0.1 * mean[i];
            else if (kind === 'state') expected[i] = mean[i];
        }
        for (const [i, x] of trained.values[index].entries())
          t.true(
            Math.abs(x - expected[i]) <= 1e-5 * (1 + Math.abs(expected[i]) + sizes[i]),
            `${index}[${i}]`,
          );
      }
    }),
    { seed: 20_265, numRuns: 25 },
  );
});

test('a server that does not decide waits for the cut when it has headers enough, and for workers before', (t) => {
  const spec = makeSpec({ workers: 3, backupWorkers: 1 });
  const { shards } = makeShards(spec, 2);
  const header = (server: number, worker: number) => shards[server].header(worker, 0, headerOf(0, worker));
  t.deepEqual(header(1, 2), []);
  t.deepEqual([shards[1].waitingFor(), shards[1].awaitsCut], [[0, 1], false]);
  t.deepEqual(header(1, 0), []);
  t.deepEqual([shards[1].waitingFor(), shards[1].awaitsCut], [[], true]);
  header(0, 1);
  t.deepEqual([shards[0].waitingFor(), shards[0].awaitsCut], [[0, 2], false]);
  const cuts = header(0, 2).flatMap((effect) => (effect.kind === 'cut' ? [effect.cut] : []));
  t.deepEqual(cuts, [{ step: 0, contributors: [1, 2] }]);
  t.deepEqual(shards[0].waitingFor(), [1, 2], 'their contributions');
  shards[1].cut(cuts[0]);
  t.deepEqual([shards[1].waitingFor(), shards[1].awaitsCut], [[1, 2], false]);
});

test('contributors that cannot be are refused, and change nothing', (t) => {
  const follows = () => new StepCut({ workers: 3, backupWorkers: 1, leads: false });
  for (const contributors of [[], [1], [0, 1, 2], [1, 0], [1, 1], [1, 3]]) {
    const cut = follows();
    t.is(t.throws(() => cut.take({ step: 0, contributors }), { instanceOf: Refused })?.label, 'malformed');
    t.is(cut.members, undefined);
  }
  const cut = follows();
  t.true(cut.take({ step: 0, contributors: [0, 2] }));
  t.false(cut.take({ step: 0, contributors: [0, 2] }), 'a repetition');
  t.throws(() => cut.take({ step: 0, contributors: [0, 1] }), {
    instanceOf: Refused,
    message: /to stay \[0,2\]/,
  });
  for (const options of [
    { workers: 3, backupWorkers: 1, leads: true },
    { workers: 3, backupWorkers: 0, leads: false },
  ]) {
    const error = t.throws(() => new StepCut(options).take({ step: 0, contributors: [0, 2] }), {
      instanceOf: Refused,
    });
    t.is(error?.label, 'not_now');
  }
  const [, shard] = makeShards(makeSpec({ workers: 3, backupWorkers: 1 }), 2).shards;
  t.throws(() => shard.cut({ step: 1, contributors: [0, 2] }), { instanceOf: Refused, message: /of step 0/ });
});

test('what comes late is released and not acknowledged, in the open step and after it; a repetition is acknowledged', (t) => {
  const spec = makeSpec({ workers: 2, backupWorkers: 1 });
  const [shard] = makeShards(spec, 1).shards;
  const kinds = (effects: readonly Effect[]) => effects.map(({ kind }) => kind);
  const exchanged = layoutOf(spec).blocks.filter(({ kind }) => kind !== 'frozen');
  shard.header(1, 0, headerOf(0, 1));
  t.deepEqual(kinds(shard.header(0, 0, headerOf(0, 0))), [], 'a header that comes late');
  t.deepEqual(kinds(shard.contribution(0, contributionOf(spec, 0, 0, exchanged[0].index))), [
    'late',
    'release',
  ]);
  for (const { index } of exchanged) shard.contribution(1, contributionOf(spec, 0, 1, index));
  t.is(shard.step, 1);
  t.deepEqual(kinds(shard.contribution(0, contributionOf(spec, 0, 0, exchanged[1].index))), [
    'late',
    'release',
  ]);
  t.deepEqual(kinds(shard.contribution(1, contributionOf(spec, 0, 1, exchanged[1].index))), [
    'duplicate',
    'ack',
    'release',
  ]);
});
