import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { execa } from 'execa';
import { openDataset } from '../../../worker/data/dataset.js';
import type { ProcessOptions, ProcessResult } from './open-in-process.js';
import { holdsCifar, temporaryFolder, writeCifar } from './samples.js';

const script = fileURLToPath(new URL('open-in-process.js', import.meta.url));
const RECORDS = 1170;

async function openElsewhere(options: ProcessOptions): Promise<ProcessResult> {
  const { stdout } = await execa(process.execPath, [script, JSON.stringify(options)]);
  return JSON.parse(stdout);
}

async function dieElsewhere(options: ProcessOptions): Promise<string | undefined> {
  const { signal } = await execa(process.execPath, [script, JSON.stringify(options)], { reject: false });
  return signal;
}

test('two processes that start cold together share the filling, and both have the right records', async (t) => {
  const folder = temporaryFolder(t);
  const common = { data: writeCifar(join(folder, 'data')), cacheDir: join(folder, 'cache') };
  const one = join(folder, 'one');
  const two = join(folder, 'two');
  const [a, b] = await Promise.all([
    openElsewhere({ ...common, meet: [one, two] }),
    openElsewhere({ ...common, meet: [two, one] }),
  ]);
  t.like(a, { warm: false, right: true, notices: [] });
  t.like(b, { warm: false, right: true, notices: [] });
  t.true((a.misses as number) > 0 && (b.misses as number) > 0);
  t.is((a.misses as number) + (b.misses as number), RECORDS);
  t.is((a.hits as number) + (b.hits as number), RECORDS);
  t.like(await openElsewhere(common), { warm: true, right: true, hits: RECORDS, misses: 0 });
});

test('a process that is killed while it fills leaves whole chunks, and the next one makes the rest', async (t) => {
  const folder = temporaryFolder(t);
  const common = { data: writeCifar(join(folder, 'data')), cacheDir: join(folder, 'cache') };
  t.is(await dieElsewhere({ ...common, dieAtRecords: 300 }), 'SIGKILL');
  const next = await openElsewhere(common);
  t.like(next, { warm: false, right: true, notices: [] });
  t.is(next.hits, 512, 'the two chunks that were committed');
  t.is(next.misses, RECORDS - 512);
});

test('a process goes on when the one that it shares the filling with is killed', async (t) => {
  const folder = temporaryFolder(t);
  const common = { data: writeCifar(join(folder, 'data')), cacheDir: join(folder, 'cache') };
  const met: [string, string] = [join(folder, 'survivor'), join(folder, 'victim')];
  const survivor = openElsewhere({ ...common, meet: met });
  const victim = await dieElsewhere({ ...common, dieAtRecords: 400, meet: [met[1], met[0]] });
  t.is(victim, 'SIGKILL');
  t.like(await survivor, { right: true });
});

test('processes that start together make the generated files together, the same as one does', async (t) => {
  const folder = temporaryFolder(t);
  const generated = { batches: 3, recordsPerBatch: 40, testRecords: 20 };
  const together = { cacheDir: join(folder, 'together'), generated };
  const results = await Promise.all([1, 2, 3].map(() => openElsewhere(together)));
  for (const result of results) t.like(result, { name: 'shapes', right: true, notices: [] });
  const alone = { cacheDir: join(folder, 'alone'), generated };
  await openElsewhere(alone);
  const [made] = readdirSync(join(folder, 'alone/generated'));
  const names = readdirSync(join(folder, 'alone/generated', made));
  t.deepEqual(names.sort(), [
    'batches.meta.txt',
    'data_batch_1.bin',
    'data_batch_2.bin',
    'data_batch_3.bin',
    'test_batch.bin',
  ]);
  t.deepEqual(readdirSync(join(folder, 'together/generated', made)).sort(), names);
  for (const name of names) {
    const [a, b] = ['alone', 'together'].map((each) =>
      readFileSync(join(folder, each, 'generated', made, name)),
    );
    t.true(a.equals(b), name);
  }
});

test('a disk that is full gives one sentence, and what fitted is used later', async (t) => {
  const folder = temporaryFolder(t);
  const common = { data: writeCifar(join(folder, 'data')), cacheDir: join(folder, 'cache') };
  // A limit on the size of files (in KiB) stands in for the end of the disk.
  const command = 'ulimit -f 2000 && exec "$0" "$@"';
  const { stdout } = await execa('bash', ['-c', command, process.execPath, script, JSON.stringify(common)]);
  const result: ProcessResult = JSON.parse(stdout);
  t.is(result.name, 'RunError');
  t.regex(
    result.error ?? '',
    /cannot write to the cache in .*: .*free there: free some space, or choose another/,
  );
  t.like(await openElsewhere(common), { warm: false, right: true });
});

test('a dataset is opened twice in one process', async (t) => {
  const folder = temporaryFolder(t);
  const options = { data: writeCifar(join(folder, 'data')), cacheDir: join(folder, 'cache') };
  const [a, b] = await Promise.all([openDataset(options), openDataset(options)]);
  t.is(a.cache.misses + b.cache.misses, RECORDS);
  await a.close();
  t.true(holdsCifar(b));
  await b.close();
});
