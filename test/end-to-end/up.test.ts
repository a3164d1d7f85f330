// `gradloom up` from its flags to its results, with real processes: what it says, what it saves, and that the saved
// model is the one whose figures the summary gives.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Tensor, tensor } from '@tensorflow/tfjs-core';
import test from 'ava';
import { GRADLOOM } from '../../shared/config/commands.js';
import { parseProgram } from '../../shared/config/program.js';
import { readSafetensors } from '../../shared/safetensors.js';
import { chooseBackend } from '../../worker/backend/ladder.js';
import { CIFAR_RECORD_BYTES, interleave } from '../../worker/data/cifar-format.js';
import { loadLayersModel } from '../../worker/results/layers-model.js';
import type { Summary } from '../../worker/results/summary.js';
import { left, start } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';

const SUMMARY_FIELDS = [
  ...['run', 'job', 'backend', 'seed', 'servers', 'workers', 'consistency', 'codec', 'epochs', 'steps'],
  ...['samples', 'accuracy', 'loss', 'trainSeconds', 'samplesPerSecond', 'phaseSeconds', 'bytesPushed'],
  ...['bytesPulled', 'bytesRetried', 'weightsSha256', 'modelPath'],
];

/** Records of a batch file as pixels in [0, 1] and labels, read without the code under test's loader. */
async function readBatch(file: string): Promise<{ pixels: Tensor; labels: number[] }> {
  const bytes = await readFile(file);
  const count = bytes.length / CIFAR_RECORD_BYTES;
  const records = Array.from({ length: count }, (_, i) =>
    bytes.subarray(i * CIFAR_RECORD_BYTES, (i + 1) * CIFAR_RECORD_BYTES),
  );
  const pixels = Float32Array.from(
    records.flatMap((record) => [...interleave(record)]),
    (byte) => byte / 255,
  );
  return { pixels: tensor(pixels, [count, 32, 32, 3]), labels: records.map(([label]) => label) };
}

test.serial(
  'up trains, says so in JSON lines, and saves the model whose figures the summary gives',
  async (t) => {
    const { flags, data, folder, readSummary } = await tinyRun(t);
    const up = start(t, 'gradloom', ['up', ...flags, '--servers=2', '--workers=2', '--epochs=3']);
    const { code, stdout, stderr } = await up.ended;
    t.deepEqual({ code, stderr }, { code: 0, stderr: [] });
    t.deepEqual(await left(up), []);
    t.true(stdout.every((line) => line.startsWith('{')));

    const ready = up.events.filter(({ event }) => event === 'ready');
    t.deepEqual(ready.map(({ role }) => role).sort(), ['server', 'server', 'worker', 'worker']);
    for (const { role, address, metrics } of ready) {
      t.regex(String(metrics), /^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
      if (role === 'server') t.regex(String(address), /^127\.0\.0\.1:\d+$/);
    }
    t.is(up.events.filter(({ event }) => event === 'step').length, 12);
    t.is(up.events.filter(({ event }) => event === 'epoch').length, 3);
    const started = up.events.find(({ event }) => event === 'start');
    t.deepEqual(Object.keys(started ?? {}).sort(), [
      ...['accumulate', 'epochs', 'event', 'fromStep', 'globalBatch', 'parameters', 'rank'],
      ...['replicas', 'run', 'servers', 'stepsPerEpoch', 'workers'],
    ]);

    const summary = await readSummary();
    t.deepEqual(Object.keys(summary), SUMMARY_FIELDS);
    const { event, summary: told, folder: results } = up.events[up.events.length - 1];
    t.is(event, 'done');
    t.deepEqual(told as Summary, summary);
    t.like(summary, {
      ...{
        job: 'small',
        backend: 'wasm',
        seed: 1,
        servers: 2,
        workers: 2,
        consistency: 'bsp',
        codec: 'fp16',
      },
      ...{ epochs: 3, steps: 12, samples: 768, bytesRetried: 0 },
    });
    t.true((summary.accuracy ?? 0) > 0.3 && summary.loss > 0 && summary.trainSeconds > 0);
    t.is(summary.samplesPerSecond, summary.samples / summary.trainSeconds);
    for (const phase of ['data', 'compute', 'encode', 'wait', 'decode'])
      t.true(summary.phaseSeconds[phase] > 0, phase);
    // Each worker, each step: fp16 for what is trained, fp32 for BatchNorm's 8 moving statistics.
    const trained = (started?.parameters as number) - 8;
    t.is(summary.bytesPushed, 2 * 12 * (2 * trained + 4 * 8));
    t.is(summary.bytesPulled, summary.bytesPushed);

    const path = String(results);
    t.true(path.startsWith(join(folder, 'runs')));
    t.is(summary.modelPath, join(path, 'model'));
    t.deepEqual(JSON.parse(await readFile(join(path, 'summary.json'), 'utf8')), summary);
    t.like(JSON.parse(await readFile(join(path, 'config.json'), 'utf8')), { workers: 2, epochs: 3, seed: 1 });
    const again = await parseProgram(GRADLOOM, ['up', '--config', join(path, 'config.json')], {});
    t.like(again, { kind: 'run', command: 'up', options: { servers: 2, workers: 2, epochs: 3, seed: 1 } });
    const curve = (await readFile(join(path, 'loss.csv'), 'utf8')).trim().split('\n');
    t.is(curve.length, 1 + 12 + 3);
    t.true((await readFile(join(path, 'loss.svg'), 'utf8')).startsWith('<svg'));

    const file = await readFile(join(path, 'model.safetensors'));
    const contents = file.subarray(8 + Number(file.readBigUInt64LE()));
    t.is(createHash('sha256').update(contents).digest('hex'), summary.weightsSha256);
    const { tensors } = await readSafetensors(join(path, 'model.safetensors'));
    await chooseBackend('cpu');
    const model = await loadLayersModel(summary.modelPath);
    t.is(tensors.size, model.weights.length);
    for (const [index, [name, stored]] of [...tensors].entries()) {
      const value = model.weights[index].read();
      t.deepEqual(stored.shape, value.shape, name);
      const saved = new Float32Array(stored.data.slice().buffer);
      t.deepEqual(saved, (await value.data()) as Float32Array, name);
    }

    const { pixels, labels } = await readBatch(join(data, 'test_batch.bin'));
    const predictions = await (model.predict(pixels) as Tensor).data();
    const classes = predictions.length / labels.length;
    const rows = labels.map((_, i) => [...predictions.slice(i * classes, (i + 1) * classes)]);
    const hits = labels.filter((label, i) => rows[i].every((value) => value <= rows[i][label]));
    t.is(hits.length / labels.length, summary.accuracy as number);
    const loss = labels.reduce((sum, label, i) => sum - Math.log(rows[i][label]), 0) / labels.length;
    t.true(Math.abs(loss - summary.loss) < 1e-4, `${loss} is not ${summary.loss}`);
  },
);

test.serial('a second start finds the cache warm and reads nothing anew', async (t) => {
  const { flags } = await tinyRun(t);
  const args = ['up', ...flags, '--servers=1', '--workers=1', '--epochs=1'];
  const cold = start(t, 'gradloom', args);
  t.is((await cold.ended).code, 0);
  const warm = start(t, 'gradloom', args);
  t.is((await warm.ended).code, 0);
  t.is((await cold.event('data')).warm, false);
  t.true(cold.events.some(({ event }) => event === 'preparing'));
  t.like(await warm.event('data'), { warm: true, train: 256, test: 64 });
  t.false(warm.events.some(({ event }) => event === 'preparing'));
});

test.serial(
  'without --json a person reads plain lines that end with the accuracy and where the model is',
  async (t) => {
    const { flags } = await tinyRun(t);
    const plain = flags.filter((flag) => flag !== '--json');
    const { code, stdout, stderr } = await start(t, 'gradloom', [
      'up',
      ...plain,
      '--servers=1',
      '--workers=1',
      '--epochs=1',
    ]).ended;
    t.deepEqual({ code, stderr }, { code: 0, stderr: [] });
    const text = stdout.join('\n');
    t.regex(text, /run +small-1: 1 server, 1 worker, /);
    t.regex(text, /Done: test accuracy \d+\.\d % on records that training never saw/);
    t.regex(text, /Model: +\S+\/model\n/);
    t.false(text.includes('\u001b'), 'no escape sequences where nobody looks at a terminal');
  },
);
