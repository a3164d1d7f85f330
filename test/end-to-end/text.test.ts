// `gradloom up --job text` on texts in fastText's format: it learns, its table lies beside the model, and one server and
// three give the same bits, in the table as in the rest. An evaluator of such a run reads rows and changes nothing.
import '@tensorflow/tfjs-backend-cpu';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { keyedRandom } from '../../shared/random.js';
import { readSafetensors } from '../../shared/safetensors.js';
import { loadLayersModel } from '../../worker/results/layers-model.js';
import type { Summary } from '../../worker/results/summary.js';
import { SparseEmbedding } from '../../worker/rows/sparse-embedding.js';
import { parseExposition } from '../helpers/exposition.js';
import { temporaryFolder } from '../helpers/folder.js';
import { start } from '../helpers/processes.js';

const CLASSES = ['sun', 'rain'];
const TRAIN = 384;
const TEST = 96;

/** A line with words of its class among words that say nothing. */
function line(split: string, index: number): string {
  const random = keyedRandom(4, split, index);
  const label = CLASSES[random.below(CLASSES.length)];
  const words = Array.from({ length: 4 + random.below(8) }, (_, at) =>
    at < 2 ? `${label}${random.below(15)}` : `word${random.below(500)}`,
  );
  return `__label__${label} ${words.reverse().join(' ')}\n`;
}

async function texts(t: ExecutionContext) {
  const folder = await temporaryFolder(t);
  const data = join(folder, 'data');
  await mkdir(data);
  for (const [split, count] of [
    ['train', TRAIN],
    ['test', TEST],
  ] as const) {
    const lines = Array.from({ length: count }, (_, index) => line(split, index));
    await writeFile(join(data, `${split}.txt`), lines.join(''));
  }
  const summary = join(folder, 'summary.json');
  return {
    flags: [
      '--job=text',
      `--data=${data}`,
      `--cache=${join(folder, 'cache')}`,
      `--out=${join(folder, 'runs')}`,
      `--summary=${summary}`,
      '--backend=wasm',
      '--batch=32',
      '--learning-rate=0.05',
      '--json',
    ],
    readSummary: async () => JSON.parse(await readFile(summary, 'utf8')) as Summary,
  };
}

test.serial('two servers and two workers learn; one server and three give the same bits', async (t) => {
  t.timeout(180_000);
  const { flags, readSummary } = await texts(t);
  const trained = async (servers: number, ...more: string[]) => {
    const up = start(t, 'gradloom', ['up', ...flags, `--servers=${servers}`, '--epochs=4', ...more]);
    const { code, stderr } = await up.ended;
    t.is(code, 0, stderr.join('\n'));
    const summary = await readSummary();
    const tables = await readFile(join(dirname(summary.modelPath), 'tables.safetensors'));
    return { summary, tables };
  };
  const { summary, tables } = await trained(2);
  t.true((summary.accuracy as number) > 0.9, `${summary.accuracy}`);
  t.true((summary.loss as number) < 0.4, `${summary.loss}`);
  t.true((summary.phaseSeconds as Record<string, number>).rows > 0);
  for (const servers of [1, 3]) {
    const other = await trained(servers);
    t.is(other.summary.weightsSha256, summary.weightsSha256, `${servers} servers`);
    t.is(other.summary.accuracy, summary.accuracy);
    t.deepEqual(other.tables, tables, `${servers} servers`);
  }
  t.not((await trained(2, '--seed=9')).summary.weightsSha256, summary.weightsSha256);

  // What was saved can be read: the rows, ascending, and a model that says which table it needs.
  const { tensors, metadata } = await readSafetensors(join(dirname(summary.modelPath), 'tables.safetensors'));
  const [{ rows, width }] = JSON.parse(metadata.tables);
  const ids = new Uint32Array(tensors.get('words/ids')?.data.slice().buffer as ArrayBuffer);
  t.deepEqual(tensors.get('words/rows')?.shape, [ids.length, width]);
  t.true(ids.length > 500 && ids.every((id, at) => id < rows && (at === 0 || id > ids[at - 1])));
  const embedding = (await loadLayersModel(summary.modelPath)).getLayer('words');
  t.true(embedding instanceof SparseEmbedding);
  t.like((embedding as SparseEmbedding).table, { name: 'words', rows, width });
});

test.serial('an evaluator reads rows, tells its skew, and changes no bit', async (t) => {
  t.timeout(180_000);
  const { flags, readSummary } = await texts(t);
  const epochs = '--epochs=15';
  const alone = await start(t, 'gradloom', ['up', ...flags, epochs]).ended;
  t.is(alone.code, 0, alone.stderr.join('\n'));
  const { weightsSha256 } = await readSummary();

  const server = start(t, 'gradloom-server', ['--listen=127.0.0.1:0', '--json']);
  const { address } = await server.event('ready');
  const joined = [...flags, `--join=${address}`];
  const evaluator = start(t, 'gradloom-worker', [...joined, '--evaluate', '--every=5']);
  await evaluator.event('awaiting-run');
  const workers = [0, 1].map(() => start(t, 'gradloom-worker', [...joined, '--workers=2', epochs]));
  for (const { ended } of [...workers, evaluator]) {
    const { code, stderr } = await ended;
    t.is(code, 0, stderr.join('\n'));
  }
  t.is((await readSummary()).weightsSha256, weightsSha256);
  const told = evaluator.events.filter(({ event }) => event === 'evaluation');
  t.true(told.length > 0);
  for (const { records, skew } of told) {
    t.is(records, TEST);
    t.true((skew as number) >= 0);
  }
  t.is(evaluator.events.at(-1)?.event, 'finished-observing');
});

test.serial('a run moves the metrics of its tables, on servers and workers', async (t) => {
  t.timeout(120_000);
  const { flags } = await texts(t);
  const up = start(t, 'gradloom', ['up', ...flags, '--epochs=100000']);
  await up.event('epoch', ({ epoch }) => epoch === 2);
  const moved = ['sent', 'received'].flatMap((direction) => [
    `gradloom_rows_total ${direction}`,
    `gradloom_row_bytes_total ${direction}`,
  ]);
  const resident = ['gradloom_resident_rows ', 'gradloom_resident_row_bytes '];
  for (const { event, role, metrics } of up.events) {
    if (event !== 'ready') continue;
    const wanted = role === 'server' ? [...moved, ...resident] : moved;
    // What is resident is counted once a second.
    for (let missing = wanted; missing.length > 0; ) {
      const samples = parseExposition(await (await fetch(String(metrics))).text());
      const seen = samples.flatMap(({ name, labels, value }) =>
        labels.table === 'words' && value > 0 ? [`${name} ${labels.direction ?? ''}`] : [],
      );
      missing = wanted.filter((series) => !seen.includes(series));
    }
    if (role !== 'worker') continue;
    const phases = parseExposition(await (await fetch(String(metrics))).text()).filter(
      ({ name, labels }) => name === 'gradloom_step_phase_seconds_sum' && labels.phase === 'rows',
    );
    t.true(phases[0].value > 0);
  }
  t.pass();
});
