// The files of a snapshot: what was written is read, and any byte that differs is refused by the file's name. Checked
// against Node's own reading of the safetensors format, which `readSafetensors` is.
import { mkdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { schemaHash } from '../../../shared/blocks/manifest.js';
import { UserError } from '../../../shared/errors.js';
import { readSafetensors } from '../../../shared/safetensors.js';
import { chooseSnapshot, findSnapshot } from '../../../shared/snapshot/find.js';
import { FolderStore } from '../../../shared/snapshot/folder-store.js';
import { readManifest, type SnapshotManifest, writeManifest } from '../../../shared/snapshot/manifest.js';
import { PartReader, PartWriter } from '../../../shared/snapshot/part-file.js';
import { temporaryFolder } from '../../helpers/folder.js';

const ARRAYS = [
  { name: '0.version', dtype: 'I64' as const, shape: [1] },
  { name: '0.values', dtype: 'F32' as const, shape: [5] },
  { name: '3.values', dtype: 'F32' as const, shape: [2] },
];
const PART = 'server-0.safetensors';
const DATA = [
  new Uint8Array(BigInt64Array.of(12n).buffer),
  new Uint8Array(Float32Array.of(1, -2, 3.5, Number.NaN, -0).buffer),
  new Uint8Array(Float32Array.of(7, 8).buffer),
];

async function writePart(folder: string) {
  const writer = await PartWriter.create(new FolderStore(folder), PART, ARRAYS, { run: 'r', step: '12' });
  for (const data of DATA) await writer.append(data);
  return writer.finish();
}

test('a part is a safetensors file, and its arrays are read one by one', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, PART);
  const identity = await writePart(folder);
  t.is((await stat(path)).size, identity.bytes);
  const { tensors, metadata } = await readSafetensors(path);
  t.deepEqual(
    [...tensors.keys()],
    ARRAYS.map(({ name }) => name),
  );
  t.like(metadata, { run: 'r', step: '12' });
  const reader = await PartReader.open(new FolderStore(folder), PART, identity);
  t.teardown(() => reader.close());
  for (const [index, array] of ARRAYS.entries()) {
    t.deepEqual(await reader.read(array.name, array), DATA[index]);
    t.deepEqual(Buffer.from(tensors.get(array.name)?.data ?? []), Buffer.from(DATA[index]));
  }
  await t.throwsAsync(reader.read('3.values', { dtype: 'F32', shape: [3] }), {
    message: /of shape \[2\]|shape \[2\]/,
  });
  await t.throwsAsync(reader.read('4.values', { dtype: 'F32', shape: [3] }), { message: /got none/ });
});

test('any byte of a part that differs is refused by the name of its file', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, PART);
  const store = new FolderStore(folder);
  const identity = await writePart(folder);
  const whole = await readFile(path);
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const bytes = Buffer.from(whole);
      bytes[at] ^= change;
      await writeFile(path, bytes);
      const error = await t.throwsAsync(
        async () => {
          const reader = await PartReader.open(store, PART, identity);
          await reader.verify().finally(() => reader.close());
        },
        { instanceOf: UserError },
      );
      t.true(error?.message.includes(path));
    }),
    { seed: 1, numRuns: 60 },
  );
  await writeFile(path, whole);
  await truncate(path, whole.length - 1);
  await t.throwsAsync(PartReader.open(store, PART, identity), {
    message: /expected \d+ bytes, as its manifest says/,
  });
});

test('a part that is given up leaves neither file nor empty folder', async (t) => {
  const folder = join(await temporaryFolder(t), 'step-1');
  await mkdir(folder);
  const writer = await PartWriter.create(new FolderStore(folder), PART, ARRAYS, {});
  await writer.append(DATA[0]);
  await writer.abandon();
  await t.throwsAsync(stat(folder), { code: 'ENOENT' });
});

const TENSORS = [{ name: 'w', shape: [5], kind: 'trainable' as const }];

async function writeSnapshot(runs: string, run: string, step: number, writtenAt: string) {
  const folder = join(runs, run, `step-${step}`);
  await mkdir(folder, { recursive: true });
  const identity = await writePart(folder);
  const manifest: SnapshotManifest = {
    format: 1,
    gradloom: '0.0.0',
    run,
    step,
    epoch: 1,
    writtenAt,
    schemaHash: schemaHash(TENSORS).toString('hex'),
    tensors: TENSORS,
    spec: { job: 'j', seed: 1 },
    view: 1,
    servers: [{ id: 0, address: '127.0.0.1:1' }],
    workers: ['w'],
    placement: [0],
    parts: [{ file: 'server-0.safetensors', ...identity, server: 0 }],
  };
  return writeManifest(new FolderStore(folder), manifest);
}

test('a manifest is read as it was written, and one that was edited is refused', async (t) => {
  const runs = await temporaryFolder(t);
  const written = await writeSnapshot(runs, 'a', 4, '2026-01-01T00:00:00.000Z');
  t.deepEqual(await readManifest(written.store), written);
  t.is(await readManifest(new FolderStore(runs)), undefined);
  const path = written.store.pathOf('manifest.json');
  const text = await readFile(path, 'utf8');
  for (const [edited, words] of [
    [text.replace('"step":4', '"step":5'), /SHA-256 differs/],
    [text.slice(0, -20), /no JSON/],
    ['[]', /SHA-256 differs/],
    ['', /no JSON/],
  ] as const) {
    await writeFile(path, edited);
    const error = await t.throwsAsync(readManifest(written.store), { instanceOf: UserError, message: words });
    t.true(error?.message.includes(path));
  }
});

test('a manifest whose parts lie elsewhere is refused, though its checksum is right', async (t) => {
  const runs = await temporaryFolder(t);
  const { store, manifest } = await writeSnapshot(runs, 'a', 4, '2026-01-01T00:00:00.000Z');
  await writeManifest(store, { ...manifest, parts: [{ ...manifest.parts[0], file: '../../x.safetensors' }] });
  await t.throwsAsync(readManifest(store), { instanceOf: UserError, message: /parts\.0\.file/ });
});

async function choices(t: ExecutionContext) {
  const runs = await temporaryFolder(t);
  const older = await writeSnapshot(runs, 'a', 4, '2026-01-01T00:00:00.000Z');
  const newest = await writeSnapshot(runs, 'a', 8, '2026-01-01T00:01:00.000Z');
  const other = await writeSnapshot(runs, 'b', 2, '2026-01-01T00:02:00.000Z');
  return { runs, older, newest, other };
}

const silent = () => undefined;

test('the newest of a run or of all runs is taken, or the one that is named', async (t) => {
  const { runs, older, newest, other } = await choices(t);
  t.deepEqual(await chooseSnapshot(join(runs, 'a'), silent), newest);
  t.deepEqual(await chooseSnapshot(runs, silent), other);
  t.deepEqual(await chooseSnapshot(older.store.path, silent), older);
  t.deepEqual(
    await findSnapshot([new FolderStore(join(runs, 'none')), new FolderStore(runs)], {
      step: 4,
      sha256: older.sha256,
    }),
    older,
  );
  t.is(await findSnapshot([new FolderStore(runs)], { step: 4, sha256: newest.sha256 }), undefined);
});

test('what cannot be trusted is passed over with a word, what is torn without', async (t) => {
  const { runs, older, newest, other } = await choices(t);
  await rm(other.store.pathOf('manifest.json'));
  const part = newest.store.pathOf(PART);
  const bytes = await readFile(part);
  bytes[bytes.length - 1] ^= 1;
  await writeFile(part, bytes);
  const notices: string[] = [];
  t.deepEqual(await chooseSnapshot(runs, (text) => notices.push(text)), older);
  t.is(notices.length, 1);
  t.true(notices[0].includes(part));
  // The one that is named is refused; without a look at the data its readers would find out.
  await t.throwsAsync(chooseSnapshot(newest.store.path, silent, true), { instanceOf: UserError });
  await rm(older.store.path, { recursive: true });
  await t.throwsAsync(chooseSnapshot(runs, silent), {
    message: /expected a whole snapshot in .* \(1 without a manifest/,
  });
});
