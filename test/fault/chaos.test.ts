// `npm run chaos` from end to end, on the scenario that is over soonest: its last line is what the contract says.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import { RunError } from '../../shared/errors.js';
import { helperPath } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';
import { MemoryWatch } from './memory.js';
import { MeshRun } from './mesh-run.js';

const CHAOS = helperPath('../fault/chaos.js');

test.serial('a worker that stands still for 3 s is named, and costs no bit and no step', async (t) => {
  t.timeout(170_000);
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...[CHAOS, '--scenario=stop-worker', '--small', '--epochs=12', '--seed=7'],
  ]);
  const last = JSON.parse(stdout.trim().split('\n').at(-1) as string);
  t.like(last, { scenario: 'stop-worker', seed: 7, sameBits: true, stepsLost: 0, violations: [] });
  t.deepEqual(last.faults, { stop: 1 });
  t.true(last.secondsWithoutProgress >= 3, 'it was stopped for so long');
  t.is(typeof last.dip, 'number');
});

test.serial(
  'where all workers end that nothing was to happen to, that is told as it is, and no bug of chaos',
  async (t) => {
    t.timeout(120_000);
    const { flags } = await tinyRun(t);
    const memory = new MemoryWatch();
    const workerFlags = [...flags, '--epochs=100000'];
    const mesh = new MeshRun({ servers: 1, workers: 2, workerFlags, serverFlags: [] }, memory);
    t.teardown(async () => {
      memory.close();
      await mesh.close();
    });
    await mesh.start();
    const done = mesh.event('done');
    for (const rank of [0, 1]) mesh.child('worker', rank).process.kill('SIGKILL');
    await t.throwsAsync(done, {
      instanceOf: RunError,
      message: /^all workers have ended before the run was over/,
    });
  },
);

test.serial('it says what can be asked of it', async (t) => {
  const { stdout } = await promisify(execFile)(process.execPath, [CHAOS, '--help']);
  t.regex(stdout, /^Usage: chaos /);
  for (const words of [/--minutes <m>/, /--seed <s>/, /kill-server .*kill -9/, /random /])
    t.regex(stdout, words);
});

test.serial('what is asked wrongly is refused with exit status 2', async (t) => {
  for (const [flags, words] of [
    [['--scenario=none'], /--scenario: expected one of kill-server, .*random, got 'none'/],
    [['--minutes=-1'], /--minutes: expected a number of at least 0, got -1/],
    [['--epochs=1'], /--epochs: expected a whole number of at least 6, got 1/],
    [['--colour=red'], /--colour/],
  ] as const) {
    const failed = await promisify(execFile)(process.execPath, [CHAOS, ...flags]).catch((error) => error);
    t.is(failed.code, 2);
    t.regex(failed.stderr, words);
    t.is(failed.stderr.trim().split('\n').length, 1);
  }
});
