// Servers that are killed in a running run, with real processes: their backups take over in the middle of a step, lost
// copies are made again, and the weights are the same to the bit as without a death.
import test, { type ExecutionContext } from 'ava';
import { connect, RunError } from '../../shared/client/index.js';
import { status } from '../../shared/client/membership.js';
import { type Program, start } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';

const EPOCHS = 60;
/** Of 256 records, 64 a step. */
const STEPS = 4 * EPOCHS;
const DEADLINE_MS = 20_000;

interface Mesh {
  readonly servers: Program[];
  readonly workers: Program[];
  readonly keeper: string;
}

/** @param slowMs of each step, with job `slow`: for a run that goes on while processes start */
async function startMesh(
  t: ExecutionContext,
  servers: number,
  flags: readonly string[],
  slowMs = 0,
): Promise<Mesh> {
  const listen = ['--listen=127.0.0.1:0', '--json'];
  const first = start(t, 'gradloom-server', listen);
  const keeper = String((await first.event('ready')).address);
  const all = [first];
  for (let index = 1; index < servers; index++) {
    all.push(start(t, 'gradloom-server', [...listen, `--join=${keeper}`]));
    await all[index].event('ready');
  }
  const worker = [...flags, `--epochs=${EPOCHS}`, `--join=${keeper}`, '--workers=2'];
  const workers = [0, 1].map(() =>
    start(t, 'gradloom-worker', worker, { env: { GRADLOOM_TEST_SLOW_MS: String(slowMs) } }),
  );
  const ranks = await Promise.all(workers.map(async (each) => Number((await each.event('start')).rank)));
  // Only the first tells of every step.
  return { servers: all, workers: ranks[0] === 0 ? workers : workers.reverse(), keeper };
}

async function assertWell(t: ExecutionContext, programs: Program[]): Promise<void> {
  for (const { code, stderr } of await Promise.all(programs.map(({ ended }) => ended)))
    t.deepEqual({ code, stderr }, { code: 0, stderr: [] });
}

const allCopied = async (keeper: string) => {
  const [run] = (await status(keeper, DEADLINE_MS)).runs;
  const isCopied = run?.shards.every(({ backups, joining }) => backups.length === 1 && joining.length === 0);
  return isCopied ?? false;
};

async function undisturbed(t: ExecutionContext, job?: 'slow'): Promise<string> {
  const { flags, readSummary } = await tinyRun(t, job);
  const { workers } = await startMesh(t, 1, flags);
  await assertWell(t, workers);
  return (await readSummary()).weightsSha256;
}

test.serial('kill -9 of two of three servers, one after another: the same bits', async (t) => {
  t.timeout(240_000);
  const expected = await undisturbed(t);
  const { flags, readSummary } = await tinyRun(t);
  const { servers, workers, keeper } = await startMesh(t, 3, flags);
  const [watched] = workers;
  await watched.event('step', ({ step }) => step === 10);
  servers[1].signal('SIGKILL');
  t.like(await watched.event('takeover'), { shard: 1 });
  while (!(await allCopied(keeper))) await new Promise((resolve) => setTimeout(resolve, 50));
  servers[2].signal('SIGKILL');
  await watched.event('takeover', ({ shard }) => shard === 2);
  await assertWell(t, workers);
  const steps = watched.events.filter(({ event }) => event === 'step').map(({ step }) => step);
  t.deepEqual(
    steps,
    Array.from({ length: STEPS }, (_, step) => step + 1),
  );
  const { weightsSha256, steps: applied } = await readSummary();
  t.is(applied, STEPS);
  t.is(weightsSha256, expected);
});

test.serial(
  'who only reads follows the shards: an evaluator and a client of the SDK go on with the run',
  async (t) => {
    t.timeout(240_000);
    const expected = await undisturbed(t, 'slow');
    const { flags, readSummary } = await tinyRun(t, 'slow');
    const { servers, workers, keeper } = await startMesh(t, 3, flags, 60);
    const evaluator = start(t, 'gradloom-worker', [...flags, `--join=${keeper}`, '--evaluate', '--every=2']);
    const reader = await connect({ join: keeper });
    const reads: { step: number; skew: number }[] = [];
    let reason: unknown;
    const reading = (async () => {
      for (;;) {
        const { step, skew } = await reader.pull();
        reads.push({ step, skew });
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    })().catch((error) => {
      reason = error;
    });
    await evaluator.event('evaluation');
    for (const killed of [1, 2]) {
      while (!(await allCopied(keeper))) await new Promise((resolve) => setTimeout(resolve, 50));
      servers[killed].signal('SIGKILL');
      await evaluator.event('takeover', ({ shard }) => shard === killed);
      const before = reads.at(-1)?.step ?? 0;
      const { step: trained } = workers[0].events.findLast(({ event }) => event === 'step') ?? { step: 0 };
      await evaluator.event('evaluation', ({ step }) => (step as number) > (trained as number));
      while (!reason && (reads.at(-1)?.step ?? 0) <= before)
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await assertWell(t, [...workers, evaluator]);
    t.is((await readSummary()).weightsSha256, expected);
    t.is(evaluator.events.at(-1)?.event, 'finished-observing');
    const told = evaluator.events.filter(({ event }) => event === 'evaluation');
    t.true(told.every(({ skew }) => skew === 0));
    // What it says of a step is what the workers say of the same step.
    for (const { step, accuracy } of workers[0].events.filter(({ event }) => event === 'epoch')) {
      const same = told.find((each) => each.step === step);
      if (same) t.is(same.accuracy, accuracy);
    }
    await reading;
    t.true(reason instanceof RunError);
    t.regex(String(reason), /server 0 .*expected the id of a running run/);
    t.deepEqual(
      reads.map(({ step }) => step),
      reads.map(({ step }) => step).toSorted((a, b) => a - b),
    );
    await reader.close();
  },
);

test.serial('a server is killed while a run is prepared: the others make the shards anew', async (t) => {
  t.timeout(120_000);
  const expected = await undisturbed(t);
  const { flags, readSummary } = await tinyRun(t);
  const listen = ['--listen=127.0.0.1:0', '--json'];
  const first = start(t, 'gradloom-server', listen);
  const keeper = String((await first.event('ready')).address);
  const others = [1, 2].map(() => start(t, 'gradloom-server', [...listen, `--join=${keeper}`]));
  for (const other of others) await other.event('ready');
  // It makes no shard, so that the run waits for it.
  others[1].signal('SIGSTOP');
  const worker = [...flags, `--epochs=${EPOCHS}`, `--join=${keeper}`, '--workers=2'];
  const workers = [0, 1].map(() => start(t, 'gradloom-worker', worker));
  while ((await status(keeper, DEADLINE_MS)).runs[0]?.state !== 'preparing')
    await new Promise((resolve) => setTimeout(resolve, 25));
  others[1].signal('SIGKILL');
  t.like(await workers[0].event('start'), { servers: 2, replicas: 2 });
  await assertWell(t, workers);
  t.is((await readSummary()).weightsSha256, expected);
});

test.serial('a server whose shard has no copy dies: the run ends, and names the shard', async (t) => {
  t.timeout(120_000);
  const { flags } = await tinyRun(t);
  const { servers, workers } = await startMesh(t, 2, [...flags, '--replicas=1']);
  await workers[0].event('step', ({ step }) => step === 5);
  servers[1].signal('SIGKILL');
  for (const { code, stderr } of await Promise.all(workers.map(({ ended }) => ended))) {
    t.is(code, 1);
    t.regex(stderr.join('\n'), /server 1 .* is gone .* shard 1 had no other copy/);
  }
});

test.serial('up goes on when a server of it is killed', async (t) => {
  t.timeout(120_000);
  const { flags } = await tinyRun(t);
  const up = start(t, 'gradloom', ['up', ...flags, `--epochs=${EPOCHS}`, '--servers=3', '--workers=2']);
  await up.event('step', ({ step }) => step === 5);
  const { address } = await up.event('ready', ({ role }) => role === 'server');
  const { servers } = await status(String(address), DEADLINE_MS);
  const label = servers.find(({ info }) => info?.id === 2)?.label;
  process.kill(Number(label?.split(':').at(-1)), 'SIGKILL');
  t.truthy(await up.event('takeover'));
  t.is((await up.ended).code, 0);
});

test.serial(
  'a server is added and another drained in a running run: the same bits, and nobody stops',
  async (t) => {
    t.timeout(240_000);
    const expected = await undisturbed(t, 'slow');
    const { flags, readSummary } = await tinyRun(t, 'slow');
    const { servers, workers, keeper } = await startMesh(t, 3, flags, 60);
    const [watched] = workers;
    await watched.event('step', ({ step }) => step === 5);
    const added = start(t, 'gradloom-server', ['--listen=127.0.0.1:0', '--json', `--join=${keeper}`]);
    await added.event('ready');
    const drained = start(t, 'gradloom', ['drain', '--server=1', `--join=${keeper}`, '--json']);
    t.is((await drained.ended).code, 0);
    t.is((await servers[1].ended).code, 0);
    const { servers: left, runs } = await status(keeper, DEADLINE_MS);
    t.deepEqual(
      left.map(({ info }) => info?.id),
      [0, 2, 3],
    );
    t.true(runs[0].shards.every(({ primary, backups }) => primary !== 1 && !backups.includes(1)));
    // A server that is asked to stop hands over what it holds first.
    servers[2].signal('SIGTERM');
    t.is((await servers[2].ended).code, 0);
    await assertWell(t, workers);
    const { weightsSha256, steps, bytesRetried } = await readSummary();
    t.is(steps, STEPS);
    t.is(weightsSha256, expected);
    t.true(bytesRetried >= 0);
  },
);

test.serial('what cannot be drained is refused with the reason', async (t) => {
  t.timeout(120_000);
  const { flags } = await tinyRun(t);
  const { workers, keeper } = await startMesh(t, 2, [...flags, '--consistency=asp']);
  await workers[0].event('step', ({ step }) => step === 5);
  for (const [server, expected] of [
    [0, /keeps the mesh/],
    [1, /cannot go on without server 1: .*consistency asp/],
    [7, /expected the number of a server of the mesh, got 7; there are 0, 1/],
  ] as const) {
    const { code, stderr } = await start(t, 'gradloom', ['drain', `--server=${server}`, `--join=${keeper}`])
      .ended;
    t.is(code, 1);
    t.regex(stderr.join('\n'), expected);
  }
  await assertWell(t, workers);
});
