import {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { open } from 'lmdb';
import { RunError } from '../../../shared/errors.js';
import { defaultCacheDir } from '../../../worker/data/cache/host-index.js';
import { type DatasetOptions, openDataset } from '../../../worker/data/dataset.js';
import { holdsCifar, pack, refused, temporaryFolder, writeCifar, writeTree } from './samples.js';

interface Place {
  folder: string;
  data: string;
  cacheDir: string;
}

function place(t: ExecutionContext): Place {
  const folder = temporaryFolder(t);
  return { folder, data: writeCifar(join(folder, 'data')), cacheDir: join(folder, 'cache') };
}

/** Opens and closes a dataset, and says how that was. */
async function visit(
  options: DatasetOptions,
): Promise<{ warm: boolean; fingerprint: string; right: boolean }> {
  const dataset = await openDataset(options);
  const { fingerprint, cache } = dataset;
  const right = holdsCifar(dataset);
  await dataset.close();
  return { warm: cache.warm, fingerprint, right };
}

const datasetFolders = (cacheDir: string): string[] =>
  readdirSync(join(cacheDir, 'datasets')).map((name) => join(cacheDir, 'datasets', name));

test('a second start is warm and has the same records', async (t) => {
  const { data, cacheDir } = place(t);
  const phases = new Set<string>();
  const cold = await openDataset({
    data,
    cacheDir,
    onProgress: (done, total, phase) => phases.add(`${phase} ${done}/${total}`),
  });
  t.like(cold.cache, { warm: false, records: 1170, hits: 0, misses: 1170 });
  t.true(cold.cache.seconds > 0);
  t.true(phases.has('cache 1170/1170'));
  await cold.close();
  const warm = await openDataset({ data, cacheDir, onProgress: () => t.fail('there is nothing to be done') });
  t.like(warm.cache, { warm: true, records: 1170, hits: 1170, misses: 0 });
  t.true(holdsCifar(warm));
  await warm.close();
});

test('an archive is known by its content, wherever it lies', async (t) => {
  const { folder, data, cacheDir } = place(t);
  const archive = await pack(data, join(folder, 'a.tar.gz'), true);
  const first = await visit({ data: archive, cacheDir });
  await rename(archive, join(folder, 'moved.tgz'));
  const second = await visit({ data: join(folder, 'moved.tgz'), cacheDir });
  t.like(second, { warm: true, right: true, fingerprint: first.fingerprint });
});

test('a folder with a file that changed is another dataset', async (t) => {
  const { data, cacheDir } = place(t);
  const first = await visit({ data, cacheDir });
  utimesSync(join(data, 'test_batch.bin'), 1, 1);
  const second = await visit({ data, cacheDir });
  t.false(second.warm);
  t.not(second.fingerprint, first.fingerprint);
});

test('data that changes while it is read is refused, and the cache keeps nothing of it', async (t) => {
  const { data, cacheDir } = place(t);
  const onProgress = () => utimesSync(join(data, 'test_batch.bin'), 1, 1);
  await refused(t, openDataset({ data, cacheDir, onProgress }), data, 'changed while it was read');
  t.deepEqual(datasetFolders(cacheDir), []);
  t.like(await visit({ data, cacheDir }), { warm: false, right: true });
});

test('a truncated cache is made again, with a notice', async (t) => {
  const { data, cacheDir } = place(t);
  await visit({ data, cacheDir });
  const [folder] = datasetFolders(cacheDir);
  truncateSync(join(folder, 'data.mdb'), 1_000_000);
  const notices: string[] = [];
  const again = await visit({ data, cacheDir, onNotice: (notice) => notices.push(notice) });
  t.like(again, { warm: false, right: true });
  t.is(notices.length, 1);
  t.regex(
    notices[0],
    /the cached dataset in .* was damaged \(data.mdb has 1000000 of \d+ bytes\): it is removed/,
  );
});

test('a cache file that is no database is made again, with a notice', async (t) => {
  const { data, cacheDir } = place(t);
  await visit({ data, cacheDir });
  const [folder] = datasetFolders(cacheDir);
  writeFileSync(join(folder, 'data.mdb'), Buffer.alloc(100_000, 65));
  const notices: string[] = [];
  const again = await visit({ data, cacheDir, onNotice: (notice) => notices.push(notice) });
  t.like(again, { warm: false, right: true });
  t.regex(notices.join(), /was damaged \(data.mdb is no LMDB file of this format\)/);
});

test('an empty cache file, as a kill leaves it, is filled', async (t) => {
  const { data, cacheDir } = place(t);
  await visit({ data, cacheDir });
  const [folder] = datasetFolders(cacheDir);
  writeFileSync(join(folder, 'data.mdb'), '');
  t.like(await visit({ data, cacheDir, onNotice: (notice) => t.fail(notice) }), { warm: false, right: true });
});

test('a database that somebody else wrote is refused and left alone', async (t) => {
  const { data, cacheDir } = place(t);
  await visit({ data, cacheDir });
  const [folder] = datasetFolders(cacheDir);
  writeFileSync(join(folder, 'data.mdb'), '');
  const foreign = open({ path: folder, noSubdir: false });
  await foreign.put('somebody', 'else');
  await foreign.close();
  const before = readFileSync(join(folder, 'data.mdb'));
  await refused(
    t,
    openDataset({ data, cacheDir }),
    folder,
    'that gradloom did not write',
    'delete that folder',
  );
  t.true(before.equals(readFileSync(join(folder, 'data.mdb'))));
});

test('a damaged index is refused with what to delete', async (t) => {
  const { data, cacheDir } = place(t);
  mkdirSync(join(cacheDir, 'index'), { recursive: true });
  writeFileSync(join(cacheDir, 'index/data.mdb'), 'not ours');
  await refused(
    t,
    openDataset({ data, cacheDir }),
    join(cacheDir, 'index'),
    'damaged or foreign',
    `delete ${cacheDir}`,
  );
});

test('a record with a bit that flipped on the disk is refused by number', async (t) => {
  const { data, cacheDir } = place(t);
  await visit({ data, cacheDir });
  const [folder] = datasetFolders(cacheDir);
  const file = join(folder, 'data.mdb');
  const bytes = readFileSync(file);
  const reference = await openDataset({ data, cacheDir });
  const at = bytes.indexOf(reference.read('train', [17]).features);
  await reference.close();
  t.true(at > 0);
  bytes[at + 100] ^= 4;
  writeFileSync(file, bytes);
  const dataset = await openDataset({ data, cacheDir });
  t.true(dataset.cache.warm);
  t.notThrows(() => dataset.read('train', [16]));
  const error = t.throws(() => dataset.read('train', [17]), { instanceOf: RunError });
  t.regex(
    error?.message ?? '',
    /record 17 of the cache in .* does not have the checksum .* delete that folder/,
  );
  await dataset.close();
});

test('the least recently used dataset gives way when the cache is full', async (t) => {
  const { folder, cacheDir } = place(t);
  const notices: string[] = [];
  const options = {
    cacheDir,
    cacheMaxBytes: 14 * 2 ** 20,
    onNotice: (notice: string) => notices.push(notice),
  };
  const [a, b, c] = ['a', 'b', 'c'].map((name) => writeCifar(join(folder, name)));
  for (const data of [a, b]) await visit({ ...options, data });
  const [first, second] = datasetFolders(cacheDir);
  const [older, newer] =
    statSync(first).mtimeMs <= statSync(second).mtimeMs ? [first, second] : [second, first];
  utimesSync(older, 1000, 1000);
  utimesSync(newer, 2000, 2000);
  t.true((await visit({ ...options, data: a })).warm, 'a is now the one that was used last');
  t.deepEqual(notices, []);
  t.like(await visit({ ...options, data: c }), { warm: false, right: true });
  t.is(notices.length, 1);
  t.regex(notices[0], /removed the cached dataset .* last used 1970-01-01T00:33:20.000Z\) to make room/);
  t.true((await visit({ ...options, data: a })).warm);
  t.false((await visit({ ...options, data: b })).warm);
});

test('a dataset that is removed while it is open is still read to its end', async (t) => {
  const { folder, data, cacheDir } = place(t);
  const options = { cacheDir, cacheMaxBytes: 7 * 2 ** 20 };
  const held = await openDataset({ ...options, data });
  await visit({ ...options, data: writeCifar(join(folder, 'other')) });
  t.is(datasetFolders(cacheDir).length, 1);
  t.true(holdsCifar(held));
  await held.close();
});

test('a dataset larger than the whole cache is refused', async (t) => {
  const { data, cacheDir } = place(t);
  await refused(t, openDataset({ data, cacheDir, cacheMaxBytes: 10_000 }), 'of cache, at most 0.00 GiB');
});

test('a cache directory that cannot be made is refused', async (t) => {
  const { folder, data } = place(t);
  writeFileSync(join(folder, 'file'), '');
  const cacheDir = join(folder, 'file', 'cache');
  await refused(t, openDataset({ data, cacheDir }), 'cannot make the cache directory', 'choose another');
});

test('an abort ends the opening, and the next one goes on', async (t) => {
  const { data, cacheDir } = place(t);
  const controller = new AbortController();
  const onProgress = () => controller.abort(new Error('stopped by the user'));
  await t.throwsAsync(openDataset({ data, cacheDir, onProgress, signal: controller.signal }), {
    message: 'stopped by the user',
  });
  const next = await openDataset({ data, cacheDir });
  t.true(next.cache.hits > 0 && next.cache.misses > 0);
  t.true(holdsCifar(next));
  await next.close();
});

test('images and batches live side by side in one cache', async (t) => {
  const { folder, data, cacheDir } = place(t);
  const tree = await writeTree(join(folder, 'tree'));
  await visit({ data, cacheDir });
  await (await openDataset({ data: tree, cacheDir })).close();
  t.true((await visit({ data, cacheDir })).warm);
});

test('the cache lies where XDG says, or else in the home directory', (t) => {
  t.is(defaultCacheDir({ XDG_CACHE_HOME: '/somewhere' }), '/somewhere/gradloom');
  t.regex(defaultCacheDir({}), /\/\.cache\/gradloom$/);
  t.regex(defaultCacheDir({ XDG_CACHE_HOME: 'relative' }), /\/\.cache\/gradloom$/);
});
