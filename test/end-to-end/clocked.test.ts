// ssp and asp with real processes: a run from its flags to its results, a worker that stands still while another goes
// on as far as it may, and a gradient that is not finite at one of them.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseExposition, sampleValue } from '../helpers/exposition.js';
import { type Program, run, start } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';

/** A server and two workers of one run; the workers in the order of their ranks. */
async function threeProcesses(t: ExecutionContext, flags: readonly string[]) {
  const server = start(t, 'gradloom-server', ['--listen=127.0.0.1:0', '--json']);
  const { address, metrics } = await server.event('ready');
  const workers = [0, 1].map(() =>
    start(t, 'gradloom-worker', [...flags, `--join=${address}`, '--workers=2', '--epochs=1']),
  );
  const ranks = await Promise.all(workers.map(async (worker) => Number((await worker.event('start')).rank)));
  const [first, second] = ranks[0] === 0 ? workers : workers.reverse();
  const exposition = async () => parseExposition(await (await fetch(String(metrics))).text());
  return { first, second, exposition };
}

async function assertWell(t: ExecutionContext, ...programs: Program[]): Promise<void> {
  for (const { code, stderr } of await Promise.all(programs.map(({ ended }) => ended)))
    t.deepEqual({ code, stderr }, { code: 0, stderr: [] });
}

test.serial(
  'up --consistency ssp trains over two epochs: every step of each worker is an update',
  async (t) => {
    const { flags, folder, readSummary } = await tinyRun(t);
    const up = start(t, 'gradloom', ['up', ...flags, '--consistency=ssp', '--staleness=1', '--epochs=2']);
    await assertWell(t, up);
    const summary = await readSummary();
    t.like(summary, { consistency: 'ssp', steps: 2 * 8, samples: 512, epochs: 2 });
    // It has learnt something: guessing among four classes has a loss of log 4.
    t.true(summary.loss < Math.log(4));
    const steps = up.events.filter(({ event }) => event === 'step');
    t.deepEqual(
      steps.map(({ step, worker }) => [step, worker]),
      Array.from({ length: 8 }, (_, step) => [step + 1, 0]),
    );
    t.is(up.events.filter(({ event }) => event === 'epoch').length, 2);
    const config = JSON.parse(await readFile(join(summary.modelPath, '..', 'config.json'), 'utf8'));
    t.like(config, { consistency: 'ssp', staleness: 1 });
    t.true(summary.modelPath.startsWith(folder));
  },
);

test.serial('asp: a worker that stands still holds nobody up before the evaluation', async (t) => {
  const { flags, readSummary } = await tinyRun(t);
  const { first, second } = await threeProcesses(t, [...flags, '--consistency=asp', '--batch=2']);
  second.signal('SIGSTOP');
  await first.event('step', ({ step, steps }) => step === steps);
  second.signal('SIGCONT');
  await assertWell(t, first, second);
  t.like(await readSummary(), { steps: 2 * 128, samples: 256 });
});

test.serial('ssp: a worker that stands still is named, and no read was staler than the bound', async (t) => {
  const { flags, readSummary } = await tinyRun(t);
  const bound = ['--consistency=ssp', '--staleness=3', '--batch=2'];
  const { first, second, exposition } = await threeProcesses(t, [...flags, ...bound]);
  second.signal('SIGSTOP');
  const { workers } = await first.event('waiting');
  t.deepEqual(
    (workers as string[]).map((worker) => worker.split(' ').slice(0, 2).join(' ')),
    ['worker 1'],
  );
  const held = await exposition();
  t.is(sampleValue(held, 'gradloom_read_staleness_max_steps'), 3);
  t.is(sampleValue(held, 'gradloom_staleness_bound_steps'), 3);
  t.is(sampleValue(held, 'gradloom_waiting_for_worker', { rank: '1' }), 1);
  second.signal('SIGCONT');
  await assertWell(t, first, second);
  t.like(await readSummary(), { steps: 2 * 128, samples: 256 });
});

test.serial(
  "asp: a NaN at one worker skips that worker's step, is counted, and nothing else is lost",
  async (t) => {
    const { flags, readSummary } = await tinyRun(t, 'not-finite');
    const { first, second, exposition } = await threeProcesses(t, [
      ...flags,
      '--consistency=asp',
      '--batch=33',
    ]);
    await assertWell(t, first, second);
    t.true(first.events.every(({ event, skipped }) => event !== 'step' || !skipped));
    t.like(await readSummary(), { steps: 13, samples: 6 * 33 + 17 });
    const samples = await exposition();
    t.is(sampleValue(samples, 'gradloom_steps_total', { outcome: 'skipped' }), 1);
    t.is(sampleValue(samples, 'gradloom_steps_total', { outcome: 'applied' }), 13);
  },
);

test.serial('ssp without a bound, and a bound without ssp, are mistakes: exit status 2', async (t) => {
  for (const flags of [['--consistency=ssp'], ['--staleness=3']]) {
    const { code, stderr } = await run(t, 'gradloom', ['up', ...flags]);
    t.is(code, 2);
    t.regex(stderr.join('\n'), /--consistency|--staleness/);
  }
});
