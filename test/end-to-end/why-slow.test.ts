// `gradloom why-slow` on real processes: one of three workers is slow, and is named with its phase within ten steps; where
// nobody is, what a step consists of is said.
import test, { type ExecutionContext } from 'ava';
import { type Program, run, signal, start } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';

const STEPS = 10;
/** Longer than what the rest of a step takes on a busy machine. */
const COMPUTE_MS = 100;

async function threeWorkers(t: ExecutionContext, slowMs: readonly number[]) {
  const { flags } = await tinyRun(t, 'slow');
  const server = start(t, 'gradloom-server', ['--listen=127.0.0.1:0', '--json']);
  const keeper = String((await server.event('ready')).address);
  const all = [...flags, '--epochs=100000', '--batch=60', `--join=${keeper}`, '--workers=3'];
  const workers = slowMs.map((ms) =>
    start(t, 'gradloom-worker', all, { env: { GRADLOOM_TEST_SLOW_MS: String(ms) } }),
  );
  const ranks = await Promise.all(workers.map(async (worker) => Number((await worker.event('start')).rank)));
  // Worker 0 tells of the run's steps.
  await workers[ranks.indexOf(0)].event('step', ({ step }) => step === STEPS);
  return { keeper, workers, ranks };
}

async function asked(t: ExecutionContext, keeper: string, ...flags: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(t, 'gradloom', ['why-slow', `--join=${keeper}`, ...flags]);
  t.deepEqual({ code, stderr }, { code: 0, stderr: [] });
  return stdout.join('\n');
}

test.serial(
  'a worker that computes five times as long is named with its phase within ten steps',
  async (t) => {
    t.timeout(150_000);
    const slow = 1;
    const { keeper, workers, ranks } = await threeWorkers(t, [COMPUTE_MS, 5 * COMPUTE_MS, COMPUTE_MS]);
    const said = JSON.parse(await asked(t, keeper, '--json'));
    const [{ straggler, step, sentence }] = said.runs;
    t.like(straggler, { role: 'worker', number: ranks[slow], phase: 'compute' });
    t.true(step <= 2 * STEPS, `asked at step ${step}`);
    t.true(straggler.seconds >= (5 * COMPUTE_MS) / 1000);
    t.true(straggler.seconds > 2 * straggler.peersSeconds);
    t.regex(
      sentence,
      new RegExp(
        `^worker ${ranks[slow]} \\(.+:${workers[slow].pid}\\) is slow: compute takes [\\d,]+ ms a step, its peers' median is [\\d,]+ ms, since step \\d+, for \\d+ steps?; the others wait for it \\d+ % of a step$`,
      ),
    );
    t.true((await asked(t, keeper)).startsWith(`worker ${ranks[slow]} (`));
  },
);

test.serial(
  'where nobody is slow, it says what a step consists of; a worker that stands still is silent',
  async (t) => {
    t.timeout(150_000);
    const { keeper, workers, ranks } = await threeWorkers(t, [COMPUTE_MS, COMPUTE_MS, COMPUTE_MS]);
    t.regex(
      await asked(t, keeper),
      /^nobody stands out from its peers; a step takes [\d.,]+ ms: compute \d+ %, /,
    );
    signal(workers[2].pid, 'SIGSTOP');
    const other = workers[0] as Program;
    await other.event('waiting', ({ seconds }) => (seconds as number) > 5);
    t.regex(
      await asked(t, keeper),
      new RegExp(
        `^worker ${ranks[2]} \\(.+:${workers[2].pid}\\) is silent: nothing has been heard of it for \\d`,
      ),
    );
    const status = await run(t, 'gradloom', ['status', `--join=${keeper}`]);
    t.regex(status.stdout.join('\n'), /a step usually takes \d+ ms, who holds it up is named after \d+ ms/);
    t.regex(
      status.stdout.join('\n'),
      new RegExp(
        `waits at step \\d+ for (the evaluation of worker ${ranks[2]} \\(|worker ${ranks[2]} \\(.+\\), not heard of for \\d)`,
      ),
    );
    const { code, stderr } = await run(t, 'gradloom', ['why-slow', `--join=${keeper}`, '--run=other']);
    t.is(code, 2);
    t.regex(stderr.join('\n'), /--run: expected a run of the mesh \(slow-.*\), got 'other'/);
  },
);

for (const replicas of [1, 2])
  test.serial(
    `a server that stands still is named, with ${replicas === 1 ? 'one copy of its blocks' : 'two copies, for which its peer waits'}`,
    async (t) => {
      t.timeout(150_000);
      const { flags } = await tinyRun(t);
      const listen = ['--listen=127.0.0.1:0', '--json'];
      const first = start(t, 'gradloom-server', listen);
      const keeper = String((await first.event('ready')).address);
      const second = start(t, 'gradloom-server', [...listen, `--join=${keeper}`]);
      const { address } = await second.event('ready');
      const all = [
        ...flags,
        '--epochs=100000',
        `--join=${keeper}`,
        '--workers=1',
        `--replicas=${replicas}`,
        '--peer-deadline=120',
      ];
      const worker = start(t, 'gradloom-worker', all);
      await worker.event('step', ({ step }) => step === STEPS);
      signal(second.pid, 'SIGSTOP');
      let said = '';
      while (!/^server/.test(said)) said = await asked(t, keeper);
      t.regex(
        said,
        new RegExp(
          `^server 1 \\(${address}\\) is slow: (until its last block is there it takes|others wait for its copies of their blocks, which take) [\\d.,]+ ms a step`,
        ),
      );
      signal(second.pid, 'SIGCONT');
    },
  );

test.serial('without a run there is nothing to say', async (t) => {
  const server = start(t, 'gradloom-server', ['--listen=127.0.0.1:0', '--json']);
  const { address } = await server.event('ready');
  t.is(await asked(t, String(address)), 'no run');
});
