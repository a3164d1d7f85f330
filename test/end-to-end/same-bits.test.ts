// The same job and seed give the same weights to the bit: however many servers hold them, however often it is run,
// and whoever is slow. With BatchNorm's averaged state and dropout's masks in it. And another seed gives others.
import test, { type ExecutionContext } from 'ava';
import { status } from '../../shared/client/membership.js';
import { signal, start } from '../helpers/processes.js';
import { type TinyRun, tinyRun } from '../helpers/tiny-run.js';

/** Steps at which a worker is stopped for a moment. */
const STOPPED_AT = [3, 6, 9];
const STOPPED_MS = 300;

async function weights(t: ExecutionContext, { flags, readSummary }: TinyRun, ...more: string[]) {
  const { code, stderr } = await start(t, 'gradloom', ['up', ...flags, '--epochs=3', ...more]).ended;
  t.is(code, 0, stderr.join('\n'));
  return (await readSummary()).weightsSha256;
}

test.serial(
  'one, two and three servers, and once more, give the same weights; another seed gives others',
  async (t) => {
    t.timeout(180_000);
    const tiny = await tinyRun(t);
    const first = await weights(t, tiny, '--servers=1', '--seed=7');
    t.regex(first, /^[0-9a-f]{64}$/);
    t.is(await weights(t, tiny, '--servers=2', '--seed=7'), first, 'two servers');
    t.is(await weights(t, tiny, '--servers=3', '--seed=7'), first, 'three servers');
    t.is(await weights(t, tiny, '--servers=3', '--seed=7'), first, 'three servers, once more');
    t.not(await weights(t, tiny, '--servers=1', '--seed=8'), first);
    t.not(await weights(t, tiny, '--servers=1', '--seed=0'), first);
  },
);

test.serial(
  'lossy codecs give the same weights on one server, on three, and on two peers, each its own',
  async (t) => {
    t.timeout(180_000);
    const tiny = await tinyRun(t, 'wide');
    const momentum = ['--optimizer=momentum', '--learning-rate=0.01'];
    const seen = [await weights(t, tiny, ...momentum)];
    for (const codec of ['int8', 'topk', 'sign']) {
      const flags = [...momentum, `--codec=${codec}`];
      const one = await weights(t, tiny, ...flags, '--servers=1');
      t.is(await weights(t, tiny, ...flags, '--servers=3'), one, codec);
      t.is(await weights(t, tiny, ...flags, '--peers=2'), one, codec);
      t.false(seen.includes(one), codec);
      seen.push(one);
    }
  },
);

test.serial('a worker that is stopped for moments changes no bit', async (t) => {
  t.timeout(120_000);
  const tiny = await tinyRun(t);
  const undisturbed = await weights(t, tiny, '--workers=3');
  const up = start(t, 'gradloom', ['up', ...tiny.flags, '--epochs=3', '--workers=3']);
  const { address } = await up.event('ready', ({ role }) => role === 'server');
  let stops = 0;
  for (const step of STOPPED_AT) {
    await up.event('step', (event) => (event.step as number) >= step);
    const { runs } = await status(String(address), 10_000);
    // The run may have ended meanwhile: then there is nobody to stop.
    const label = runs[0]?.workers.find(({ info }) => info?.rank === 1)?.info?.label;
    if (!label) continue;
    const pid = Number(label.split(':').at(-1));
    if (!signal(pid, 'SIGSTOP')) continue;
    await new Promise((resolve) => setTimeout(resolve, STOPPED_MS));
    signal(pid, 'SIGCONT');
    stops++;
  }
  t.is((await up.ended).code, 0);
  t.true(stops > 0);
  t.is((await tiny.readSummary()).weightsSha256, undisturbed);
});
