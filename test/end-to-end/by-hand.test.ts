// Servers and workers started one by one, as on several hosts: a mesh that outlives its runs, and what it refuses.
import { readFile, writeFile } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import { left, run, start } from '../helpers/processes.js';
import { jobPath, tinyRun } from '../helpers/tiny-run.js';

const SERVER = ['--listen=127.0.0.1:0', '--json', '--log-level=warn'];

async function startServer(t: ExecutionContext, ...more: string[]) {
  const server = start(t, 'gradloom-server', [...SERVER, ...more]);
  const { address } = await server.event('ready');
  return { server, address: String(address) };
}

test.serial('a mesh of two servers survives a run and takes the next; SIGTERM ends it with 0', async (t) => {
  const { flags, readSummary } = await tinyRun(t);
  const first = await startServer(t);
  const second = await startServer(t, `--join=${first.address}`);
  const runs: string[] = [];
  const weights: string[] = [];
  for (const _ of [1, 2]) {
    const workers = [0, 1].map(() =>
      start(t, 'gradloom-worker', [...flags, `--join=${first.address}`, '--workers=2', '--epochs=1']),
    );
    for (const { code, stderr } of await Promise.all(workers.map(({ ended }) => ended)))
      t.is(code, 0, stderr.join('\n'));
    const summary = await readSummary();
    t.like(summary, { servers: 2, workers: 2, steps: 4 });
    runs.push(summary.run);
    weights.push(summary.weightsSha256);
  }
  t.deepEqual(runs, ['small-1', 'small-2']);
  t.is(weights[1], weights[0]);

  const status = await run(t, 'gradloom', ['status', `--join=${first.address}`]);
  t.is(status.code, 0);
  t.is(status.stdout.filter((line) => line.startsWith('server ')).length, 2);
  t.is(status.stdout.at(-1), 'no run');

  for (const { server } of [second, first]) {
    server.signal('SIGTERM');
    t.like(await server.ended, { code: 0, stderr: [] });
    t.deepEqual(await left(server), []);
  }
});

test.serial('two runs at a time, told apart by their names, do not touch each other', async (t) => {
  const { flags, readSummary } = await tinyRun(t);
  const { address } = await startServer(t);
  const args = [...flags, `--join=${address}`, '--workers=1', '--epochs=1'];
  const alone = await run(t, 'gradloom-worker', args);
  t.is(alone.code, 0, alone.stderr.join('\n'));
  const { weightsSha256 } = await readSummary();
  const both = ['a', 'b'].map((name) => start(t, 'gradloom-worker', [...args, `--run=${name}`]));
  for (const worker of both) {
    t.is((await worker.ended).code, 0);
    const { summary } = worker.events[worker.events.length - 1] as unknown as { summary: object };
    t.like(summary, { weightsSha256 });
  }
});

test.serial('when the keeper dies, the other servers end and say so', async (t) => {
  const first = await startServer(t);
  const second = await startServer(t, `--join=${first.address}`);
  first.server.signal('SIGKILL');
  const { code, stderr } = await second.server.ended;
  t.is(code, 1);
  t.is(stderr.length, 1);
  t.regex(stderr[0], new RegExp(`^gradloom-server: the keeper at ${first.address} is gone: `));
});

test.serial('a worker that waits for others leaves at SIGINT with 130', async (t) => {
  const { flags } = await tinyRun(t);
  const { address } = await startServer(t);
  const worker = start(t, 'gradloom-worker', [...flags, `--join=${address}`, '--workers=2']);
  await worker.event('joined');
  worker.signal('SIGINT');
  t.like(await worker.ended, { code: 130, stderr: [] });
});

test.serial('a worker that waits in a step for another leaves at SIGINT with 130', async (t) => {
  const { flags } = await tinyRun(t);
  const { address } = await startServer(t);
  const args = [...flags, `--join=${address}`, '--workers=2', '--epochs=100000'];
  const [first, second] = [0, 1].map(() => start(t, 'gradloom-worker', args));
  await Promise.all([first.event('start'), second.event('start')]);
  second.signal('SIGSTOP');
  await first.event('waiting');
  first.signal('SIGINT');
  t.like(await first.ended, { code: 130, stderr: [] });
});

for (const { title, more, says } of [
  {
    title: 'another model of the same job',
    more: [`--job=${jobPath('other-small')}`],
    says: /tensor|model/i,
  },
  { title: 'another batch', more: ['--batch=32'], says: /batch/ },
])
  test.serial(
    `a second worker with ${title} is refused in one line; the first one still waits`,
    async (t) => {
      const { flags } = await tinyRun(t);
      const { address } = await startServer(t);
      const args = [...flags, `--join=${address}`, '--workers=2', '--epochs=1'];
      const first = start(t, 'gradloom-worker', args);
      await first.event('joined');
      const { code, stderr } = await run(t, 'gradloom-worker', [...args, ...more]);
      t.is(code, 2);
      t.is(stderr.length, 1, stderr.join('\n'));
      t.regex(stderr[0], says);
      const second = start(t, 'gradloom-worker', args);
      t.is((await first.ended).code, 0);
      t.is((await second.ended).code, 0);
    },
  );

test.serial('a worker with other data is refused in one line', async (t) => {
  const [mine, other] = [await tinyRun(t), await tinyRun(t)];
  const { address } = await startServer(t);
  const args = [...mine.flags, `--join=${address}`, '--workers=2', '--epochs=1'];
  const first = start(t, 'gradloom-worker', args);
  await first.event('joined');
  const file = `${other.data}/data_batch_1.bin`;
  const bytes = await readFile(file);
  bytes[100] ^= 1;
  await writeFile(file, bytes);
  const { code, stderr } = await run(t, 'gradloom-worker', [...args, `--data=${other.data}`]);
  t.is(code, 2);
  t.is(stderr.length, 1, stderr.join('\n'));
  t.regex(stderr[0], /data/);
});

test.serial(
  'a model too large for --memory is refused with the number of servers that would do',
  async (t) => {
    const { flags } = await tinyRun(t, 'large');
    const { address } = await startServer(t, '--memory=64');
    const args = [...flags, `--join=${address}`, '--workers=1', '--epochs=1', '--batch=16'];
    const refused = await run(t, 'gradloom-worker', args);
    t.is(refused.code, 2);
    t.is(refused.stderr.length, 1, refused.stderr.join('\n'));
    const servers = Number(/start (\d+) servers/.exec(refused.stderr[0])?.[1]);
    t.true(servers > 1, refused.stderr[0]);
    await Promise.all(
      Array.from({ length: servers - 1 }, () => startServer(t, '--memory=64', `--join=${address}`)),
    );
    const { code, stderr } = await run(t, 'gradloom-worker', args);
    t.is(code, 0, stderr.join('\n'));
  },
);
