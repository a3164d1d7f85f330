// Backup workers with real processes: two servers, three workers, one of them slow. Steps go on without the slow one,
// the run ends as it should, and says how many steps it missed and how many records were trained on.
import test from 'ava';
import { parseExposition, sampleValue } from '../helpers/exposition.js';
import { start } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';

const EPOCHS = 4;
const STEPS = EPOCHS * 10;

test.serial('a slow worker holds nobody up: exit status 0, and what came late is counted', async (t) => {
  t.timeout(170_000);
  const { flags, readSummary } = await tinyRun(t, 'slow');
  const keeper = start(t, 'gradloom-server', ['--listen=127.0.0.1:0', '--json']);
  const { address, metrics } = await keeper.event('ready');
  await start(t, 'gradloom-server', ['--listen=127.0.0.1:0', `--join=${address}`, '--json']).event('ready');
  const workers = [0, 0, 300].map((slowMs) =>
    start(
      t,
      'gradloom-worker',
      [
        ...flags,
        `--join=${address}`,
        '--workers=3',
        '--backup-workers=1',
        '--batch=24',
        `--epochs=${EPOCHS}`,
      ],
      { env: { GRADLOOM_TEST_SLOW_MS: String(slowMs) } },
    ),
  );
  const ranks = await Promise.all(workers.map(async (worker) => Number((await worker.event('start')).rank)));
  const slow = ranks[2];
  for (const { code, stderr } of await Promise.all(workers.map(({ ended }) => ended)))
    t.deepEqual({ code, stderr }, { code: 0, stderr: [] });

  const summary = await readSummary();
  const late = summary.lateContributions ?? [];
  t.is(late.length, 3);
  t.is(
    late.reduce((sum, steps) => sum + steps, 0),
    STEPS,
    'each step goes on without one',
  );
  t.is(Math.max(...late), late[slow]);
  t.true(late[slow] > STEPS / 2, `${late}, the slow one is ${slow}`);
  t.is(summary.steps, STEPS);
  t.is(summary.samples, STEPS * 16, 'two shares of three');
  // It has learnt something: guessing among four classes has a loss of log 4.
  t.true(summary.loss < Math.log(4), `loss ${summary.loss}`);
  // Rank 0 says what came of the run's steps.
  const { events } = workers[ranks.indexOf(0)];
  const epochs = events.filter(({ event }) => event === 'epoch');
  t.is(epochs.length, EPOCHS);
  t.is(
    epochs.reduce((sum, each) => sum + Number(each.samples), 0),
    summary.samples,
  );
  t.deepEqual(epochs[EPOCHS - 1].lateContributions, late);
  t.like(events.filter(({ event }) => event === 'step').at(-1), { step: STEPS, lateContributions: late });
  const samples = parseExposition(await (await fetch(String(metrics))).text());
  for (const [rank, steps] of late.entries())
    t.is(sampleValue(samples, 'gradloom_late_contributions_total', { rank: String(rank) }), steps);
});
