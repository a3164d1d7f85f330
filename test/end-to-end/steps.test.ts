// What a job may bring: a gradient that is not finite, and layers that are frozen or shared.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { readSafetensors } from '../../shared/safetensors.js';
import { parseExposition, sampleValue } from '../helpers/exposition.js';
import { run, start } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';

test.serial('a NaN at one worker skips the step everywhere, is counted, and the run goes on', async (t) => {
  const { flags, readSummary } = await tinyRun(t, 'not-finite');
  const server = start(t, 'gradloom-server', ['--listen=127.0.0.1:0', '--json']);
  const { address, metrics } = await server.event('ready');
  const args = [...flags, `--join=${address}`, '--workers=2', '--batch=33', '--epochs=1'];
  const workers = [0, 1].map(() => start(t, 'gradloom-worker', args));
  for (const { code, stderr } of await Promise.all(workers.map(({ ended }) => ended)))
    t.is(code, 0, stderr.join('\n'));

  const steps = workers.flatMap(({ events }) => events.filter(({ event }) => event === 'step'));
  t.deepEqual(
    steps.map(({ skipped }) => skipped),
    [false, false, true, false, false, false, false],
  );
  t.deepEqual(steps[2].notFinite, [1]);
  t.like(await readSummary(), { steps: 6, samples: 6 * 33 });
  const exposition = parseExposition(await (await fetch(String(metrics))).text());
  t.is(sampleValue(exposition, 'gradloom_steps_total', { outcome: 'skipped' }), 1);
  t.is(sampleValue(exposition, 'gradloom_steps_total', { outcome: 'applied' }), 6);
});

test.serial('a person is told of a skipped step', async (t) => {
  const { flags } = await tinyRun(t, 'not-finite');
  const plain = flags.filter((flag) => flag !== '--json');
  const { code, stdout } = await run(t, 'gradloom', ['up', ...plain, '--batch=33', '--epochs=1']);
  t.is(code, 0);
  t.true(stdout.includes('step 3 was skipped: the gradients of worker 1 were not finite'));
});

test.serial(
  'a frozen layer keeps its first weights and is not sent; a shared one is one tensor',
  async (t) => {
    const { flags, readSummary } = await tinyRun(t, 'shared-frozen');
    const frozen: Uint8Array[] = [];
    const trained: Uint8Array[] = [];
    for (const epochs of [1, 3]) {
      const { code, stderr } = await run(t, 'gradloom', ['up', ...flags, `--epochs=${epochs}`]);
      t.is(code, 0, stderr.join('\n'));
      const { modelPath, bytesPushed } = await readSummary();
      const { tensors } = await readSafetensors(join(modelPath, '..', 'model.safetensors'));
      t.deepEqual(
        [...tensors].map(([name, { shape }]) => [name, shape]),
        [
          ['shared/kernel', [96, 6]],
          ['shared/bias', [6]],
          ['classes/kernel', [8, 4]],
          ['classes/bias', [4]],
          ['frozen/kernel', [12, 8]],
          ['frozen/bias', [8]],
        ],
      );
      // Two workers, four steps an epoch, fp16.
      t.is(bytesPushed, 2 * 4 * epochs * 2 * (97 * 6 + 9 * 4));
      frozen.push(tensors.get('frozen/kernel')?.data as Uint8Array);
      trained.push(tensors.get('shared/kernel')?.data as Uint8Array);
      const model = JSON.parse(await readFile(join(modelPath, 'model.json'), 'utf8'));
      t.truthy(model.modelTopology);
    }
    t.deepEqual(frozen[1], frozen[0]);
    t.notDeepEqual(trained[1], trained[0]);
  },
);
