// A run that is killed with all its processes goes on from its newest whole snapshot: to the same bits where as many
// workers train, on any number of servers; and whatever is wrong with a snapshot is told by the name of its file.
import { copyFile, cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { status } from '../../shared/client/membership.js';
import { run, start } from '../helpers/processes.js';
import { type JobName, type TinyRun, tinyRun } from '../helpers/tiny-run.js';

/** Of 256 records in batches of 32: eight steps an epoch. */
const BATCH = '--batch=32';
const EPOCHS = 6;
const STEPS = 8 * EPOCHS;
/** What leaves the most at the workers: residuals, and velocities. */
const TOPK = ['--codec=topk', '--optimizer=momentum', '--learning-rate=0.01'];

async function weights(t: ExecutionContext, { flags, readSummary }: TinyRun, ...more: string[]) {
  const { code, stderr } = await run(t, 'gradloom', ['up', ...flags, `--epochs=${EPOCHS}`, BATCH, ...more]);
  t.is(code, 0, stderr.join('\n'));
  return (await readSummary()).weightsSha256;
}

const stepOf = (path: string) => Number(basename(path).replace('step-', ''));

/**
 * Starts a run with a snapshot every four steps and kills all of it when one is whole in the second epoch; that one
 * is kept, however many steps the run takes until the news and the kill arrive.
 */
async function killed(t: ExecutionContext, { folder, flags }: TinyRun, ...more: string[]) {
  const snapshots = join(folder, 'snapshots');
  const endless = ['--epochs=100000', BATCH, `--snapshots=${snapshots}`];
  const often = ['--snapshot-steps=4', '--snapshot-keep=1000'];
  const up = start(t, 'gradloom', ['up', ...flags, ...endless, ...often, ...more]);
  const event = await up.event('snapshot', ({ step }) => (step as number) > 8);
  up.signalAll('SIGKILL');
  await up.ended;
  const path = String(event.path);
  t.true(stepOf(path) < STEPS, path);
  return path;
}

interface Changes {
  both?: string[];
  before?: string[];
  after?: string[];
}

async function same(t: ExecutionContext, job: JobName, { both = [], before = [], after = [] }: Changes = {}) {
  t.timeout(180_000);
  const tiny = await tinyRun(t, job);
  const whole = await weights(t, tiny, ...both);
  const path = await killed(t, tiny, ...both, ...before);
  t.is(await weights(t, tiny, ...both, ...after, `--resume=${path}`), whole);
  const { steps, resumedFromStep } = await tiny.readSummary();
  t.deepEqual({ steps, resumedFromStep }, { steps: STEPS - stepOf(path), resumedFromStep: stepOf(path) });
}

test.serial('killed in the second epoch, a run goes on to the weights of one that was not', (t) =>
  same(t, 'small'),
);

test.serial('on two servers instead of three the weights are the same', (t) =>
  same(t, 'small', { before: ['--servers=3'], after: ['--servers=2'] }),
);
test.serial('with residuals and momentum at the workers they are, too', (t) =>
  same(t, 'wide', { both: TOPK, before: ['--servers=1'] }),
);

test.serial('three workers go on where two were killed', async (t) => {
  t.timeout(180_000);
  const tiny = await tinyRun(t, 'wide');
  const path = await killed(t, tiny, ...TOPK);
  t.regex(await weights(t, tiny, ...TOPK, '--workers=3', `--resume=${path}`), /^[0-9a-f]{64}$/);
  t.is((await tiny.readSummary()).workers, 3);
});

test.serial('peers go on as well', (t) => same(t, 'small', { both: ['--peers=2'] }));

/** Flips one byte of a file. */
async function spoil(file: string, at: number): Promise<void> {
  const bytes = await readFile(file);
  bytes[at < 0 ? bytes.length + at : at] ^= 1;
  await writeFile(file, bytes);
}

test.serial(
  'what is wrong with a snapshot is told with its file; an older one that is whole is taken',
  async (t) => {
    t.timeout(180_000);
    const tiny = await tinyRun(t);
    const path = await killed(t, tiny);
    const manifest = join(path, 'manifest.json');
    const part = join(path, 'shard-0.safetensors');
    const refused = async (resume: string, ...more: string[]) => {
      const { code, stderr } = await run(t, 'gradloom', [
        'up',
        ...tiny.flags,
        BATCH,
        `--resume=${resume}`,
        ...more,
      ]);
      t.is(code, 2, stderr.join('\n'));
      t.is(stderr.length, 1, stderr.join('\n'));
      return stderr[0];
    };
    const whole = join(tiny.folder, 'whole');
    await cp(path, whole, { recursive: true });
    const mend = () => cp(whole, path, { recursive: true });

    await spoil(part, -1);
    t.regex(await refused(path), /shard-0\.safetensors .*the array '.*' is not the one that was written/);
    await mend();
    await spoil(part, 100);
    t.true((await refused(path)).includes(part));
    await mend();
    await truncate(part, 1000);
    t.regex(await refused(path), /shard-0\.safetensors .*expected \d+ bytes, as its manifest says, got 1000/);
    await rm(part);
    t.regex(await refused(path), /shard-0\.safetensors: it or its folder does not exist/);
    await mend();
    const edited = (await readFile(manifest, 'utf8')).replace('"epoch":', '"epoch":1');
    await writeFile(manifest, edited);
    t.regex(await refused(path), /manifest\.json .*its SHA-256 differs/);
    await mend();
    t.regex(await refused(path, '--seed=2'), /the seed of .* is 1, got 2/);
    t.regex(await refused(path, '--epochs=1'), /give more --epochs/);
    t.regex(await refused(path, '--codec=fp32'), /the codec of .* is fp16, got fp32/);
    await rm(manifest);
    t.regex(await refused(path), /expected a whole snapshot in .*, got none/);

    // Of the run's folder the newest that can be trusted: this one, with a torn and a spoiled one after it.
    await mend();
    const folder = dirname(path);
    const [torn, spoiled] = [100_000, 100_001].map((step) => join(folder, `step-${step}`));
    await cp(path, torn, { recursive: true });
    await rm(join(torn, 'manifest.json'));
    await cp(path, spoiled, { recursive: true });
    await copyFile(part, join(spoiled, 'shard-1.safetensors'));
    for (const name of await readdir(folder)) {
      const each = join(folder, name);
      if (![path, torn, spoiled].includes(each)) await rm(each, { recursive: true });
    }
    const up = start(t, 'gradloom', ['up', ...tiny.flags, BATCH, `--epochs=${EPOCHS}`, `--resume=${folder}`]);
    const { text } = await up.event('notice');
    t.regex(String(text), /passed over: .*step-100001/);
    t.is((await up.ended).code, 0);
    t.is((await tiny.readSummary()).resumedFromStep, stepOf(path));
  },
);

test.serial(
  'killed at any moment, the newest whole snapshot goes on, and only so many are kept',
  async (t) => {
    t.timeout(180_000);
    const tiny = await tinyRun(t, 'wide');
    const snapshots = join(tiny.folder, 'snapshots');
    const flags = ['up', ...tiny.flags, BATCH, '--epochs=100000', '--workers=1', '--servers=2'];
    let from = 0;
    for (let kill = 1; kill <= 5; kill++) {
      const more = from > 0 ? [`--resume=${snapshots}`] : [];
      const up = start(t, 'gradloom', [
        ...flags,
        `--snapshots=${snapshots}`,
        '--snapshot-steps=1',
        '--snapshot-keep=2',
        ...more,
      ]);
      const { fromStep } = await up.event('start');
      t.true((fromStep as number) >= from, 'it goes on where a whole snapshot was told');
      let seen = 0;
      // A different moment of a later snapshot each time.
      await up.event('snapshot', ({ step, failure }) => {
        if (failure === undefined) from = step as number;
        return ++seen === 2 * kill;
      });
      up.signalAll('SIGKILL');
      await up.ended;
    }
    t.true(from > 5);
  },
);

test.serial('snapshots that cannot be are refused with a sentence', async (t) => {
  const { flags, folder } = await tinyRun(t);
  const file = join(folder, 'file');
  await writeFile(file, '');
  const cases: [string[], RegExp][] = [
    [['--snapshot-steps=5'], /--snapshot-steps: expected a folder for snapshots beside it/],
    [['--snapshots=s', '--consistency=asp'], /--snapshots: expected consistency bsp/],
    [['--resume=s', '--consistency=local', '--local-steps=4'], /--resume: expected consistency bsp/],
    [[`--snapshots=${file}`], /cannot write snapshots into .*: it is a file/],
    [[`--resume=${folder}/none`], /--resume: .*cannot read .*none: there is nothing; give another folder/],
    [[`--resume=${file}`], /Cannot read .*file: it is a file; give a folder/],
  ];
  for (const [more, words] of cases) {
    const { code, stderr } = await run(t, 'gradloom', ['up', ...flags, ...more]);
    t.is(code, 2, stderr.join('\n'));
    t.regex(stderr.join('\n'), words);
  }
});

test.serial(
  'SIGUSR2 asks for a snapshot, status tells of it, and a disk that takes none stops nobody',
  async (t) => {
    t.timeout(120_000);
    const { flags, folder } = await tinyRun(t);
    const snapshots = join(folder, 'snapshots');
    const up = start(t, 'gradloom', ['up', ...flags, '--epochs=100000', `--snapshots=${snapshots}`]);
    const { address } = await up.event('ready', ({ role }) => role === 'server');
    await up.event('step');
    up.signal('SIGUSR2');
    const first = await up.event('snapshot');
    const { runs } = await status(String(address), 10_000);
    t.is(runs[0].snapshot, String(first.path));
    t.is(runs[0].snapshotStep, first.step as number);
    // Its folder becomes a file: nothing can be written there any more.
    await rm(dirname(String(first.path)), { recursive: true });
    await writeFile(dirname(String(first.path)), '');
    up.signal('SIGUSR2');
    const { failure, step } = await up.event('snapshot', (event) => event.failure !== undefined);
    t.regex(
      String(failure),
      /Cannot write .*: a part of the path is no folder|Cannot write .*it is a file|EEXIST|ENOTDIR/,
    );
    await up.event('step', (event) => (event.step as number) > (step as number) + 2);
    up.signal('SIGINT');
    t.is((await up.ended).code, 130);
  },
);
