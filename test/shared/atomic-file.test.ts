// A file is whole or not there.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { writeFileAtomic } from '../../shared/atomic-file.js';
import { RunError } from '../../shared/errors.js';
import { temporaryFolder } from '../helpers/folder.js';

test('chunks of text and of any view are written in order, and an old file is replaced', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'file');
  await writeFile(path, 'old and longer than what comes');
  const floats = new Float32Array([1, 2, 3, 4]).subarray(1, 3);
  const size = await writeFileAtomic(path, ['é', floats, new Uint8Array([7])]);
  const found = await readFile(path);
  t.is(size, 11);
  t.deepEqual(
    found,
    Buffer.concat([Buffer.from('é'), Buffer.from(new Float32Array([2, 3]).buffer), Buffer.from([7])]),
  );
  t.deepEqual(await readdir(folder), ['file']);
});

test('a writer that fails leaves the old file and nothing beside it', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'file');
  await writeFile(path, 'old');
  function* failing() {
    yield 'new';
    throw new Error('the source broke');
  }
  await t.throwsAsync(writeFileAtomic(path, failing()), { message: 'the source broke' });
  t.is(await readFile(path, 'utf8'), 'old');
  t.deepEqual(await readdir(folder), ['file']);
});

test('a place that cannot be written is named, with the reason', async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'taken'));
  await t.throwsAsync(writeFileAtomic(join(folder, 'none', 'file'), ['x']), {
    instanceOf: RunError,
    message: /Cannot write .*none\/file: it or its folder does not exist/,
  });
  await t.throwsAsync(writeFileAtomic(join(folder, 'taken'), ['x']), {
    instanceOf: RunError,
    message: /Cannot write .*taken: it is a folder/,
  });
  t.deepEqual(await readdir(folder), ['taken']);
});
