// A run that is killed with all its processes goes on from its newest whole snapshot: to the same bits where as many
// workers train, on any number of servers; and whatever is wrong with a snapshot is told by the name of its file.
import { basename, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
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

/** Starts a run with a snapshot every four steps and kills all of it when one is whole in the second epoch. */
async function killed(t: ExecutionContext, { folder, flags }: TinyRun, ...more: string[]) {
  const snapshots = join(folder, 'snapshots');
  const endless = ['--epochs=100000', BATCH, `--snapshots=${snapshots}`, '--snapshot-steps=4'];
  const up = start(t, 'gradloom', ['up', ...flags, ...endless, ...more]);
  const event = await up.event('snapshot', ({ step }) => (step as number) > 8);
  up.signalAll('SIGKILL');
  await up.ended;
  const path = String(event.path);
  t.true(stepOf(path) < STEPS, path);
  return { snapshots, path };
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
  const { path } = await killed(t, tiny, ...both, ...before);
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
  const { snapshots } = await killed(t, tiny, ...TOPK);
  t.regex(await weights(t, tiny, ...TOPK, '--workers=3', `--resume=${snapshots}`), /^[0-9a-f]{64}$/);
  t.is((await tiny.readSummary()).workers, 3);
});
