// The README's "by hand on two hosts", between two network namespaces with addresses of their own.
import { join } from 'node:path';
import { namespacesTest } from '../helpers/namespaces-test.js';
import { twoHosts } from '../helpers/network-namespaces.js';
import { run, start } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';

namespacesTest('a server and a worker on each of two hosts train together', async (t) => {
  const [a, b] = twoHosts(t);
  const { folder, flags, readSummary } = await tinyRun(t);
  const keeper = `${a.address}:50051`;
  const first = start(t, 'gradloom-server', ['--listen', keeper, '--insecure', '--json'], a);
  t.like(await first.event('ready'), { address: keeper });
  const second = start(
    t,
    'gradloom-server',
    [
      ...['--listen', '0.0.0.0:50051', '--advertise', `${b.address}:50051`],
      ...['--join', keeper, '--insecure', '--json'],
    ],
    b,
  );
  const ready = await second.event('ready');
  t.is(ready.address, `${b.address}:50051`);
  t.true(String(ready.metrics).startsWith(`http://${b.address}:`));

  const worker = (host: typeof a, own: string) =>
    start(
      t,
      'gradloom-worker',
      [...flags, '--join', keeper, '--workers=2', '--epochs=1', '--insecure', `--cache=${join(folder, own)}`],
      host,
    );
  const workers = [worker(a, 'cache-a'), worker(b, 'cache-b')];
  for (const { code, stderr } of await Promise.all(workers.map(({ ended }) => ended)))
    t.is(code, 0, stderr.join('\n'));
  t.like(await readSummary(), { servers: 2, workers: 2, steps: 4 });
  t.is(workers.filter(({ events }) => events.some(({ event }) => event === 'done')).length, 1);
  t.is(workers.filter(({ events }) => events.some(({ event }) => event === 'finished')).length, 1);

  const status = await run(t, 'gradloom', ['status', '--join', keeper], b);
  t.deepEqual(
    status.stdout.map((line) => line.split('  ')[1] ?? line),
    [keeper, `${b.address}:50051`, 'no run'],
  );
});

namespacesTest('a peer on each of two hosts train together, without a server', async (t) => {
  const [a, b] = twoHosts(t);
  const { flags, readSummary } = await tinyRun(t);
  const peer = (host: typeof a, ...more: string[]) => {
    const own = ['--serve', '--listen', `${host.address}:50051`, '--workers=2', '--epochs=1', '--insecure'];
    return start(t, 'gradloom-worker', [...flags, ...own, ...more], host);
  };
  const first = peer(a);
  await first.event('serving');
  const second = peer(b, '--join', `${a.address}:50051`);
  t.true(String((await second.event('ready')).metrics).startsWith(`http://${b.address}:`));
  for (const { code, stderr } of await Promise.all([first.ended, second.ended]))
    t.is(code, 0, stderr.join('\n'));
  t.like(await readSummary(), { servers: 2, workers: 2, steps: 4 });
});

namespacesTest('a person at the second host sees the run and its end', async (t) => {
  const [a, b] = twoHosts(t);
  const { flags } = await tinyRun(t);
  const plain = flags.filter((flag) => flag !== '--json');
  const server = start(t, 'gradloom-server', [`--listen=${a.address}:0`, '--insecure', '--json'], a);
  const { address } = await server.event('ready');
  const args = [`--join=${address}`, '--workers=2', '--epochs=1', '--insecure'];
  const first = start(t, 'gradloom-worker', [...flags, ...args], a);
  await first.event('joined');
  const { code, stdout, stderr } = await run(t, 'gradloom-worker', [...plain, ...args], b);
  t.deepEqual({ code, stderr }, { code: 0, stderr: [] });
  t.true(stdout.some((line) => line.startsWith('epoch 1/1  test accuracy ')));
  t.is(stdout.at(-1), 'Done: this was worker 1 of small-1; worker 0 saves the model and the results.');
  t.is((await first.ended).code, 0);
});

namespacesTest('a worker without --insecure is refused before anything leaves the host', async (t) => {
  const [a] = twoHosts(t);
  const { flags } = await tinyRun(t);
  const { code, stdout, stderr } = await run(t, 'gradloom-worker', [...flags, '--join=10.77.0.2:50051'], a);
  t.is(code, 2);
  t.deepEqual(stdout, []);
  t.is(stderr.length, 1);
  t.regex(stderr[0], /neither encrypted nor authenticated.*--insecure/);
});
