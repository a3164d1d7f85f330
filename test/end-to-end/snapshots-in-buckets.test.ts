// The same promises as in snapshots.test.ts, of snapshots in a bucket: what is killed goes on to the same bits, what was
// torn or edited is refused by name, and a store that is away stops nobody.
import { basename, dirname } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { run, start } from '../helpers/processes.js';
import { type S3Store, startS3 } from '../helpers/s3.js';
import { type JobName, type TinyRun, tinyRun } from '../helpers/tiny-run.js';

/** Of 256 records in batches of 32: eight steps an epoch. */
const BATCH = '--batch=32';
const STEPS = 48;
const EPOCHS = '--epochs=6';
const ENDLESS = '--epochs=100000';
/** What leaves the most at the workers: residuals, and velocities. */
const TOPK = ['--codec=topk', '--optimizer=momentum', '--learning-rate=0.01'];
const RUNS = 's3://snapshots/of/tests';

const stepOf = (path: string) => Number(basename(path).replace('step-', ''));

interface Setting extends TinyRun {
  readonly s3: S3Store;
}

async function setting(t: ExecutionContext, job?: JobName): Promise<Setting> {
  t.timeout(180_000);
  const s3 = await startS3(t, { pageKeys: 3 });
  return { ...(await tinyRun(t, job)), s3 };
}

const up = (t: ExecutionContext, { flags, s3 }: Setting, ...more: string[]) =>
  start(t, 'gradloom', ['up', ...flags, BATCH, ...more], { env: s3.env });

async function weights(t: ExecutionContext, to: Setting, ...more: string[]) {
  const { code, stderr } = await up(t, to, EPOCHS, ...more).ended;
  t.is(code, 0, stderr.join('\n'));
  return (await to.readSummary()).weightsSha256;
}

/** Starts a run with a snapshot every four steps and kills all of it when one is whole in the second epoch. */
async function killed(t: ExecutionContext, to: Setting, ...more: string[]): Promise<string> {
  const program = up(
    t,
    to,
    ENDLESS,
    `--snapshots=${RUNS}`,
    '--snapshot-steps=4',
    '--snapshot-keep=1000',
    ...more,
  );
  const { path } = await program.event('snapshot', ({ step }) => (step as number) > 8);
  program.signalAll('SIGKILL');
  await program.ended;
  t.regex(String(path), /^s3:\/\/snapshots\/of\/tests\/[^/]+\/step-\d+$/);
  return String(path);
}

test.serial(
  'killed in the second epoch, a run goes on from a bucket to the weights of one that was not',
  async (t) => {
    const to = await setting(t, 'wide');
    const whole = await weights(t, to, ...TOPK);
    const path = await killed(t, to, ...TOPK, '--servers=3');
    t.is(await weights(t, to, ...TOPK, '--servers=2', `--resume=${path}`), whole);
    const { steps, resumedFromStep } = await to.readSummary();
    t.deepEqual({ steps, resumedFromStep }, { steps: STEPS - stepOf(path), resumedFromStep: stepOf(path) });
  },
);

test.serial('peers take and resume snapshots in a bucket as well', async (t) => {
  const to = await setting(t);
  const whole = await weights(t, to, '--peers=2');
  const path = await killed(t, to, '--peers=2');
  t.is(await weights(t, to, '--peers=2', `--resume=${path}/`), whole);
});

test.serial(
  'killed at any moment, the newest whole snapshot of a bucket goes on, and only so many are kept',
  async (t) => {
    const to = await setting(t, 'wide');
    const flags = [ENDLESS, '--workers=1', `--snapshots=${RUNS}`, '--snapshot-steps=1', '--snapshot-keep=1'];
    let from = 0;
    for (let kill = 1; kill <= 3; kill++) {
      const program = up(t, to, ...flags, ...(from > 0 ? [`--resume=${RUNS}`] : []));
      const { fromStep } = await program.event('start');
      t.true((fromStep as number) >= from, 'it goes on where a whole snapshot was told');
      let seen = 0;
      const { path } = await program.event('snapshot', ({ step, failure }) => {
        if (failure === undefined) from = step as number;
        return ++seen === 2 * kill;
      });
      program.signalAll('SIGKILL');
      await program.ended;
      const run = dirname(String(path)).slice('s3://snapshots/'.length);
      const kept = [...to.s3.objects.keys()].filter(
        (key) => key.startsWith(run) && key.endsWith('manifest.json'),
      );
      // The one that is kept, the newest, and one that may have come since.
      t.true(kept.length <= 3, kept.join());
    }
    t.true(from > 3);
  },
);

test.serial(
  'what is wrong with a snapshot in a bucket is told with its name; an older one that is whole is taken',
  async (t) => {
    const to = await setting(t);
    const path = await killed(t, to);
    const { objects } = to.s3;
    const key = path.slice('s3://snapshots/'.length);
    const [manifest, part] = [`${key}/manifest.json`, `${key}/shard-0.safetensors`];
    const [wholeManifest, wholePart] = [manifest, part].map((each) => objects.get(each) as Buffer);
    const refused = async (words: RegExp) => {
      const { code, stderr } = await up(t, to, `--resume=${path}`).ended;
      t.is(code, 2, stderr.join('\n'));
      t.is(stderr.length, 1, stderr.join('\n'));
      t.regex(stderr[0], words);
    };
    const spoiled = (at: number) => {
      const bytes = Buffer.from(wholePart);
      bytes[at] ^= 1;
      return bytes;
    };
    objects.set(part, spoiled(wholePart.length - 1));
    await refused(
      /s3:\/\/snapshots\/.*shard-0\.safetensors .*the array '.*' is not the one that was written/,
    );
    objects.set(part, spoiled(100));
    await refused(/s3:\/\/snapshots\/.*shard-0\.safetensors /);
    objects.set(part, wholePart.subarray(0, 1000));
    await refused(/shard-0\.safetensors .*expected \d+ bytes, as its manifest says, got 1000/);
    objects.delete(part);
    await refused(
      /Cannot read s3:.*shard-0\.safetensors: it or its folder does not exist; resume from another/,
    );
    objects.set(part, wholePart);
    objects.set(manifest, Buffer.from(wholeManifest.toString().replace('"epoch":', '"epoch":1')));
    await refused(/manifest\.json .*its SHA-256 differs/);
    objects.delete(manifest);
    await refused(/expected a whole snapshot in s3:.*, got none/);

    // Of the run's folder the newest that can be trusted: this one, with a torn and a spoiled one after it.
    const folder = dirname(key);
    for (const each of objects.keys()) if (!each.startsWith(`${key}/`)) objects.delete(each);
    objects.set(manifest, wholeManifest);
    objects.set(`${folder}/step-100000/shard-0.safetensors`, wholePart);
    objects.set(`${folder}/step-100001/manifest.json`, wholeManifest);
    objects.set(`${folder}/step-100001/shard-0.safetensors`, spoiled(100));
    const program = up(t, to, EPOCHS, `--resume=${dirname(path)}`);
    const { text } = await program.event('notice');
    t.regex(String(text), /passed over: .*step-100001/);
    t.is((await program.ended).code, 0);
    t.is((await to.readSummary()).resumedFromStep, stepOf(path));
  },
);

test.serial(
  'a store that is away, or takes nothing, stops nobody; when it is back snapshots are whole again',
  async (t) => {
    const to = await setting(t);
    const { s3 } = to;
    const program = up(t, to, ENDLESS, `--snapshots=${RUNS}`, '--snapshot-steps=4');
    const failed = (words: RegExp, after: number) =>
      program.event(
        'snapshot',
        ({ failure, step }) => (step as number) > after && words.test(String(failure)),
      );
    const whole = (after: number) =>
      program.event('snapshot', ({ failure, step }) => (step as number) > after && failure === undefined);
    const first = await whole(0);
    await s3.stop();
    const away = await failed(
      /^[^\n]*Cannot write s3:[^\n]*http:\/\/localhost:\d+ does not answer \(ECONNREFUSED\); mend [^\n]+$/,
      0,
    );
    await program.event('step', ({ step }) => (step as number) > (away.step as number) + 2);
    await s3.start();
    const second = await whole(away.step as number);
    s3.refusal = 'AccessDenied';
    const refused = await failed(
      /^[^\n]*Cannot write s3:[^\n]*these credentials may not; mend [^\n]+$/,
      second.step as number,
    );
    s3.refusal = undefined;
    const third = await whole(refused.step as number);
    t.true((third.step as number) > (first.step as number));
    program.signal('SIGINT');
    t.is((await program.ended).code, 130);
  },
);

test.serial('a bucket that cannot be used is refused at the start, in one line', async (t) => {
  const to = await setting(t);
  const cases: [string[], Record<string, string>, RegExp][] = [
    [
      ['--snapshots=s3://none/x'],
      {},
      /--snapshots: cannot write snapshots into s3:\/\/none\/x: there is no such bucket/,
    ],
    [['--peers=2', '--snapshots=s3://none/x'], {}, /--snapshots: .*there is no such bucket; give a bucket/],
    [[`--snapshots=${RUNS}`], { AWS_SECRET_ACCESS_KEY: 'x' }, /--snapshots: .*the credentials are wrong/],
    [
      [`--snapshots=${RUNS}`],
      { AWS_ENDPOINT_URL_S3: 'http://localhost:1' },
      /http:\/\/localhost:1 does not answer \(ECONNREFUSED\)/,
    ],
    [['--snapshots=gs://bucket/x'], {}, /--snapshots: expected a folder or s3:\/\/BUCKET\/PREFIX, got /],
    [
      ['--snapshots=s3://snapshots//x'],
      {},
      /--snapshots: expected a folder or s3:.*, got "s3:\/\/snapshots\/\/x" \(after s3:\/\/ stands the name of a bucket,/,
    ],
    [['--resume=s3://none/x'], {}, /Cannot read s3:\/\/none\/x: there is no such bucket; mend that, or give/],
    [
      [`--resume=${RUNS}/none`],
      {},
      /--resume: .*cannot read s3:.*none: there is nothing; give another folder/,
    ],
  ];
  for (const [more, env, words] of cases) {
    const { code, stderr } = await run(t, 'gradloom', ['up', ...to.flags, ...more], {
      env: { ...to.s3.env, ...env },
    });
    t.is(code, 2, stderr.join('\n'));
    t.is(stderr.length, 1, stderr.join('\n'));
    t.regex(stderr[0], words);
  }
  t.is(to.s3.objects.size, 0);
});
