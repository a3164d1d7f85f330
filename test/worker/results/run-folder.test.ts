// Where results stand, and the summary among them.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import test from 'ava';
import { RunError, UserError } from '../../../shared/errors.js';
import { createRunFolder, writeConfig } from '../../../worker/results/run-folder.js';
import { type Summary, writeSummary } from '../../../worker/results/summary.js';
import { temporaryFolder } from '../../helpers/folder.js';

const STARTED = new Date('2025-01-02T03:04:05.678Z');
const summary: Summary = {
  run: 'cifar10-20250102-030405',
  job: 'cifar10',
  backend: 'wasm',
  seed: 1,
  servers: 2,
  workers: 2,
  consistency: 'bsp',
  codec: 'fp16',
  epochs: 1,
  steps: 156,
  samples: 9984,
  accuracy: 0.93,
  loss: 0.2,
  trainSeconds: 20,
  samplesPerSecond: 499.2,
  phaseSeconds: { data: 0.001, compute: 0.1, encode: 0.01, wait: 0.01, decode: 0.005 },
  bytesPushed: 1,
  bytesPulled: 2,
  bytesRetried: 0,
  weightsSha256: 'ab',
  modelPath: 'runs/x/model',
};

test('a folder is named after the run and its start, and a second one gets a number', async (t) => {
  const out = join(await temporaryFolder(t), 'a', 'runs');
  const first = await createRunFolder(out, 'cifar10', STARTED);
  t.is(first.id, 'cifar10-20250102-030405');
  t.is(first.path, join(out, first.id));
  t.is(first.summary, join(first.path, 'summary.json'));
  const ids = await Promise.all(
    [1, 2, 3].map(async () => (await createRunFolder(out, 'cifar10', STARTED)).id),
  );
  t.deepEqual(
    ids.sort(),
    [2, 3, 4].map((number) => `cifar10-20250102-030405-${number}`),
  );
});

test('no name of a run leads out of the folder', async (t) => {
  const out = await temporaryFolder(t);
  for (const name of ['../../etc', '/etc/passwd', '..', '', 'jobs/mine.js', 'é'.repeat(300), '-rf']) {
    const { path, id } = await createRunFolder(out, name, STARTED);
    t.is(path, join(out, basename(path)));
    t.regex(id, /^[a-zA-Z0-9_][a-zA-Z0-9._-]*-20250102-030405(-\d+)?$/);
  }
});

test('an --out that is a file or cannot be made is the mistake of the user', async (t) => {
  const file = join(await temporaryFolder(t), 'file');
  await writeFile(file, '');
  await t.throwsAsync(createRunFolder(file, 'x', STARTED), {
    instanceOf: UserError,
    message: /Cannot save results in .*file: it is a file; give a folder that can be written with --out/,
  });
  await t.throwsAsync(createRunFolder(join(file, 'x'), 'x', STARTED), {
    instanceOf: UserError,
    message: /a part of the path is no folder/,
  });
});

test('the config is written as a config file', async (t) => {
  const folder = await createRunFolder(await temporaryFolder(t), 'x', STARTED);
  await writeConfig(folder, { 'learning-rate': 0.001, epochs: 2 });
  t.deepEqual(JSON.parse(await readFile(folder.config, 'utf8')), { 'learning-rate': 0.001, epochs: 2 });
});

test('the summary is written to every file, with the fields of the contract', async (t) => {
  const folder = await temporaryFolder(t);
  const files = [join(folder, 'summary.json'), join(folder, 'deep', 'er', 's.json')];
  await writeSummary(summary, files);
  for (const file of files) t.deepEqual(JSON.parse(await readFile(file, 'utf8')), summary);
  t.deepEqual((await readdir(folder)).sort(), ['deep', 'summary.json']);
  await writeSummary({ ...summary, accuracy: null }, files);
  t.is(JSON.parse(await readFile(files[0], 'utf8')).accuracy, null);
});

test('a figure that is not finite is a bug, not a null in the file', async (t) => {
  const file = join(await temporaryFolder(t), 's.json');
  await t.throwsAsync(writeSummary({ ...summary, samplesPerSecond: Number.POSITIVE_INFINITY }, [file]), {
    message: "the summary's samplesPerSecond is Infinity",
  });
  await t.throwsAsync(writeSummary({ ...summary, phaseSeconds: { data: Number.NaN } }, [file]), {
    message: "the summary's data is NaN",
  });
});

test('a summary that cannot be written names its file', async (t) => {
  const folder = await temporaryFolder(t);
  await t.throwsAsync(writeSummary(summary, [folder]), {
    instanceOf: RunError,
    message: /Cannot write .*: it is a folder/,
  });
  await writeFile(join(folder, 'file'), '');
  await t.throwsAsync(writeSummary(summary, [join(folder, 'file', 's.json')]), {
    instanceOf: UserError,
    message: /Cannot write the summary to .*; give another file with --summary/,
  });
});
