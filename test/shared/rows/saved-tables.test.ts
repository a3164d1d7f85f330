// Saved tables are read back as they were: against what a server gave at the end, against a plain map over random files,
// and against files that lie.
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { connect, openTables, type SavedTables, UserError } from '../../../shared/client/index.js';
import { SAVED_ROWS_READ_BYTES } from '../../../shared/limits.js';
import { optimizerSpec } from '../../../shared/optimizer/spec.js';
import { rowInitializer } from '../../../shared/rows/row-initializer.js';
import type { RowOptimizerSpec, RowTableSpec } from '../../../shared/rows/tables.js';
import { type NamedTensor, writeSafetensors } from '../../../shared/safetensors.js';
import { TablesFile } from '../../../worker/results/tables-file.js';
import { temporaryFolder } from '../../helpers/folder.js';
import { startTestServer } from '../../helpers/server.js';

const SEED = 11;
const table = (name: string, rows: number, width: number, changes: Partial<RowTableSpec> = {}) =>
  ({
    name,
    rows,
    width,
    initializer: { kind: 'normal', scale: 0.5 },
    optimizer: optimizerSpec('sgd', 1) as RowOptimizerSpec,
    codec: 'fp32',
    ...changes,
  }) satisfies RowTableSpec;
const metadataOf = (tables: readonly object[]) => ({
  run: 'run-1',
  job: 'words',
  seed: String(SEED),
  tables: JSON.stringify(tables),
});

/** A file as a worker writes it: of each table these ids, and for them these values. */
async function written(
  t: ExecutionContext,
  tables: readonly RowTableSpec[],
  rows: readonly { ids: Uint32Array; values: Float32Array }[],
): Promise<string> {
  const path = join(await temporaryFolder(t), 'tables.safetensors');
  const file = await TablesFile.open(path, tables, metadataOf(tables));
  for (const { ids, values } of rows) {
    file.begin(ids.length);
    await file.write(ids, values);
  }
  await file.close();
  return path;
}

async function opened(t: ExecutionContext, path: string): Promise<SavedTables> {
  const tables = await openTables(path);
  t.teardown(() => tables.close());
  return tables;
}

test('every row is what a server gave at the end of the run: those that were trained, and those that were not', async (t) => {
  const server = await startTestServer(t);
  const { optimizer, codec, ...given } = table('words', 200, 5);
  const client = await connect({
    join: server.address,
    tensors: [{ name: 'bias', shape: [1], values: new Float32Array(1) }],
    tables: [{ ...given, optimizer, codec }],
    seed: SEED,
  });
  const ids = Uint32Array.of(0, 7, 8, 9, 150);
  const gradients = Float32Array.from({ length: ids.length * 5 }, (_, i) => i / 8);
  await client.pushPull({}, { rows: { words: { ids, gradients } } });
  const all = Uint32Array.from({ length: 200 }, (_, id) => id);
  const { values } = await client.pullRows('words', all, { codec: 'fp32' });
  const updated = (await client.pullRows('words', ids, { codec: 'fp32' })).values;
  const path = await written(t, client.tables, [{ ids, values: updated }]);
  await client.close();

  const saved = await opened(t, path);
  t.like(saved, { run: 'run-1', job: 'words' });
  t.like(saved.tables[0], { name: 'words', rows: 200, width: 5 });
  t.is(saved.updated('words'), ids.length);
  t.deepEqual(await saved.read('words', all), values);
  t.deepEqual(
    await saved.read('words', [150, 3, 150]),
    Float32Array.from([150, 3, 150].flatMap((id) => [...values.subarray(id * 5, id * 5 + 5)])),
  );
});

test('any ids in any order are read as from a plain map, and a scan brings what was written', async (t) => {
  const tables = [table('a', 40, 3), table('b', 40, 1, { initializer: { kind: 'uniform', scale: 2 } })];
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.nat(39), { maxLength: 40 }),
      fc.uniqueArray(fc.nat(39), { maxLength: 40 }),
      fc.array(fc.nat(39), { maxLength: 60 }),
      async (first, second, wanted) => {
        const rows = [first, second].map((ids, index) => {
          const sorted = Uint32Array.from(ids).sort();
          const values = new Float32Array(sorted.length * tables[index].width).map((_, i) => i + 0.25);
          return { ids: sorted, values };
        });
        const saved = await openTables(await written(t, tables, rows));
        for (const [index, spec] of tables.entries()) {
          const { ids, values } = rows[index];
          const fill = rowInitializer(spec, SEED);
          const expected = wanted.flatMap((id) => {
            const at = ids.indexOf(id) * spec.width;
            if (at >= 0) return [...values.subarray(at, at + spec.width)];
            const out = new Float32Array(spec.width);
            fill(id, out, 0);
            return [...out];
          });
          t.deepEqual([...(await saved.read(spec.name, wanted))], expected);
          const scanned: number[] = [];
          for await (const part of saved.scan(spec.name)) scanned.push(...part.ids, ...part.values);
          t.deepEqual(scanned, [...ids, ...values]);
        }
        await saved.close();
      },
    ),
    { seed: 5, numRuns: 40 },
  );
});

test('a scan hands over a few rows at a time', async (t) => {
  const width = 1024;
  const count = SAVED_ROWS_READ_BYTES / (4 * width) + 1;
  const ids = Uint32Array.from({ length: count }, (_, i) => 2 * i);
  const values = new Float32Array(count * width).map((_, i) => i % 997);
  const saved = await opened(t, await written(t, [table('wide', 4096, width)], [{ ids, values }]));
  const parts = [];
  for await (const part of saved.scan('wide')) parts.push(part);
  t.deepEqual(
    parts.map((part) => part.ids.length),
    [count - 1, 1],
  );
  t.is(
    Buffer.compare(
      Buffer.concat(parts.map((part) => Buffer.from(part.values.buffer))),
      Buffer.from(values.buffer),
    ),
    0,
  );
});

test('a table or a row that is not there is a mistake of the caller, and the file stays usable', async (t) => {
  const rows = { ids: Uint32Array.of(1), values: new Float32Array(2) };
  const saved = await opened(t, await written(t, [table('words', 4, 2)], [rows]));
  for (const [act, says] of [
    [() => saved.read('word', [0]), /read: expected a table of 'words', got 'word'/],
    [() => saved.read('words', [4]), /expected row ids from 0 to 3, got 4/],
    [() => saved.read('words', [0.5]), /expected row ids from 0 to 3, got 0.5/],
  ] as const)
    await t.throwsAsync(act(), { instanceOf: UserError, message: says });
  t.throws(() => saved.updated('word'), { instanceOf: UserError });
  t.deepEqual(await saved.read('words', [1]), rows.values);
  t.deepEqual(await saved.read('words', []), new Float32Array(0));
});

const words = table('words', 10, 2);
const ids = (...of: number[]): NamedTensor => ({
  name: 'words/ids',
  dtype: 'U32',
  shape: [of.length],
  data: Uint32Array.from(of),
});
const values = (count: number, width = 2): NamedTensor => ({
  name: 'words/rows',
  dtype: 'F32',
  shape: [count, width],
  data: new Float32Array(count * width),
});

for (const { title, tensors = [ids(1, 5), values(2)], metadata = {}, says } of [
  { title: 'no seed', metadata: { seed: '' }, says: /expected a whole number as the seed of the run, got/ },
  { title: 'tables that are no JSON', metadata: { tables: '{' }, says: /do not say in JSON which tables/ },
  {
    title: 'a table without rows',
    metadata: metadataOf([{ ...words, rows: undefined }]),
    says: /tables: 0\.rows/,
  },
  {
    title: 'a width beyond the limit',
    metadata: metadataOf([{ ...words, width: 1e9 }]),
    says: /expected a width/,
  },
  { title: 'no tables', metadata: metadataOf([]), says: /tables: all/ },
  { title: 'ids that are missing', tensors: [values(0)], says: /'words\/ids', got nothing/ },
  {
    title: 'more ids than the table has',
    metadata: metadataOf([{ ...words, rows: 1 }]),
    says: /at most 1 ids/,
  },
  {
    title: 'rows of another number',
    tensors: [ids(1, 5), values(3)],
    says: /expected 2 rows of 2 .+ \[3,2\]/,
  },
  {
    title: 'rows of another width',
    tensors: [ids(1, 5), values(2, 3)],
    says: /expected 2 rows of 2 .+ \[2,3\]/,
  },
] as { title: string; tensors?: NamedTensor[]; metadata?: Record<string, string>; says: RegExp }[])
  test(`a file with ${title} is refused when it is opened`, async (t) => {
    const path = join(await temporaryFolder(t), 'tables.safetensors');
    await writeSafetensors(path, tensors, { ...metadataOf([words]), ...metadata });
    const error = await t.throwsAsync(openTables(path), { instanceOf: UserError, message: says });
    t.true(error.message.startsWith(path));
  });

for (const [title, tensor, says] of [
  ['fall', ids(5, 1), /got 1 after 5/],
  ['come twice', ids(5, 5), /got 5 after 5/],
  ['are out of range', ids(5, 10), /expected ids below 10 .+ got 10 after 5/],
] as const)
  test(`ids that ${title} are told by whatever is read first`, async (t) => {
    const path = join(await temporaryFolder(t), 'tables.safetensors');
    await writeSafetensors(path, [tensor, values(2)], metadataOf([words]));
    const saved = await opened(t, path);
    await t.throwsAsync(saved.read('words', [0]), { instanceOf: UserError, message: says });
    await t.throwsAsync(saved.scan('words').next(), { instanceOf: UserError, message: says });
  });

test('a file that is missing, cut off, or cut off later is named', async (t) => {
  const folder = await temporaryFolder(t);
  await t.throwsAsync(openTables(join(folder, 'none')), {
    instanceOf: UserError,
    message: /Cannot read .+none/,
  });
  const path = await written(t, [words], [{ ids: Uint32Array.of(9), values: Float32Array.of(1, 2) }]);
  const saved = await opened(t, path);
  await truncate(path, 40);
  await t.throwsAsync(openTables(path), {
    instanceOf: UserError,
    message: /tables\.safetensors is no safetensors/,
  });
  await t.throwsAsync(saved.read('words', [9]), {
    instanceOf: UserError,
    message: /it ends after \d+ bytes/,
  });
});
