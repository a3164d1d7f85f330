// The loss curve: what is appended is what is read, whatever happened in between, and a picture of bounded size.
import { appendFile, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { RunError, UserError } from '../../../shared/errors.js';
import { CURVE_PENDING_MAX_BYTES, CURVE_POINTS_MAX } from '../../../shared/limits.js';
import { loadCurve } from '../../../worker/results/curve-data.js';
import { CurveFile, type CurvePoint, readCurve } from '../../../worker/results/curve-file.js';
import { drawCurve } from '../../../worker/results/curve-picture.js';
import { smooth, Thinner } from '../../../worker/results/thin.js';
import { temporaryFolder } from '../../helpers/folder.js';

function trainPoint(step: number): CurvePoint {
  return {
    step,
    epoch: Math.ceil(step / 100),
    split: 'train',
    loss: 2.5 / step,
    accuracy: 1 - 0.5 / step,
    samplesPerSecond: 1234.5,
    seconds: step / 8,
  };
}
const testPoint = (step: number): CurvePoint => ({
  step,
  epoch: step / 100,
  split: 'test',
  loss: 0.5,
  seconds: step / 8,
});

async function readAll(path: string): Promise<CurvePoint[]> {
  const points: CurvePoint[] = [];
  for await (const point of readCurve(path)) points.push(point);
  return points;
}

test('the file is a table with a header, one line a point', async (t) => {
  const path = join(await temporaryFolder(t), 'loss.csv');
  const file = await CurveFile.open(path);
  file.append(trainPoint(1));
  file.append(testPoint(100));
  await file.close();
  t.is(
    await readFile(path, 'utf8'),
    'step,epoch,split,loss,accuracy,samplesPerSecond,seconds\n1,1,train,2.5,0.5,1234.5,0.125\n100,1,test,0.5,,,12.5\n',
  );
});

test('what is appended is what is read, to six digits', async (t) => {
  const path = join(await temporaryFolder(t), 'loss.csv');
  const file = await CurveFile.open(path);
  const points = Array.from({ length: 1500 }, (_, index) => trainPoint(index + 1));
  for (const point of points) file.append(point);
  await file.close();
  const found = await readAll(path);
  t.is(found.length, points.length);
  for (const [index, { loss, step }] of found.entries()) {
    t.is(step, index + 1);
    t.true(Math.abs(loss - points[index].loss) <= 1e-5 * points[index].loss);
  }
});

test('points reach the file while the run goes on', async (t) => {
  const path = join(await temporaryFolder(t), 'loss.csv');
  const file = await CurveFile.open(path);
  file.append(trainPoint(1));
  await file.flush();
  t.is((await readAll(path)).length, 1);
  await file.close();
});

test('after a crash in the middle of a line the file goes on after the last whole one', async (t) => {
  const path = join(await temporaryFolder(t), 'loss.csv');
  const first = await CurveFile.open(path);
  for (let step = 1; step <= 50; step++) first.append(trainPoint(step));
  await first.close();
  await truncate(path, (await stat(path)).size - 7);
  const second = await CurveFile.open(path);
  second.append(trainPoint(50));
  await second.close();
  const text = await readFile(path, 'utf8');
  t.is(text.match(/^step,/gm)?.length, 1);
  t.deepEqual(
    (await readAll(path)).map(({ step }) => step),
    Array.from({ length: 50 }, (_, index) => index + 1),
  );
});

test('a crash in the middle of the header starts the file anew', async (t) => {
  const path = join(await temporaryFolder(t), 'loss.csv');
  await writeFile(path, 'step,ep');
  const file = await CurveFile.open(path);
  file.append(trainPoint(1));
  await file.close();
  t.is((await readAll(path)).length, 1);
});

test('a disk that does not keep up stops the run before memory fills', async (t) => {
  const path = join(await temporaryFolder(t), 'loss.csv');
  const file = await CurveFile.open(path);
  // Nothing is written before this test gives the event loop back.
  const error = t.throws(
    () => {
      for (let step = 1; step < CURVE_PENDING_MAX_BYTES; step++) file.append(trainPoint(step));
    },
    { instanceOf: RunError },
  );
  t.regex(
    error?.message ?? '',
    /Cannot write .*loss\.csv: the disk has not taken \d+ bytes; mend it or choose/,
  );
  await file.close();
});

test('a folder that is not there is named', async (t) => {
  const path = join(await temporaryFolder(t), 'none', 'loss.csv');
  await t.throwsAsync(CurveFile.open(path), {
    instanceOf: RunError,
    message: /Cannot write .*none\/loss\.csv: it or its/,
  });
  await t.throwsAsync(loadCurve(path), { instanceOf: UserError, message: /Cannot read .*none\/loss\.csv/ });
});

const HEADER = 'step,epoch,split,loss,accuracy,samplesPerSecond,seconds\n';
const strangers: [string, string, RegExp][] = [
  ['other columns', 'a,b\n1,2\n', /loss\.csv:1: expected the columns step,epoch/],
  ['too few cells', `${HEADER}1,1,train\n`, /loss\.csv:2: expected 7 cells, .* got "1,1,train"/],
  ['text for a number', `${HEADER}1,1,train,low,0.5,1,1\n`, /loss\.csv:2: expected 7 cells, numbers/],
  [
    'an unknown split',
    `${HEADER}1,1,dev,1,0.5,1,1\n`,
    /loss\.csv:2: expected 7 cells, numbers but for the split/,
  ],
  ['a line without end', `${HEADER}${'1'.repeat(5000)}\n`, /loss\.csv:2: expected 7 cells/],
];
for (const [title, text, message] of strangers) {
  test(`a file with ${title} is refused with its line`, async (t) => {
    const path = join(await temporaryFolder(t), 'loss.csv');
    await writeFile(path, text);
    await t.throwsAsync(loadCurve(path), { instanceOf: UserError, message });
  });
}

test('a loss that is not a number is kept in the file and left out of the picture', async (t) => {
  const folder = await temporaryFolder(t);
  const file = await CurveFile.open(join(folder, 'loss.csv'));
  file.append(trainPoint(1));
  file.append({ ...trainPoint(2), loss: Number.NaN });
  await file.close();
  t.is((await readAll(join(folder, 'loss.csv')))[1].loss, Number.NaN);
  t.is((await loadCurve(join(folder, 'loss.csv'))).trainLoss.length, 1);
});

test('thinning keeps the mean, the order and the bound', (t) => {
  const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 700 });
  const property = fc.property(values, fc.integer({ min: 2, max: 40 }), (list, most) => {
    const thinner = new Thinner(most);
    for (const [index, value] of list.entries()) thinner.add(index, value);
    const bins = thinner.bins();
    t.true(bins.length <= most);
    t.true(bins.length >= Math.min(list.length, Math.floor(most / 2)));
    // All bins but the last hold the same number of neighbouring values: the mean of each is known.
    let width = 1;
    while (Math.ceil(list.length / width) > most) width *= 2;
    t.is(bins.length, Math.ceil(list.length / width));
    for (const [bin, { x, mean }] of bins.entries()) {
      const part = list.slice(bin * width, (bin + 1) * width);
      t.true(Math.abs(mean - part.reduce((a, b) => a + b, 0) / part.length) < 1e-6);
      t.is(x, bin * width + (part.length - 1) / 2);
    }
  });
  t.notThrows(() => fc.assert(property, { seed: 5, numRuns: 300 }));
});

test('smoothing leaves a constant alone, stays within the values and does not shift a line', (t) => {
  const bins = (values: number[]) => values.map((mean, x) => ({ x, mean }));
  for (const { mean } of smooth(bins(Array(50).fill(3)), 7)) t.true(Math.abs(mean - 3) < 1e-12);
  const straight = smooth(bins(Array.from({ length: 50 }, (_, x) => x)), 5);
  for (const { x, mean } of straight.slice(5, -5)) t.true(Math.abs(mean - x) < 1e-12);
  t.deepEqual(smooth(bins([1, 9, 1]), 0), bins([1, 9, 1]));
  const spiky = smooth(bins([0, 0, 10, 0, 0]), 2);
  t.true(spiky.every(({ mean }) => mean >= 0 && mean < 10));
  t.is(spiky[2].mean, (3 * 10) / 9);
});

test('the picture is an SVG with its titles, labels and both panels, whatever the length of the run', async (t) => {
  const folder = await temporaryFolder(t);
  const csv = join(folder, 'loss.csv');
  const svg = join(folder, 'loss.svg');
  const file = await CurveFile.open(csv);
  for (let step = 1; step <= 30_000; step++) {
    file.append(trainPoint(step));
    if (step % 10_000 === 0) file.append({ ...testPoint(step), accuracy: 0.912 });
    if (step % 1000 === 0) await file.flush();
  }
  await file.close();
  const data = await loadCurve(csv);
  t.true(data.trainLoss.length <= CURVE_POINTS_MAX && data.trainLoss.length > CURVE_POINTS_MAX / 2);
  await drawCurve(csv, svg, 'cifar10: <loss> & accuracy', 'fp16 · seed 1');
  const text = await readFile(svg, 'utf8');
  t.true(text.startsWith('<svg xmlns="http://www.w3.org/2000/svg"'));
  for (const word of [
    'cifar10: &lt;loss&gt; &amp; accuracy',
    'fp16 · seed 1',
    'Loss',
    'Accuracy',
    'Step',
    'training',
    'test set',
    '91.2%',
    '0.500',
  ]) {
    t.true(text.includes(`>${word}</text>`), word);
  }
  t.true(text.length < 300_000);
  t.notRegex(text, /NaN|undefined|href|<script/);
});

test('a run of one step, or without an accuracy, or without any, is drawn too', async (t) => {
  const folder = await temporaryFolder(t);
  const svg = join(folder, 'loss.svg');
  const csv = join(folder, 'loss.csv');
  await (await CurveFile.open(csv)).close();
  await drawCurve(csv, svg, 'empty', 'none');
  t.notRegex(await readFile(svg, 'utf8'), /NaN|undefined|>Accuracy</);
  await appendFile(csv, '1,1,train,2.3,,100,0.1\n');
  await drawCurve(csv, svg, 'one step', 'none');
  const text = await readFile(svg, 'utf8');
  t.notRegex(text, /NaN|undefined|>Accuracy</);
  t.regex(text, />Loss</);
});
