// Waits on real processes: two workers of which one is slower than the other, as always, wait for each other without a
// word; when it stops altogether, the other one, the status, the metrics and the last error say so.
import test from 'ava';
import { METRICS } from '../../shared/metrics/definitions.js';
import { NOTICE_RATIO } from '../../shared/usual.js';
import { parseExposition, sampleValue } from '../helpers/exposition.js';
import { run, signal, start } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';

const STEPS = 6;
/** More than what was waited for without a word before waits were measured. */
const SLOW_MS = 1500;

test.serial('who is waited for as long as always is not named, who stops is', async (t) => {
  t.timeout(180_000);
  const { flags } = await tinyRun(t, 'slow');
  const server = start(t, 'gradloom-server', ['--listen=127.0.0.1:0', '--json']);
  const { address, metrics } = await server.event('ready');
  const all = [...flags, '--epochs=100000', '--batch=32', `--join=${address}`, '--workers=2'];
  const workers = [0, SLOW_MS].map((ms) =>
    start(t, 'gradloom-worker', all, { env: { GRADLOOM_TEST_SLOW_MS: String(ms) } }),
  );
  const [fast, slow] = workers;
  const ranks = await Promise.all(workers.map(async (worker) => Number((await worker.event('start')).rank)));
  await workers[ranks.indexOf(0)].event('step', ({ step }) => step === STEPS);

  const labels = { member: 'worker', number: String(ranks[1]), phase: 'compute' };
  let ratio: number | undefined;
  while (ratio === undefined) {
    const samples = parseExposition(await (await fetch(String(metrics))).text());
    ratio = sampleValue(samples, METRICS.stragglerRatio.name, labels);
  }
  t.true(ratio > 1);
  const { stdout } = await run(t, 'gradloom', ['status', `--join=${address}`]);
  t.regex(stdout.join('\n'), /a step usually takes [\d.]+ m?s, who holds it up is named after [\d.]+ m?s/);

  signal(slow.pid, 'SIGSTOP');
  const told = await fast.event(
    'waiting',
    ({ seconds }) => Number(seconds) > (2 * NOTICE_RATIO * SLOW_MS) / 1000,
  );
  t.regex(
    String(told.workers),
    new RegExp(`^worker ${ranks[1]} \\(.+:${slow.pid}\\)(, whose share of the evaluation is missing)?$`),
  );
  const waits = fast.events.filter(
    ({ event, usualSeconds }) => event === 'waiting' && usualSeconds !== undefined,
  );
  t.true(waits.length > 0);
  // However busy the machine is: nothing is said of what is usual.
  for (const { seconds, usualSeconds } of waits)
    t.true(Number(seconds) >= NOTICE_RATIO * Number(usualSeconds), `${seconds} s, usually ${usualSeconds} s`);

  // In its first steps the server waits for it alone: it knows that it waits for nobody.
  t.false(
    slow.events.some(
      ({ event, workers }) => event === 'waiting' && String(workers).includes(`:${slow.pid})`),
    ),
  );

  server.signal('SIGKILL');
  const { code, stderr } = await fast.ended;
  t.is(code, 1);
  t.regex(
    stderr.join('\n'),
    new RegExp(
      `the keeper at ${address} was lost: .+; this worker was at step \\d+, in exchange for \\d+\\.\\d s; a step usually takes \\d`,
    ),
  );
});

for (const replicas of [1, 2])
  test.serial(
    `replicas ${replicas}: a server that stops is named, and none of the workers that wait for it`,
    async (t) => {
      t.timeout(120_000);
      const { flags } = await tinyRun(t, 'slow');
      const listen = ['--listen=127.0.0.1:0', '--json'];
      const first = start(t, 'gradloom-server', listen);
      const { address } = await first.event('ready');
      const second = start(t, 'gradloom-server', [...listen, `--join=${address}`]);
      await second.event('ready');
      const all = [...flags, '--epochs=100000', `--join=${address}`, '--workers=2', `--replicas=${replicas}`];
      const workers = [0, 1].map(() => start(t, 'gradloom-worker', all));
      const ranks = await Promise.all(workers.map(async (worker) => (await worker.event('start')).rank));
      const { step } = await workers[ranks.indexOf(0)].event('step', (event) => Number(event.step) >= STEPS);
      second.signal('SIGSTOP');
      for (const worker of workers) {
        const isLate = (event: { [field: string]: unknown }) => Number(event.seconds) > 3;
        await worker.event('waiting', isLate);
        const told = worker.events.filter((event) => event.event === 'waiting' && isLate(event));
        for (const { workers: names, step: at } of told) {
          t.true(Number(at) >= Number(step));
          t.regex(String(names), /^server [01][ ,]/);
          t.notRegex(String(names), /worker/);
          t.regex(String(names), /server 1( |,)/);
        }
      }
      // Whoever it is that waits for it, and for what: nobody else is named.
      let shown: string;
      do {
        const { stdout } = await run(t, 'gradloom', ['status', `--join=${address}`]);
        shown = stdout.join('\n');
      } while (
        !/waits at step \d+ for the (copy|blocks) of server 1 \([^)]+\), for [\d.]+ s[^(]*$/m.test(shown)
      );
    },
  );
