// An evaluator watches a run: each evaluation is of one version, training gives the same weights with and without it,
// and it ends with the run.
import test from 'ava';
import { left, run, start } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';

const EVALUATE = ['--evaluate', '--every=3'];
/** Of 4 steps each: long enough for the evaluator to find the run, for which it looks every half second. */
const EPOCHS = 60;

for (const codec of ['fp16', 'int8'])
  test.serial(
    `${codec}: an evaluator tells of one version at a time, changes no bit, and ends with the run`,
    async (t) => {
      t.timeout(120_000);
      const tiny = await tinyRun(t, codec === 'int8' ? 'wide' : undefined);
      const training = [`--epochs=${EPOCHS}`, `--codec=${codec}`];
      const alone = await start(t, 'gradloom', ['up', ...tiny.flags, ...training]).ended;
      t.is(alone.code, 0, alone.stderr.join('\n'));
      const { weightsSha256 } = await tiny.readSummary();

      const first = start(t, 'gradloom-server', ['--listen=127.0.0.1:0', '--json']);
      const { address } = await first.event('ready');
      const second = start(t, 'gradloom-server', ['--listen=127.0.0.1:0', '--json', `--join=${address}`]);
      await second.event('ready');
      const flags = [...tiny.flags, `--join=${address}`];
      const evaluator = start(t, 'gradloom-worker', [...flags, ...EVALUATE]);
      await evaluator.event('awaiting-run');
      const workers = [0, 1].map(() => start(t, 'gradloom-worker', [...flags, '--workers=2', ...training]));
      for (const { ended } of [...workers, evaluator]) {
        const { code, stderr } = await ended;
        t.is(code, 0, stderr.join('\n'));
      }
      t.is((await tiny.readSummary()).weightsSha256, weightsSha256);
      const told = evaluator.events.filter(({ event }) => event === 'evaluation');
      t.true(told.length > 0);
      for (const { step, skew, records, accuracy, loss } of told) {
        t.is(skew, 0);
        t.is(records, 64);
        t.true((step as number) > 0 && (step as number) <= 4 * EPOCHS);
        t.true((accuracy as number) >= 0 && (accuracy as number) <= 1 && (loss as number) > 0);
      }
      told.slice(1).forEach(({ step }, i) => {
        t.true((step as number) >= (told[i].step as number) + 3);
      });
      // What it says of a step is what the workers say of the same step at the end of an epoch.
      const epochs = workers.flatMap(({ events }) => events.filter(({ event }) => event === 'epoch'));
      for (const { step, accuracy } of told) {
        const same = epochs.find((epoch) => epoch.step === step);
        if (same) t.is(accuracy, same.accuracy);
      }
      t.is(evaluator.events.at(-1)?.event, 'finished-observing');
    },
  );

test.serial('an evaluator that waits for a run leaves at SIGINT with 130', async (t) => {
  const { flags } = await tinyRun(t);
  const server = start(t, 'gradloom-server', ['--listen=127.0.0.1:0', '--json']);
  const { address } = await server.event('ready');
  const evaluator = start(t, 'gradloom-worker', [...flags, `--join=${address}`, ...EVALUATE]);
  await evaluator.event('awaiting-run');
  evaluator.signal('SIGINT');
  t.like(await evaluator.ended, { code: 130, stderr: [] });
  t.deepEqual(await left(evaluator), []);
});

test.serial(
  'an evaluator in the midst of a run leaves at SIGINT with 130, and the run goes on; another model is refused',
  async (t) => {
    t.timeout(120_000);
    const { flags } = await tinyRun(t);
    const server = start(t, 'gradloom-server', ['--listen=127.0.0.1:0', '--json']);
    const { address } = await server.event('ready');
    const join = `--join=${address}`;
    const worker = start(t, 'gradloom-worker', [...flags, join, '--workers=1', '--epochs=100000']);
    const evaluator = start(t, 'gradloom-worker', [...flags, join, ...EVALUATE]);
    await evaluator.event('evaluation');
    evaluator.signal('SIGINT');
    t.like(await evaluator.ended, { code: 130, stderr: [] });
    const other = await tinyRun(t, 'other-small');
    const refused = await run(t, 'gradloom-worker', [...other.flags, join, ...EVALUATE]);
    t.is(refused.code, 2);
    t.is(refused.stderr.length, 1, refused.stderr.join('\n'));
    t.regex(refused.stderr[0], /the model differs from the run's/);
    const steps = worker.events.length;
    await worker.event('step', ({ step }) => (step as number) > steps + 5);
  },
);
