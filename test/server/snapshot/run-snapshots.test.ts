// A snapshot of a shard that goes on training: it holds every block exactly as it was at the cut, although each has
// changed before it was written, and a shard restored from it goes on to the same bits.
import { join } from 'node:path';
import test from 'ava';
import { HostedRun } from '../../../server/hosted-run.js';
import { reportTo } from '../../../server/metrics.js';
import { Shard } from '../../../server/shard.js';
import { restoreShard } from '../../../server/snapshot/restore.js';
import { RunSnapshots } from '../../../server/snapshot/run-snapshots.js';
import { schemaHash } from '../../../shared/blocks/manifest.js';
import { UserError } from '../../../shared/errors.js';
import { createMetrics } from '../../../shared/metrics/metrics.js';
import { optimizerSpec } from '../../../shared/optimizer/spec.js';
import type { SnapshotPart } from '../../../shared/rpc/generated/gradloom/v1/SnapshotPart.js';
import { Refused } from '../../../shared/rpc/refusal.js';
import { describeSpec } from '../../../shared/run/difference.js';
import { layoutOf, type RunSpec } from '../../../shared/run/spec.js';
import { FolderStore } from '../../../shared/snapshot/folder-store.js';
import { writeManifest } from '../../../shared/snapshot/manifest.js';
import { temporaryFolder } from '../../helpers/folder.js';
import { bulkOf, contributionOf, headerOf, makeSpec, normals } from '../../helpers/shards.js';

const CUT = 2;
const STEPS = 5;

/** Deep copies of all arrays of all blocks, with their versions. */
const stateOf = (shard: Shard) =>
  [...shard.blockIndices].map((block) => {
    const { version, arrays } = shard.stateOf(block);
    return { block, version, arrays: [...arrays].map(([name, array]) => [name, [...array]]) };
  });

interface Pushed {
  push(rank: number, message: never): void;
}

function train(run: Pushed, spec: RunSpec, steps: number[]): void {
  for (const step of steps)
    for (let rank = 0; rank < spec.workers; rank++) {
      run.push(rank, { header: { view: 1, step, ...headerOf(step, rank) } } as never);
      for (const { index, kind } of layoutOf(spec).blocks)
        if (kind !== 'frozen')
          run.push(rank, { contribution: contributionOf(spec, step, rank, index) } as never);
    }
}

/** Trains a hosted run with a cut ordered, without a turn of the event loop from the cut to the end. */
async function trained(spec: RunSpec, folder: string, orders: number[] = [CUT]) {
  const layout = layoutOf(spec);
  const metrics = reportTo(createMetrics('server'));
  const owned = layout.blocks.map(({ index }) => index);
  const view = {
    ...{ number: 1, fromStep: 0, servers: [], workers: [], rowPlacement: [] },
    ...{
      placement: owned.map(() => 0),
      consistency: 1 as const,
      staleness: 0,
      departed: null,
      shards: [],
      term: 0,
    },
  };
  const run = new HostedRun('r', spec, view, layout, owned, metrics, () => 0);
  const reports: SnapshotPart[] = [];
  let written = (): void => undefined;
  const all = new Promise<void>((resolve) => {
    written = resolve;
  });
  const store = new FolderStore(folder);
  run.snapshots = new RunSnapshots({
    ...{ run: 'r', shard: run.shard, workers: spec.workers, store, index: 0, metrics, now: () => 0 },
    report(part) {
      reports.push(part);
      if (reports.length === orders.length) written();
    },
  });
  for (const { index, elements } of layout.blocks)
    run.shard.initial(0, bulkOf(0, index, 'fp32', normals(elements, 'initial', index)));
  for (const step of orders) run.snapshots.order({ step, folder: 'r' });
  train(run, spec, [0, 1]);
  const atCut = stateOf(run.shard);
  train(run, spec, [2, 3, 4]);
  await all;
  return { run, reports, atCut, path: join(folder, 'r', `step-${CUT}`) };
}

async function manifestOf(spec: RunSpec, path: string, { file = '', bytes, headerSha256 }: SnapshotPart) {
  const described = Object.entries(describeSpec(spec)).filter(([, value]) => value !== undefined);
  return writeManifest(new FolderStore(path), {
    ...{ format: 1, gradloom: '0', run: 'r', step: CUT, epoch: 1, writtenAt: new Date(0).toISOString() },
    schemaHash: schemaHash(spec.tensors).toString('hex'),
    tensors: spec.tensors.map(({ name, shape, kind }) => ({ name, shape: [...shape], kind })),
    spec: Object.fromEntries(described) as Record<string, string | number>,
    ...{ view: 1, servers: [{ id: 0, address: 'a' }], workers: ['w'] },
    placement: layoutOf(spec).blocks.map(() => 0),
    parts: [
      {
        file,
        bytes: Number(bytes),
        headerSha256: Buffer.from(headerSha256 as Buffer).toString('hex'),
        server: 0,
      },
    ],
  });
}

const OPTIMIZERS: [string, Partial<RunSpec>][] = [
  ['adam', {}],
  ['momentum', { optimizer: optimizerSpec('momentum', 0.1) }],
  ['adagrad', { optimizer: optimizerSpec('adagrad', 0.1) }],
  ['lamb, whose blocks change together,', { optimizer: optimizerSpec('lamb', 0.1) }],
  ['sgd clipped by norm', { optimizer: { ...optimizerSpec('sgd', 0.1), clipNorm: 1 } }],
];

for (const [name, changes] of OPTIMIZERS)
  test(`${name}: a shard restored from a snapshot goes on to the bits of the one that was cut`, async (t) => {
    const folder = await temporaryFolder(t);
    const spec = makeSpec(changes);
    const { run, reports, atCut, path } = await trained(spec, folder);
    const { sha256 } = await manifestOf(spec, path, reports[0]);
    const layout = layoutOf(spec);
    const shard = new Shard(
      spec,
      layout,
      layout.blocks.map(({ index }) => index),
      undefined,
      true,
      CUT,
    );
    await restoreShard(shard, spec, { step: CUT, sha256 }, [new FolderStore(folder)]);
    t.true(shard.initialized);
    t.is(shard.step, CUT);
    t.deepEqual(stateOf(shard), atCut);
    const push = (
      rank: number,
      {
        header,
        contribution,
      }: { header?: ReturnType<typeof headerOf> & { step: number }; contribution?: never },
    ) =>
      void (header
        ? shard.header(rank, header.step, header)
        : shard.contribution(rank, contribution as never));
    train({ push: push as Pushed['push'] }, spec, [2, 3, 4]);
    t.deepEqual(stateOf(shard), stateOf(run.shard));
    t.is(shard.step, STEPS);
  });

test('an order for a step that has begun is late, one while another is written is refused', async (t) => {
  const folder = await temporaryFolder(t);
  const { run, reports } = await trained(makeSpec(), folder, [CUT, CUT + 1]);
  t.deepEqual(reports.map(({ step, failure }) => [step, failure]).sort(), [
    [CUT, undefined],
    [CUT + 1, `the snapshot of step ${CUT} is still being written`],
  ]);
  run.snapshots?.order({ step: CUT, folder: 'r' });
  t.deepEqual(reports.at(-1), { step: CUT, late: true });
});

test('a shard is not restored from another run, nor from none', async (t) => {
  const folder = await temporaryFolder(t);
  const spec = makeSpec();
  const { reports, path } = await trained(spec, folder);
  const { sha256 } = await manifestOf(spec, path, reports[0]);
  const layout = layoutOf(spec);
  const shard = new Shard(spec, layout, [0], undefined, true, CUT);
  await t.throwsAsync(
    restoreShard(shard, spec, { step: CUT, sha256: 'f'.repeat(64) }, [new FolderStore(folder)]),
    {
      instanceOf: Refused,
      message: /expected the snapshot of step 2 that the run resumes from, got none/,
    },
  );
  const other = { ...spec, seed: 2 };
  await t.throwsAsync(restoreShard(shard, other, { step: CUT, sha256 }, [new FolderStore(folder)]), {
    instanceOf: UserError,
    message: /the seed of .* is 1, got 2/,
  });
  t.false(shard.initialized);
});
