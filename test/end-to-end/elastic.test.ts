// Workers that leave a running run with --elastic, with real processes: the others finish it, and say who has left.
import test, { type ExecutionContext } from 'ava';
import { status } from '../../shared/client/membership.js';
import { parseExposition, sampleValue } from '../helpers/exposition.js';
import { type Program, start } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';

const EPOCHS = 60;
/** Of 256 records, 64 a step. */
const STEPS = 4 * EPOCHS;

/** Two servers and three workers; the workers in the order of their ranks. */
async function fiveProcesses(t: ExecutionContext, flags: readonly string[]) {
  const listen = ['--listen=127.0.0.1:0', '--json'];
  const first = start(t, 'gradloom-server', listen);
  const { address, metrics } = await first.event('ready');
  await start(t, 'gradloom-server', [...listen, `--join=${address}`]).event('ready');
  const all = [...flags, '--elastic', `--epochs=${EPOCHS}`, `--join=${address}`, '--workers=3'];
  const workers = [0, 1, 2].map(() => start(t, 'gradloom-worker', all));
  const ranks = await Promise.all(workers.map(async (worker) => Number((await worker.event('start')).rank)));
  const byRank: Program[] = [];
  for (const [index, rank] of ranks.entries()) byRank[rank] = workers[index];
  const exposition = async () => parseExposition(await (await fetch(String(metrics))).text());
  return { workers: byRank, keeper: String(address), exposition };
}

async function assertWell(t: ExecutionContext, programs: Program[]): Promise<void> {
  for (const { code, stderr } of await Promise.all(programs.map(({ ended }) => ended)))
    t.deepEqual({ code, stderr }, { code: 0, stderr: [] });
}

test.serial('kill -9 of one of three workers: the others finish the run, and say who is gone', async (t) => {
  t.timeout(120_000);
  const { flags, readSummary } = await tinyRun(t);
  const { workers, keeper } = await fiveProcesses(t, flags);
  const [first, second, third] = workers;
  await first.event('step', ({ step }) => step === 10);
  third.signal('SIGKILL');
  const view = await first.event('view');
  t.like(view, { number: 2, departed: 2, members: [0, 1] });
  t.regex(String(view.reason), /broke|left/);
  const { runs } = await status(keeper, 20_000);
  t.deepEqual(
    runs[0]?.workers.map(({ info }) => info?.rank),
    [0, 1],
  );
  await assertWell(t, [first, second]);
  const steps = first.events.filter(({ event }) => event === 'step');
  t.deepEqual(
    steps.map(({ step }) => step),
    Array.from({ length: STEPS }, (_, step) => step + 1),
  );
  // What it held of the epoch is dealt again: the samples are as if it had not left.
  const { samples, steps: applied, loss } = await readSummary();
  t.is(applied, STEPS);
  t.true(samples <= STEPS * 64 && samples > STEPS * 64 - 64, String(samples));
  t.true(loss < Math.log(4));
});

test.serial('SIGTERM to worker 0: it ends its step and leaves, the next one saves the results', async (t) => {
  t.timeout(120_000);
  const { flags, readSummary } = await tinyRun(t);
  const { workers } = await fiveProcesses(t, flags);
  const [first, second, third] = workers;
  await first.event('step', ({ step }) => step === 5);
  first.signal('SIGTERM');
  t.is((await first.ended).code, 130);
  t.like(await second.event('view'), { number: 2, departed: 0, members: [1, 2] });
  await assertWell(t, [second, third]);
  t.like(await readSummary(), { steps: STEPS });
  t.truthy(await second.event('done'));
});

test.serial('up --elastic: one worker killed, exit status 0', async (t) => {
  t.timeout(120_000);
  const { flags, readSummary } = await tinyRun(t);
  const up = start(t, 'gradloom', ['up', ...flags, '--elastic', '--workers=3', `--epochs=${EPOCHS}`]);
  const { address } = await up.event('ready', ({ role }) => role === 'server');
  await up.event('step', ({ step }) => step === 5);
  const { runs } = await status(String(address), 20_000);
  const label = runs[0].workers.find(({ info }) => info?.rank === 1)?.info?.label;
  process.kill(Number(label?.split(':').at(-1)), 'SIGKILL');
  t.like(await up.event('view'), { departed: 1, members: [0, 2] });
  const { code, stderr } = await up.ended;
  t.deepEqual({ code, stderr }, { code: 0, stderr: [] });
  t.like(await readSummary(), { steps: STEPS });
});

test.serial(
  'a worker whose gradients are never finite is put out after three steps, the others finish',
  async (t) => {
    t.timeout(120_000);
    const { flags, readSummary } = await tinyRun(t, 'spoiler');
    const { workers, exposition } = await fiveProcesses(t, [...flags, '--batch=65']);
    const [first, second, third] = workers;
    const { code, stderr } = await third.ended;
    t.is(code, 1);
    t.regex(
      stderr.join('\n'),
      /worker 2 was put out: its gradient of '.+' was not finite in 3 steps in a row/,
    );
    const { reason, ...view } = await first.event('view');
    t.like(view, { number: 2, departed: 2, members: [0, 1] });
    t.regex(String(reason), /^it was put out: its gradient of /);
    t.is(sampleValue(await exposition(), 'gradloom_departures_total', { cause: 'put_out' }), 1);
    await assertWell(t, [first, second]);
    const skipped = first.events.filter((event) => event.event === 'step' && event.skipped);
    t.true(skipped.length >= 3);
    t.like(await readSummary(), { steps: 3 * EPOCHS - skipped.length });
  },
);
