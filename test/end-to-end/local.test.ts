// Local SGD with real processes: what it says, how much less it sends, that its bits do not depend on the servers, and
// that a step which one worker has to skip costs that worker's samples alone.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { parseExposition, sampleValue } from '../helpers/exposition.js';
import { run, start } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';

/** Of 256 records in batches of 32: eight steps an epoch, in rounds of 3, 3 and 2. */
const LOCAL = ['--consistency=local', '--local-steps=3', '--batch=32'];
const ROUNDS_END_AT = [3, 6, 8, 11, 14, 16, 19, 22, 24];

test.serial(
  'up trains locally, tells of every step and of every round, and sends rounds alone',
  async (t) => {
    t.timeout(120_000);
    const { flags, readSummary } = await tinyRun(t);
    const up = start(t, 'gradloom', ['up', ...flags, ...LOCAL, '--epochs=3']);
    const { code, stderr } = await up.ended;
    t.deepEqual({ code, stderr }, { code: 0, stderr: [] });
    const own = up.events.filter(({ event }) => event === 'local-step');
    t.deepEqual(
      own.map(({ worker, step, skipped }) => ({ worker, step, skipped })),
      Array.from({ length: 24 }, (_, i) => ({ worker: 0, step: i + 1, skipped: false })),
    );
    const rounds = up.events.filter(({ event }) => event === 'step');
    t.deepEqual(
      rounds.map(({ step }) => step),
      ROUNDS_END_AT,
    );
    t.deepEqual(
      rounds.map(({ samples }) => samples),
      [96, 96, 64, 96, 96, 64, 96, 96, 64],
    );
    const local = await readSummary();
    t.like(local, { consistency: 'local', steps: 24, samples: 768 });
    t.true(Number(rounds[8].loss) < 0.8 * Number(rounds[0].loss), `${rounds[0].loss} to ${rounds[8].loss}`);
    t.true(local.phaseSeconds.optimizer > 0);
    const config = JSON.parse(await readFile(join(local.modelPath, '..', 'config.json'), 'utf8'));
    t.like(config, {
      ...{ consistency: 'local', 'local-steps': 3, 'outer-learning-rate': 0.7, 'outer-momentum': 0.9 },
    });

    const again = await run(t, 'gradloom', ['up', ...flags, ...LOCAL, '--epochs=3', '--servers=3']);
    t.is(again.code, 0);
    t.is((await readSummary()).weightsSha256, local.weightsSha256, 'three servers give the same bits');

    const plain = await run(t, 'gradloom', ['up', ...flags, '--batch=32', '--epochs=3']);
    t.is(plain.code, 0);
    const bsp = await readSummary();
    t.is(local.bytesPushed, (bsp.bytesPushed * 9) / 24);
    t.false('optimizer' in bsp.phaseSeconds);
  },
);

test.serial(
  'a NaN at one worker costs its step alone, is counted and told, and the run goes on',
  async (t) => {
    const { flags, readSummary } = await tinyRun(t, 'not-finite');
    const server = start(t, 'gradloom-server', ['--listen=127.0.0.1:0', '--json']);
    const { address, metrics } = await server.event('ready');
    const args = [...flags, `--join=${address}`, '--workers=2', '--batch=33', '--epochs=1'];
    // Seven steps, in rounds of 4 and 3; the third is not finite at worker 1, whose share is 16 of 33.
    const workers = [0, 1].map(() =>
      start(t, 'gradloom-worker', [...args, '--consistency=local', '--local-steps=4']),
    );
    for (const { code, stderr } of await Promise.all(workers.map(({ ended }) => ended)))
      t.is(code, 0, stderr.join('\n'));
    const events = workers.flatMap((worker) => worker.events);
    t.deepEqual(
      events.filter(({ skipped }) => skipped).map(({ event, worker, step }) => ({ event, worker, step })),
      [{ event: 'local-step', worker: 1, step: 3 }],
    );
    t.like(await readSummary(), { steps: 7, samples: 7 * 33 - 16 });
    const exposition = parseExposition(await (await fetch(String(metrics))).text());
    t.is(sampleValue(exposition, 'gradloom_steps_total', { outcome: 'skipped' }), 0);
    t.is(sampleValue(exposition, 'gradloom_steps_total', { outcome: 'applied' }), 2);
  },
);

test.serial(
  'two peers give the bits of servers and workers, and options of the optimizer go to the workers',
  async (t) => {
    t.timeout(120_000);
    const { flags, readSummary } = await tinyRun(t);
    const rules = ['--optimizer=adamw', '--weight-decay=0.1', '--schedule=cosine', '--warmup-steps=4'];
    const train = async (...more: string[]) => {
      const { code, stderr } = await run(t, 'gradloom', ['up', ...flags, ...LOCAL, '--epochs=2', ...more]);
      t.is(code, 0, stderr.join('\n'));
      return readSummary();
    };
    const apart = await train('--servers=1', '--workers=2', ...rules);
    const peers = await train('--peers=2', ...rules);
    t.is(peers.weightsSha256, apart.weightsSha256);
    t.like(peers, { servers: 2, workers: 2, steps: 16, samples: 512, bytesPushed: apart.bytesPushed / 2 });
    const optimizer = JSON.parse(await readFile(join(peers.modelPath, '..', 'optimizer.json'), 'utf8'));
    t.like(optimizer, {
      ...{ kind: 'adamw', weightDecay: 0.1 },
      schedule: { kind: 'cosine', warmupSteps: 4, decaySteps: 12, decayEnd: 0 },
    });
    const constant = await train('--servers=1', '--workers=2', ...rules.slice(0, 2));
    t.not(constant.weightsSha256, apart.weightsSha256);
  },
);

test.serial('an evaluator counts in steps too, and says of them what the workers say', async (t) => {
  t.timeout(120_000);
  const { flags } = await tinyRun(t);
  const server = start(t, 'gradloom-server', ['--listen=127.0.0.1:0', '--json']);
  const { address } = await server.event('ready');
  const args = [...flags, `--join=${address}`];
  const evaluator = start(t, 'gradloom-worker', [...args, '--batch=32', '--evaluate', '--every=4']);
  await evaluator.event('awaiting-run');
  const worker = start(t, 'gradloom-worker', [...args, ...LOCAL, '--workers=1', '--epochs=60']);
  for (const { ended } of [worker, evaluator]) {
    const { code, stderr } = await ended;
    t.is(code, 0, stderr.join('\n'));
  }
  const told = evaluator.events.filter(({ event }) => event === 'evaluation');
  t.true(told.length > 0);
  const epochs = worker.events.filter(({ event }) => event === 'epoch');
  for (const { step, skew, accuracy } of told) {
    t.is(skew, 0);
    t.true(ROUNDS_END_AT.includes(1 + ((Number(step) - 1) % 8)), `step ${step}`);
    const same = epochs.find((epoch) => epoch.step === step);
    if (same) t.is(accuracy, same.accuracy);
  }
  told.slice(1).forEach(({ step }, i) => {
    t.true(Number(step) >= Number(told[i].step) + 4);
  });
});

test.serial('workers count their own steps, and a person is told of one that was skipped', async (t) => {
  const { flags } = await tinyRun(t, 'not-finite');
  const plain = flags.filter((flag) => flag !== '--json');
  const skipped = run(t, 'gradloom', ['up', ...plain, '--batch=33', '--epochs=1', ...LOCAL.slice(0, 2)]);
  t.true((await skipped).stdout.includes('step 3 was skipped by worker 1: its gradients were not finite'));

  const up = start(t, 'gradloom', ['up', ...flags, '--batch=33', '--epochs=100000', ...LOCAL.slice(0, 2)]);
  await up.event('epoch', ({ epoch }) => epoch === 2);
  const counts = await Promise.all(
    up.events
      .filter(({ event, role }) => event === 'ready' && role === 'worker')
      .map(async ({ metrics }) => {
        const exposition = parseExposition(await (await fetch(String(metrics))).text());
        return {
          skipped: sampleValue(exposition, 'gradloom_steps_total', { outcome: 'skipped' }),
          applied: sampleValue(exposition, 'gradloom_steps_total', { outcome: 'applied' }),
          optimizer: sampleValue(exposition, 'gradloom_step_phase_seconds_count', { phase: 'optimizer' }),
          encode: sampleValue(exposition, 'gradloom_step_phase_seconds_count', { phase: 'encode' }),
        };
      }),
  );
  t.deepEqual(counts.map(({ skipped }) => skipped).sort(), [0, 1]);
  for (const { applied, optimizer, encode } of counts) {
    t.true((applied ?? 0) >= 13);
    t.true((optimizer ?? 0) >= 14 && (encode ?? 0) < (optimizer ?? 0) && (encode ?? 0) >= 6);
  }
  up.signal('SIGINT');
  t.is((await up.ended).code, 130);
});

test.serial('local without its steps, or its options without local, is a mistake', async (t) => {
  for (const [args, says] of [
    [['--consistency=local'], /--consistency: local needs the number of steps/],
    [['--local-steps=3'], /--local-steps: expected consistency local beside it, got bsp/],
  ] as const) {
    const { code, stderr, stdout } = await run(t, 'gradloom', ['up', ...args]);
    t.is(code, 2);
    t.is(stderr.length, 1);
    t.regex(stderr[0], says);
    t.deepEqual(stdout, []);
  }
});
