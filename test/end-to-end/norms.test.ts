// Verdicts on the whole gradient, with real processes: servers tell each other norms over gRPC, and neither their
// number nor who holds which block shows in the weights.
import test, { type ExecutionContext } from 'ava';
import { start } from '../helpers/processes.js';
import { type TinyRun, tinyRun } from '../helpers/tiny-run.js';

async function weights(t: ExecutionContext, { flags, readSummary }: TinyRun, ...more: string[]) {
  const { code, stderr } = await start(t, 'gradloom', ['up', ...flags, '--epochs=2', ...more]).ended;
  t.is(code, 0, stderr.join('\n'));
  return (await readSummary()).weightsSha256;
}

for (const [title, ...asked] of [
  ['clipping by global norm', '--clip-norm=0.05'],
  ['LAMB', '--optimizer=lamb', '--learning-rate=0.01'],
  ['LAMB on a clipped gradient', '--optimizer=lamb', '--learning-rate=0.01', '--clip-norm=0.05'],
])
  test(`${title} gives the same weights with one server, three, and two peers`, async (t) => {
    t.timeout(180_000);
    const tiny = await tinyRun(t);
    const one = await weights(t, tiny, '--servers=1', ...asked);
    t.is(await weights(t, tiny, '--servers=3', ...asked), one, 'three servers');
    t.is(await weights(t, tiny, '--peers=2', ...asked), one, 'two peers');
    const plain = asked.filter((flag) => !flag.startsWith('--clip-norm') && flag !== '--optimizer=lamb');
    t.not(await weights(t, tiny, '--servers=1', ...plain), one);
  });

test('what waits for norms is refused where workers do not share a step, and trains with local steps', async (t) => {
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
});
