// Verdicts on the whole gradient, with real processes: servers tell each other norms over gRPC, and neither their
// number nor who holds which block shows in the weights.
import { setTimeout as pause } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { status } from '../../shared/client/membership.js';
import { left, signal, start } from '../helpers/processes.js';
import { type TinyRun, tinyRun } from '../helpers/tiny-run.js';

async function weights(t: ExecutionContext, { flags, readSummary }: TinyRun, ...more: string[]) {
  const { code, stderr } = await start(t, 'gradloom', ['up', ...flags, '--epochs=2', ...more]).ended;
  t.is(code, 0, stderr.join('\n'));
  return (await readSummary()).weightsSha256;
}

for (const [title, ...asked] of [
  ['clipping by global norm', '--clip-norm=0.05'],
  ['LAMB on a clipped gradient', '--optimizer=lamb', '--learning-rate=0.01', '--clip-norm=0.05'],
])
  test.serial(`${title} gives the same weights with one server, three, and two peers`, async (t) => {
    t.timeout(180_000);
    const tiny = await tinyRun(t);
    const one = await weights(t, tiny, '--servers=1', ...asked);
    t.is(await weights(t, tiny, '--servers=3', ...asked), one, 'three servers');
    t.is(await weights(t, tiny, '--peers=2', ...asked), one, 'two peers');
    const plain = asked.filter((flag) => !flag.startsWith('--clip-norm') && flag !== '--optimizer=lamb');
    t.not(await weights(t, tiny, '--servers=1', ...plain), one);
  });

test.serial(
  'what waits for norms is refused where workers do not share a step, and trains with local steps',
  async (t) => {
    t.timeout(120_000);
    const tiny = await tinyRun(t);
    for (const [flag, name] of [
      ['--clip-norm=1', /--clip-norm: expected --consistency bsp or local beside it, got ssp/],
      ['--optimizer=lamb', /--optimizer: expected --consistency bsp or local beside lamb, got ssp/],
    ] as const) {
      const { code, stderr } = await start(t, 'gradloom', [
        'up',
        ...tiny.flags,
        '--consistency=ssp',
        '--staleness=2',
        flag,
      ]).ended;
      t.is(code, 2);
      t.regex(stderr.join('\n'), name);
    }
    const local = ['--consistency=local', '--local-steps=2', '--servers=1'];
    const clipped = await weights(t, tiny, ...local, '--clip-norm=0.05');
    t.not(await weights(t, tiny, ...local), clipped);
  },
);

test.serial(
  'kill -9 of a server whose norms are waited for ends the run with one line that names it',
  async (t) => {
    const { flags } = await tinyRun(t);
    const up = start(t, 'gradloom', ['up', ...flags, '--epochs=100000', '--servers=2', '--clip-norm=0.05']);
    const { address } = await up.event('ready', ({ role }) => role === 'server');
    await up.event('step');
    const { servers } = await status(String(address), 10_000);
    signal(Number(servers[1].label.split(':').at(-1)), 'SIGKILL');
    const { code, stderr } = await up.ended;
    t.is(code, 1);
    t.is(stderr.length, 1, stderr.join('\n'));
    t.regex(stderr[0], /server 1/);
    t.deepEqual(await left(up), []);
  },
);

test.serial('a server whose norms are waited for is named in gradloom status', async (t) => {
  t.timeout(120_000);
  const { flags } = await tinyRun(t);
  const up = start(t, 'gradloom', [
    'up',
    ...flags,
    '--epochs=100000',
    '--servers=2',
    '--clip-norm=0.05',
    '--peer-deadline=60',
  ]);
  const { address } = await up.event('ready', ({ role }) => role === 'server');
  await up.event('step');
  const { servers } = await status(String(address), 10_000);
  const second = Number(servers[1].label.split(':').at(-1));
  t.teardown(() => signal(second, 'SIGCONT'));
  let step = 0;
  let isPart = false;
  // What it is waited for depends on where it was stopped; then once more. An evaluation ends without it.
  while (!isPart) {
    signal(second, 'SIGSTOP');
    let waiting: string;
    // Others are waited for at first, by chance, and named until all that wait have said so.
    do {
      await pause(100);
      [{ waiting, step }] = (await status(String(address), 10_000)).runs;
    } while (!/^waits at step \d+ for the (part|blocks) of server 1 \([^)]+\)[^(]*$/.test(waiting));
    isPart = waiting.includes('part of server 1');
    t.true(isPart || waiting.includes('blocks of server 1'), waiting);
    signal(second, 'SIGCONT');
    await up.event('step', (event) => Number(event.step) > step);
  }
  signal(second, 'SIGCONT');
  await up.event('step', (event) => Number(event.step) > step + 1);
});

test.serial(
  'a gradient above the limit ends the run with the worker, the tensor and the magnitude',
  async (t) => {
    const { flags } = await tinyRun(t);
    const up = start(t, 'gradloom', ['up', ...flags, '--epochs=1', '--gradient-limit=1e-9']);
    const { code, stderr } = await up.ended;
    t.is(code, 1);
    t.regex(
      stderr.join('\n'),
      /worker [01]: expected magnitudes of at most 1e-9 in its gradient of '.+' \(block \d+, step 0\), got/,
    );
  },
);

test.serial('micro-batches leave samples and steps as they are, and need a sample each', async (t) => {
  t.timeout(120_000);
  const tiny = await tinyRun(t);
  await weights(t, tiny, '--servers=1', '--accumulate=3');
  const { samples, steps } = await tiny.readSummary();
  await weights(t, tiny, '--servers=1');
  t.like(await tiny.readSummary(), { samples, steps });
  const many = start(t, 'gradloom', ['up', ...tiny.flags, '--batch=16', '--workers=4', '--accumulate=5']);
  const { code, stderr } = await many.ended;
  t.is(code, 2);
  t.regex(
    stderr.join('\n'),
    /--accumulate: expected at least one sample for each of 5 micro-batches of 4 workers, got a batch of 16; give --batch 20/,
  );
});
