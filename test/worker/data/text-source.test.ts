// Texts as data: ids depend on the words alone, files in fastText's format are read in pieces and in chunks, from a
// folder and from an archive alike, and what is wrong is named with its line.
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { create } from 'tar';
import { UserError } from '../../../shared/errors.js';
import { TEXT_LINE_MAX_BYTES } from '../../../shared/limits.js';
import { openDataset } from '../../../worker/data/dataset.js';
import { generatedTexts, reviewOf } from '../../../worker/data/generated-texts.js';
import type { SourceRecord } from '../../../worker/data/source.js';
import { type TextFormat, textIds } from '../../../worker/data/text-features.js';
import { temporaryFolder, write } from './samples.js';

const FORMAT: TextFormat = { length: 8, rows: 1000, pairs: true };
const words = (text: string, pairs = false) =>
  [...textIds(text, { ...FORMAT, length: 16, pairs })].filter((id) => id > 0);

test('a text is its words, whatever stands between them, and their pairs where they are wanted', (t) => {
  t.deepEqual(words('A good film.'), words('a  GOOD film!'));
  t.deepEqual(words('good film a').sort(), words('a good film').sort());
  t.is(words('a good film', true).length, 5);
  t.notDeepEqual(words('good film a', true).sort(), words('a good film', true).sort());
  t.deepEqual(words(''), []);
  t.deepEqual(words('Žluťoučký kůň'), words('žluťoučký KŮŇ'));
  const ids = textIds('one two three four five six seven', FORMAT);
  t.is(ids.length, FORMAT.length);
  t.true(ids.every((id) => id >= 1 && id < FORMAT.rows));
});

/** Lines with blank ones, of two classes; longer than a piece in all. */
function lines(count: number, length = 0): string {
  const filler = 'x'.repeat(length);
  return Array.from(
    { length: count },
    (_, i) => `__label__${i % 3 ? 'b' : 'a'} number${i} ${filler}\n\n`,
  ).join('');
}

const opened = (t: ExecutionContext, data: string, text = FORMAT) =>
  openDataset({ data, text, cacheDir: join(temporaryFolder(t), 'cache') });

test('a folder and an archive of it give the same records, cut into chunks and pieces or not', async (t) => {
  const folder = temporaryFolder(t);
  write(folder, 'set/train.txt', lines(600, 4000));
  write(folder, 'set/test.txt', lines(7).trimEnd());
  const archive = join(temporaryFolder(t), 'set.tar.gz');
  await create({ gzip: true, cwd: folder, file: archive }, ['set']);
  for (const data of [join(folder, 'set'), archive]) {
    const dataset = await opened(t, data);
    t.deepEqual(dataset.classes, ['a', 'b']);
    t.deepEqual(dataset.splits, { train: 600, test: 7 });
    t.deepEqual(dataset.shape, [FORMAT.length]);
    const { features, labels } = dataset.read('train', [0, 299, 599]);
    t.deepEqual([...labels], [0, 1, 1]);
    const ids = new Uint32Array(features.buffer);
    t.deepEqual(ids.slice(8, 16), textIds(`number299 ${'x'.repeat(4000)}`, FORMAT));
    t.deepEqual(new Uint32Array(dataset.read('test', [6]).features.buffer), textIds('number6', FORMAT));
    await dataset.close();
  }
});

test('another way to read a text is another dataset, and without test.txt there is no test set', async (t) => {
  const folder = temporaryFolder(t);
  write(folder, 'train.txt', lines(10));
  const first = await opened(t, folder);
  const second = await opened(t, folder, { ...FORMAT, pairs: false });
  t.is(first.splits.test, 0);
  t.not(first.fingerprint, second.fingerprint);
  await first.close();
  await second.close();
});

const mistakes: [string, Record<string, string>, RegExp][] = [
  ['no train.txt', { 'other.txt': lines(3) }, /has 0 files train\.txt, expected one/],
  ['a line without a class', { 'train.txt': `${lines(2)}a film\n` }, /train\.txt, line 5: expected a class/],
  [
    'a class that training does not have',
    { 'train.txt': lines(3), 'test.txt': '__label__c what\n' },
    /test\.txt, line 1: expected a class that train\.txt has, got 'c'/,
  ],
  [
    'a line without an end',
    { 'train.txt': `__label__a ${'x'.repeat(2 * TEXT_LINE_MAX_BYTES)}` },
    /line 1: expected lines of at most \d+ bytes/,
  ],
];

for (const [what, files, message] of mistakes)
  test(`refused: ${what}`, async (t) => {
    const folder = temporaryFolder(t);
    for (const [path, text] of Object.entries(files)) write(folder, path, text);
    await t.throwsAsync(opened(t, folder), { instanceOf: UserError, message });
  });

test('generated reviews are the same for all, of both classes, and turn some words round', async (t) => {
  const source = generatedTexts({ train: 300, test: 20 }, FORMAT);
  const records: SourceRecord[] = [];
  const taken: number[] = [];
  await source.produce(
    (chunk) => {
      taken.push(chunk);
      return chunk === 1;
    },
    (_, some) => void records.push(...some),
  );
  t.deepEqual(taken, [0, 1]);
  t.deepEqual(
    records.map(({ index }) => index),
    Array.from({ length: 64 }, (_, i) => 256 + i),
  );
  const { label, text } = reviewOf(256);
  t.like(records[0], { label, features: new Uint8Array(textIds(text, FORMAT).buffer) });
  const labels = Array.from({ length: 300 }, (_, index) => reviewOf(index).label);
  const praise = labels.filter((each) => each === 1).length;
  t.true(praise > 100 && praise < 200);
  t.true(Array.from({ length: 50 }, (_, index) => reviewOf(index).text).some((each) => / ne /.test(each)));
});
