// A running run is changed at a step boundary, with real processes: bsp to ssp and back, what is seen of it while it
// goes on, what is refused; and a change to the same changes no bit.
import { setTimeout as pause } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { changeRules, status } from '../../shared/client/membership.js';
import type { RunSpec } from '../../shared/run/spec.js';
import { parseExposition, sampleValue } from '../helpers/exposition.js';
import { type Event, type Program, run, start } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';

const DEADLINE_MS = 20_000;
/** Servers tell who is waited for every second; well below the time after which who stands still is given up. */
const NOTICED_MS = 5_000;

/** Two servers and two workers; the workers in the order of their ranks. */
async function fourProcesses(t: ExecutionContext, flags: readonly string[]) {
  const listen = ['--listen=127.0.0.1:0', '--json'];
  const first = start(t, 'gradloom-server', listen);
  const { address, metrics } = await first.event('ready');
  await start(t, 'gradloom-server', [...listen, `--join=${address}`]).event('ready');
  const workers = [0, 1].map(() =>
    start(t, 'gradloom-worker', [...flags, `--join=${address}`, '--workers=2']),
  );
  const ranks = await Promise.all(workers.map(async (worker) => Number((await worker.event('start')).rank)));
  return {
    workers: ranks[0] === 0 ? workers : workers.reverse(),
    keeper: String(address),
    exposition: async () => parseExposition(await (await fetch(String(metrics))).text()),
    set: (consistency: RunSpec['consistency'], staleness?: number) =>
      changeRules(String(address), { run: '', rules: { consistency, staleness } }, DEADLINE_MS),
  };
}

async function assertWell(t: ExecutionContext, programs: Program[]): Promise<void> {
  for (const { code, stderr } of await Promise.all(programs.map(({ ended }) => ended)))
    t.deepEqual({ code, stderr }, { code: 0, stderr: [] });
}

test.serial(
  'bsp, then ssp, then bsp: each from a step on, in force where it is shown, to a good end',
  async (t) => {
    t.timeout(180_000);
    const { flags, readSummary } = await tinyRun(t);
    const { workers, keeper, exposition, set } = await fourProcesses(t, [
      ...flags,
      '--epochs=400',
      '--codec=fp32',
    ]);
    const [first, second] = workers;
    await first.event('step', ({ step }) => step === 3);
    const { code, stdout, stderr } = await run(t, 'gradloom', [
      ...['set', 'consistency', 'ssp', '--staleness=2', `--join=${keeper}`, '--json'],
    ]);
    t.is(code, 0, stderr.join('\n'));
    const told = JSON.parse(stdout[0]);
    t.like(told, { event: 'view', number: 2, consistency: 'ssp', staleness: 2 });
    // Of a step boundary rank 0 tells for all.
    const { fromStep } = told;
    t.like(await first.event('view'), { number: 2, fromStep, consistency: 'ssp', staleness: 2 });
    // One stands still: the other goes on as far as it may, which it could not under bsp.
    // Stopped in an evaluation it is waited for there, by whatever rule: then once more.
    const named = first.event('waiting', ({ workers }) => /^worker 1 \(.+\)$/.test(String(workers)));
    for (;;) {
      second.signal('SIGSTOP');
      if (await Promise.race([named, pause(NOTICED_MS, undefined)])) break;
      const before = first.events.filter(({ event }) => event === 'epoch').length;
      second.signal('SIGCONT');
      await first.event('epoch', ({ epoch }) => Number(epoch) > before);
    }
    const { runs } = await status(keeper, DEADLINE_MS);
    t.like(runs[0], { view: 2, fromStep: told.fromStep, consistency: 2, staleness: 2 });
    const shown = await run(t, 'gradloom', ['status', `--join=${keeper}`]);
    t.regex(shown.stdout.join('\n'), /ssp, staleness 2 since step \d+ \(view 2\)/);

    const held = await exposition();
    t.is(sampleValue(held, 'gradloom_staleness_bound_steps'), 2);
    // On this server it may have been stopped with its last step half sent.
    const stalest = Number(sampleValue(held, 'gradloom_read_staleness_max_steps'));
    t.true(stalest >= 1 && stalest <= 2, String(stalest));
    t.is(sampleValue(held, 'gradloom_view_number'), 2);
    second.signal('SIGCONT');

    const { view } = await set('bsp');
    t.is(view.number, 3);
    await first.event('view', ({ number }) => number === 3);
    const back = await exposition();
    t.is(sampleValue(back, 'gradloom_staleness_bound_steps'), 0);
    t.is(sampleValue(back, 'gradloom_read_staleness_max_steps'), 0);
    await assertWell(t, workers);
    const steps = first.events.filter(({ event }) => event === 'step');
    t.deepEqual(
      steps.map(({ step }) => step),
      Array.from({ length: 1600 }, (_, step) => step + 1),
    );
    // Under ssp a step is a worker's own, and each of them an update.
    const isOwn = ({ step }: Event) => Number(step) > told.fromStep && Number(step) <= view.fromStep;
    for (const step of steps) t.is(step.worker, isOwn(step) ? 0 : undefined);
    const own = steps.filter(isOwn).length;
    t.true(own > 0);
    t.like(await readSummary(), { consistency: 'bsp', steps: 1600 + own, samples: 1600 * 64 });
  },
);

test.serial('bsp that is set again changes no bit', async (t) => {
  t.timeout(120_000);
  const tiny = await tinyRun(t);
  const flags = [...tiny.flags, '--epochs=40'];
  const alone = await start(t, 'gradloom', ['up', ...flags]).ended;
  t.is(alone.code, 0, alone.stderr.join('\n'));
  const { weightsSha256 } = await tiny.readSummary();
  const { workers, set } = await fourProcesses(t, flags);
  await workers[0].event('step', ({ step }) => step === 2);
  t.is((await set('bsp')).view.number, 2);
  await workers[0].event('view');
  await assertWell(t, workers);
  t.is((await tiny.readSummary()).weightsSha256, weightsSha256);
});

test.serial('what cannot be is refused with a sentence, and the run goes on', async (t) => {
  t.timeout(120_000);
  const { flags, readSummary } = await tinyRun(t, 'wide');
  const { workers, keeper, set } = await fourProcesses(t, [...flags, '--epochs=30', '--codec=int8']);
  await t.throwsAsync(set('asp'), { message: /codec int8 expects consistency bsp, got asp/ });
  await t.throwsAsync(set('local'), { message: /the state of the optimizer would have to move/ });
  const unknown = await run(t, 'gradloom', ['set', 'consistency', 'bsp', `--join=${keeper}`, '--run=other']);
  t.is(unknown.code, 1);
  t.regex(unknown.stderr.join('\n'), /expected the id of a running run, got 'other'/);
  const mistake = await run(t, 'gradloom', ['set', 'consistency', 'ssp', `--join=${keeper}`]);
  t.is(mistake.code, 2);
  t.regex(mistake.stderr.join('\n'), /ssp expects a bound/);
  await assertWell(t, workers);
  t.like(await readSummary(), { consistency: 'bsp', steps: 120 });
});
