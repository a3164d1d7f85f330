// A folder on a disk and a prefix in a bucket keep the same promises to those who write and read snapshots in them.
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { RunError, UserError } from '../../../shared/errors.js';
import { BUCKET_CHUNK_BYTES, BUCKET_UPLOADS_MAX } from '../../../shared/limits.js';
import { keyedRandom } from '../../../shared/random.js';
import { readBytes } from '../../../shared/safetensors.js';
import { type Store, storeAt, storeFault } from '../../../shared/snapshot/store.js';
import { temporaryFolder } from '../../helpers/folder.js';
import { type Refusal, type S3Options, type S3Store, startS3 } from '../../helpers/s3.js';

async function bucket(t: ExecutionContext, options?: S3Options): Promise<{ s3: S3Store; store: Store }> {
  const s3 = await startS3(t, options);
  Object.assign(process.env, s3.env);
  return { s3, store: await storeAt(`s3://${s3.bucket}/runs/of mine/`) };
}

const STORES: [string, (t: ExecutionContext) => Promise<Store>][] = [
  ['folder', async (t) => storeAt(join(await temporaryFolder(t), 'runs'))],
  ['bucket', async (t) => (await bucket(t, { pageKeys: 2 })).store],
];

/** Of head and data: about those at which an upload is cut into parts. */
const SIZES = [
  [8, 0],
  [8, 1],
  [8, BUCKET_CHUNK_BYTES - 8],
  [8, BUCKET_CHUNK_BYTES],
  [BUCKET_CHUNK_BYTES, 0],
  [BUCKET_CHUNK_BYTES + 8, 2.5 * BUCKET_CHUNK_BYTES],
];

async function bytesIn(store: Store, file: string): Promise<Buffer | undefined> {
  const open = await store.open(file);
  if (!open) return undefined;
  const { size } = await open.stat();
  const bytes = Buffer.alloc(size);
  await readBytes(store.pathOf(file), open, bytes, 0);
  await open.close();
  return bytes;
}

const moduleOf = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;

/** Bytes that no other place in the file has. */
function pattern(bytes: number): Buffer {
  const random = keyedRandom(1, 'bytes', bytes);
  const data = Buffer.alloc(bytes);
  for (let i = 0; i + 4 <= bytes; i += 4) data.writeUInt32LE(random.below(2 ** 32), i);
  return data;
}

for (const [name, open] of STORES) {
  test.serial(`${name}: what is written is read, listed and removed`, async (t) => {
    const store = await open(t);
    t.is(await store.folders(), undefined);
    await store.check();
    t.deepEqual((await store.folders()) ?? [], []);
    const step = store.folder('run').folder('step-1');
    t.is(await bytesIn(step, 'manifest.json'), undefined);
    t.is(await step.bytesOf('manifest.json'), undefined);
    for (const folder of ['run', 'other', 'third', '.hidden'])
      for (const file of ['a', 'b', 'manifest.json']) {
        const part = await store.folder(folder).folder('step-1').create(file, 0);
        await part.append(Buffer.from(`${folder}/${file}`));
        await part.finish(new Uint8Array(0));
      }
    await step.write('manifest.json', 'first');
    await step.write('manifest.json', 'replaced');
    t.is((await bytesIn(step, 'manifest.json'))?.toString(), 'replaced');
    t.is(await step.bytesOf('manifest.json'), 8);
    t.deepEqual((await store.folders())?.sort(), ['other', 'run', 'third']);
    t.deepEqual(await store.folder('run').folders(), ['step-1']);
    await step.remove('manifest.json');
    t.is(await step.folders(), undefined);
    t.is((await bytesIn(store.folder('other').folder('step-1'), 'b'))?.toString(), 'other/b');
    await step.remove('manifest.json');
    t.deepEqual(await storeAt(store.path), store);
  });

  // As in a snapshot's part: the head is known last.
  for (const [headBytes, bytes] of SIZES)
    test.serial(`${name}: a file of ${headBytes} bytes of head and ${bytes} of data is whole`, async (t) => {
      const store = await open(t);
      const [head, data] = [pattern(headBytes), pattern(bytes)];
      const part = await store.create('part', headBytes);
      const step = 1024 * 1024 - 24;
      for (let at = 0; at < bytes; at += step) {
        const array = Uint8Array.from(data.subarray(at, at + step));
        await part.append(array);
        array.fill(0);
      }
      if (name === 'bucket') t.is(await store.open('part'), undefined, 'it is not there before it is whole');
      await part.finish(head);
      t.is(await store.bytesOf('part'), headBytes + bytes);
      t.true((await bytesIn(store, 'part'))?.equals(Buffer.concat([head, data])));
    });

  test.serial(`${name}: a file that is given up is not there`, async (t) => {
    const store = (await open(t)).folder('step-1');
    const part = await store.create('part', 8);
    await part.append(new Uint8Array(2 * BUCKET_CHUNK_BYTES));
    await part.abandon();
    t.is(await store.folders(), undefined);
    t.is(await store.bytesOf('part'), undefined);
  });

  test.serial(`${name}: two runs of one name and second have folders of their own`, async (t) => {
    const store = await open(t);
    const [a, b] = [await store.newFolder('a/b c', new Date(0)), await store.newFolder('a/b c', new Date(0))];
    t.not(a, b);
    for (const each of [a, b]) t.regex(each, /^a-b-c-19700101-000000/);
  });
}

test.serial('bucket: an upload that is given up leaves nothing that is paid for', async (t) => {
  const { s3, store } = await bucket(t);
  const part = await store.create('part', 8);
  await part.append(new Uint8Array(3 * BUCKET_CHUNK_BYTES));
  await part.abandon();
  t.deepEqual([s3.uploads.size, s3.objects.size], [0, 0]);
});

test.serial(
  'bucket: of a large file only some chunks are on their way, and the head goes last',
  async (t) => {
    const { s3, store } = await bucket(t);
    const part = await store.create('part', 8);
    for (let i = 0; i < 6; i++) await part.append(new Uint8Array(BUCKET_CHUNK_BYTES));
    const [upload] = s3.uploads.values();
    t.false(upload.parts.has(1));
    await part.finish(new Uint8Array(8).fill(7));
    t.true(s3.mostAtOnce <= BUCKET_UPLOADS_MAX, `${s3.mostAtOnce} calls at once`);
    const object = s3.objects.get('runs/of mine/part');
    t.deepEqual([...(object?.subarray(0, 10) ?? [])], [7, 7, 7, 7, 7, 7, 7, 7, 0, 0]);
  },
);

test.serial(
  'bucket: a whole chunk is read at once, and no call is made for what was read ahead',
  async (t) => {
    const { s3, store } = await bucket(t);
    s3.objects.set('runs/of mine/part', pattern(BUCKET_CHUNK_BYTES + 100));
    const file = await store.open('part');
    t.teardown(() => file?.close());
    s3.calls.length = 0;
    const target = new Uint8Array(1000);
    for (let at = 0; at < 100_000; at += 1000) if (file) await readBytes('part', file, target, at);
    t.is(s3.calls.length, 1);
    if (file)
      await t.throwsAsync(readBytes('part', file, target, BUCKET_CHUNK_BYTES), { message: /ends after/ });
  },
);

test.serial('bucket: its endpoint is taken from where the client of S3 has it', async (t) => {
  const { s3 } = await bucket(t);
  const endpoint = s3.env.AWS_ENDPOINT_URL_S3;
  const profile = join(await temporaryFolder(t), 'config');
  await writeFile(profile, `[default]\nendpoint_url = ${endpoint}\n`);
  t.teardown(() => delete process.env.AWS_ENDPOINT_URL);
  const found: Record<string, string>[] = [{ AWS_ENDPOINT_URL: endpoint }, { AWS_CONFIG_FILE: profile }];
  for (const [index, env] of found.entries()) {
    delete process.env.AWS_ENDPOINT_URL_S3;
    delete process.env.AWS_ENDPOINT_URL;
    Object.assign(process.env, env);
    const store = await storeAt(`s3://${s3.bucket}`);
    await store.write(`from-${index}`, 'here');
    t.is(s3.objects.get(`from-${index}`)?.toString(), 'here');
  }
});

const REFUSED: [string, (s3: S3Store) => void, RegExp][] = [
  [
    'wrong secret',
    () => Object.assign(process.env, { AWS_SECRET_ACCESS_KEY: 'x' }),
    /the credentials are wrong/,
  ],
  [
    'unknown key',
    () => Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'x' }),
    /the credentials are not known/,
  ],
  ['no credentials', () => delete process.env.AWS_ACCESS_KEY_ID, /no credentials were found/],
  ['no region', () => delete process.env.AWS_REGION, /no region is set/],
  [
    'a region of no name',
    () => Object.assign(process.env, { AWS_REGION: 'x y' }),
    /the region is none: .*region="x y".* \(AWS_REGION\)/,
  ],
  ...['nonsense', 'localhost:9000', '10.77.0.9:9000'].map((endpoint): [string, () => void, RegExp] => [
    `the endpoint ${endpoint}`,
    () => Object.assign(process.env, { AWS_ENDPOINT_URL_S3: endpoint }),
    new RegExp(`the endpoint is no URL: expected .*, got ${endpoint} \\(AWS_ENDPOINT_URL_S3\\)`),
  ]),
  [
    'may not write',
    (s3) => Object.assign(s3, { refusal: 'AccessDenied' as Refusal }),
    /these credentials may not/,
  ],
];

for (const [title, spoil, words] of REFUSED)
  test.serial(`bucket: ${title} is told at the start in one line`, async (t) => {
    const { s3 } = await bucket(t);
    spoil(s3);
    const store = await storeAt(`s3://${s3.bucket}/runs`);
    const error = await t.throwsAsync(store.check(), { instanceOf: UserError, message: words });
    t.regex(
      error?.message ?? '',
      /^--snapshots: cannot write snapshots into s3:\/\/snapshots\/runs: [^\n]+; give /,
    );
  });

test.serial('bucket: one that does not exist, and a store that is away, are told by name', async (t) => {
  const { s3, store } = await bucket(t);
  const none = await storeAt('s3://no-such-bucket/runs');
  const another = 'mend that, or give another folder or bucket';
  const other = 'mend that, or start with another folder or bucket for --snapshots';
  await t.throwsAsync(none.check(), { instanceOf: UserError, message: /there is no such bucket/ });
  await t.throwsAsync(none.folders(), {
    instanceOf: UserError,
    message: `Cannot read s3://no-such-bucket/runs: there is no such bucket; ${another}`,
  });
  const part = await store.create('part', 8);
  await s3.stop();
  const away = `${s3.env.AWS_ENDPOINT_URL_S3} does not answer (ECONNREFUSED)`;
  await t.throwsAsync(store.bytesOf('a'), {
    instanceOf: UserError,
    message: `Cannot read s3://snapshots/runs/of mine/a: ${away}; ${another}`,
  });
  await t.throwsAsync(store.write('a', 'lost'), {
    instanceOf: RunError,
    message: `Cannot write s3://snapshots/runs/of mine/a: ${away}; ${other}`,
  });
  await t.throwsAsync(part.finish(new Uint8Array(8)), {
    instanceOf: RunError,
    message: `Cannot write s3://snapshots/runs/of mine/part: ${away}; ${other}`,
  });
  await s3.start();
  await store.write('a', 'back');
  t.is((await bytesIn(store, 'a'))?.toString(), 'back');
});

test.serial('bucket: a store that is gone in the middle of an upload fails it, by name', async (t) => {
  const { s3, store } = await bucket(t);
  const part = await store.create('part', 8);
  await part.append(new Uint8Array(2 * BUCKET_CHUNK_BYTES));
  await s3.stop();
  const more = async () => {
    await part.append(new Uint8Array(BUCKET_CHUNK_BYTES));
    await part.finish(new Uint8Array(8));
  };
  await t.throwsAsync(more, {
    instanceOf: RunError,
    message: /^Cannot write s3:.*part: http:.* does not answer/,
  });
  await part.abandon();
  await s3.start();
  t.is(await store.bytesOf('part'), undefined);
});

test('folder: what is in the way of one is told at the start', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'file');
  await writeFile(file, '');
  await t.throwsAsync((await storeAt(file)).check(), { instanceOf: UserError, message: /it is a file/ });
  await t.throwsAsync((await storeAt(file)).folders(), {
    instanceOf: UserError,
    message: /it is a file; give/,
  });
  const store = await storeAt(folder);
  await mkdir(join(folder, 'part'));
  await t.throwsAsync(store.create('part', 0), {
    instanceOf: RunError,
    message: /^Cannot write .*part: .+; mend/,
  });
  const text = await (await storeAt(join(folder, 'new'))).check().then(() => readFile(file, 'utf8'));
  t.is(text, '');
});

test('a store is a folder or s3://BUCKET/PREFIX', (t) => {
  for (const name of [
    'snapshots',
    '/a b/c',
    's3/x',
    'C:\\x',
    's3://bucket',
    's3://my.bucket_1/a/b/',
    's3://bucket/',
  ])
    t.is(storeFault(name), undefined, name);
  for (const name of [
    's3://',
    's3:///a',
    's3://b/a',
    's3://bucket//a',
    'gs://bucket/a',
    'https://host/a',
    'S3://bucket',
    's3:/bucket/a',
    's3:bucket',
    ' s3://bucket',
    's3://bucket ',
  ])
    t.is(storeFault(name), `expected a folder or s3://BUCKET/PREFIX, got ${name}`);
});

test('the client of S3 is loaded only where a bucket is named', async (t) => {
  const hook = `export const resolve = (name, context, next) => {
    if (name.startsWith('@aws-sdk/')) throw new Error('loads ' + name);
    return next(name, context);
  }`;
  const register = `import { register } from 'node:module'; register(${JSON.stringify(moduleOf(hook))});`;
  const dist = new URL('../../../', import.meta.url);
  const load = (...modules: string[]) =>
    promisify(execFile)(process.execPath, [
      `--import=${moduleOf(register)}`,
      '--input-type=module',
      `--eval=${modules.map((module) => `await import(${JSON.stringify(new URL(module, dist).href)});`).join('')}`,
    ]);
  await t.notThrowsAsync(load('server/server.js', 'deploy/up.js', 'worker/exchange/worker-part.js'));
  await t.throwsAsync(load('shared/snapshot/bucket-store.js'), { message: /loads @aws-sdk\/client-s3/ });
});
