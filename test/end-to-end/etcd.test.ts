// A mesh in etcd, with real processes and a real etcd: the keeper's role moves from server to server while a run goes
// on, to the same bits; etcd itself is away for a while; and what is refused.
import test, { type ExecutionContext } from 'ava';
import { connect } from '../../shared/client/index.js';
import { changeRules, status } from '../../shared/client/membership.js';
import { etcdTest, startEtcd } from '../helpers/etcd.js';
import type { Etcd } from '../helpers/etcd-process.js';
import { type Program, run, start } from '../helpers/processes.js';
import { tinyRun } from '../helpers/tiny-run.js';

const DEADLINE_MS = 20_000;

interface Mesh {
  etcd: Etcd;
  /** Where the mesh is found. */
  place: string;
  /** By their addresses. */
  servers: Map<string, Program>;
  addServer(): Promise<string>;
}

async function startMesh(t: ExecutionContext, servers: number): Promise<Mesh> {
  const etcd = await startEtcd(t);
  const mesh: Mesh = {
    etcd,
    place: `etcd://${etcd.host}/default`,
    servers: new Map(),
    async addServer() {
      const server = start(t, 'gradloom-server', [
        ...['--listen=127.0.0.1:0', `--etcd=${etcd.host}`, '--json', '--log-level=warn'],
      ]);
      const address = String((await server.event('ready')).address);
      mesh.servers.set(address, server);
      return address;
    },
  };
  for (let index = 0; index < servers; index++) await mesh.addServer();
  return mesh;
}

const EPOCHS = 60;
const weights = new Map<number, Promise<string>>();

/** What the run of so many workers comes to with an embedded keeper that lives: trained once for all tests. */
function undisturbed(t: ExecutionContext, workers: number): Promise<string> {
  const train = async () => {
    const tiny = await tinyRun(t);
    const flags = [...tiny.flags, `--epochs=${EPOCHS}`, `--workers=${workers}`];
    const { code, stderr } = await run(t, 'gradloom', ['up', ...flags]);
    t.is(code, 0, stderr.join('\n'));
    return (await tiny.readSummary()).weightsSha256;
  };
  const known = weights.get(workers) ?? train();
  weights.set(workers, known);
  return known;
}

/** Workers of one run, in the order of their ranks, when it has started. */
async function startWorkers(t: ExecutionContext, { etcd }: Mesh, flags: readonly string[], count: number) {
  const workers = Array.from({ length: count }, () =>
    start(t, 'gradloom-worker', [...flags, `--etcd=${etcd.host}`, `--workers=${count}`]),
  );
  const ranks = await Promise.all(workers.map(async (worker) => Number((await worker.event('start')).rank)));
  return workers.toSorted((a, b) => ranks[workers.indexOf(a)] - ranks[workers.indexOf(b)]);
}

async function assertWell(t: ExecutionContext, programs: readonly Program[]): Promise<void> {
  for (const { code, stderr } of await Promise.all(programs.map(({ ended }) => ended)))
    t.deepEqual({ code, stderr }, { code: 0, stderr: [] });
}

etcdTest('the keeper loses its lease again and again; the run goes on to the same bits', async (t) => {
  t.timeout(180_000);
  const tiny = await tinyRun(t);
  const flags = [...tiny.flags, `--epochs=${EPOCHS}`];
  const weightsSha256 = await undisturbed(t, 2);
  const mesh = await startMesh(t, 2);
  const workers = await startWorkers(t, mesh, flags, 2);
  const keepers = new Set<string>();
  for (const at of [3, 40, 80, 120]) {
    await workers[0].event('step', ({ step }) => step === at);
    const before = await mesh.etcd.keeper('default');
    keepers.add(before);
    await mesh.etcd.revokeLease('default');
    t.not(await mesh.etcd.keeper('default', before), before);
  }
  t.is(keepers.size, 2);
  await assertWell(t, workers);
  t.like(await tiny.readSummary(), { weightsSha256, servers: 2, workers: 2, steps: 240 });
  const { runs, servers } = await status(mesh.place, DEADLINE_MS);
  t.is(runs.length, 0);
  t.is(servers.length, 2);
});

etcdTest(
  'the keeper is killed in mid-epoch with the shards that it holds: steps go on, the same bits',
  async (t) => {
    t.timeout(180_000);
    const tiny = await tinyRun(t);
    const flags = [...tiny.flags, `--epochs=${EPOCHS}`];
    const weightsSha256 = await undisturbed(t, 2);
    const mesh = await startMesh(t, 3);
    const workers = await startWorkers(t, mesh, flags, 2);
    await workers[0].event('step', ({ step }) => step === 10);
    const keeper = await mesh.etcd.keeper('default');
    mesh.servers.get(keeper)?.signal('SIGKILL');
    await mesh.etcd.keeper('default', keeper);
    await assertWell(t, workers);
    t.like(await tiny.readSummary(), { weightsSha256, workers: 2, steps: 240 });
    t.is((await status(mesh.place, DEADLINE_MS)).servers.length, 2);
  },
);

etcdTest(
  'who only reads follows the keeper that follows one that is killed, and the shards that it held',
  async (t) => {
    t.timeout(180_000);
    const { flags } = await tinyRun(t, 'slow');
    const mesh = await startMesh(t, 3);
    const at = [...flags, `--etcd=${mesh.etcd.host}`];
    const env = { GRADLOOM_TEST_SLOW_MS: '60' };
    const worker = start(t, 'gradloom-worker', [...at, '--workers=1', `--epochs=${EPOCHS}`], { env });
    const evaluator = start(t, 'gradloom-worker', [...at, '--evaluate', '--every=2']);
    await evaluator.event('evaluation');
    const reader = await connect({ join: mesh.place });
    const before = await reader.pull();
    const keeper = await mesh.etcd.keeper('default');
    mesh.servers.get(keeper)?.signal('SIGKILL');
    await mesh.etcd.keeper('default', keeper);
    await evaluator.event('takeover', ({ from }) => String(from).includes(keeper));
    const { step: trained } = worker.events.findLast(({ event }) => event === 'step') ?? { step: 0 };
    await evaluator.event(
      'evaluation',
      ({ step, skew }) => (step as number) > (trained as number) && skew === 0,
    );
    t.true((await reader.pull()).step > before.step);
    await reader.close();
    await assertWell(t, [worker, evaluator]);
    t.is(evaluator.events.at(-1)?.event, 'finished-observing');
  },
);

etcdTest('a keeper is stopped and wakes up: it finds that another follows, and serves on', async (t) => {
  t.timeout(180_000);
  const tiny = await tinyRun(t);
  const flags = [...tiny.flags, `--epochs=${EPOCHS}`];
  const weightsSha256 = await undisturbed(t, 1);
  const mesh = await startMesh(t, 2);
  const [worker] = await startWorkers(t, mesh, flags, 1);
  await worker.event('step', ({ step }) => step === 3);
  const before = await mesh.etcd.keeper('default');
  mesh.servers.get(before)?.signal('SIGSTOP');
  await mesh.etcd.keeper('default', before);
  mesh.servers.get(before)?.signal('SIGCONT');
  await assertWell(t, [worker]);
  t.like(await tiny.readSummary(), { weightsSha256, steps: 240 });
  t.is((await status(mesh.place, DEADLINE_MS)).servers.length, 2);
});

etcdTest('etcd is killed and started again in mid-run; the rules are changed afterwards', async (t) => {
  t.timeout(180_000);
  const tiny = await tinyRun(t);
  const flags = [...tiny.flags, '--epochs=200'];
  const mesh = await startMesh(t, 2);
  const workers = await startWorkers(t, mesh, flags, 2);
  await workers[0].event('step', ({ step }) => step === 3);
  await mesh.etcd.stop();
  await workers[0].event('step', ({ step }) => step === 7);
  await mesh.etcd.start();
  const rules = { consistency: 'ssp', staleness: 2 } as const;
  const { view } = await changeRules(mesh.place, { run: '', rules }, DEADLINE_MS);
  t.is(view.number, 2);
  await assertWell(t, workers);
  const { steps } = await tiny.readSummary();
  t.true(steps > 800, String(steps));
});

etcdTest('a second mesh of another name in the same etcd is another mesh', async (t) => {
  const mesh = await startMesh(t, 1);
  const listen = ['--listen=127.0.0.1:0', '--json', '--log-level=warn'];
  const other = start(t, 'gradloom-server', [...listen, `--etcd=${mesh.etcd.host}`, '--mesh=other']);
  await other.event('ready');
  const { servers } = await status(`etcd://${mesh.etcd.host}/other`, DEADLINE_MS);
  t.is(servers.length, 1);
  other.signal('SIGTERM');
  t.like(await other.ended, { code: 0, stderr: [] });
  const none = await run(t, 'gradloom', ['status', `--etcd=${mesh.etcd.host}`, '--mesh=other']);
  t.is(none.code, 1);
  t.regex(
    none.stderr.join('\n'),
    /^gradloom: mesh 'other' has had no keeper for \d+ s \(etcd at [^)]*\); start a server/,
  );
});

test('etcd that is not there, and flags that contradict each other, are told in one line', async (t) => {
  for (const [binary, args, code, says] of [
    [
      'gradloom-server',
      ['--listen=127.0.0.1:0', '--etcd=127.0.0.1:1'],
      1,
      /cannot reach etcd at 127\.0\.0\.1:1: .*start it there, or check --etcd/,
    ],
    ['gradloom-worker', ['--etcd=127.0.0.1:1', '--workers=1'], 1, /cannot reach etcd at 127\.0\.0\.1:1: /],
    ['gradloom', ['status', '--etcd=127.0.0.1:1'], 1, /cannot reach etcd at 127\.0\.0\.1:1: /],
    [
      'gradloom-server',
      ['--etcd=127.0.0.1:2379', '--join=127.0.0.1:50051'],
      2,
      /--etcd: expected --join or --etcd, got both/,
    ],
    [
      'gradloom-worker',
      ['--etcd=127.0.0.1:2379', '--join=127.0.0.1:50051'],
      2,
      /--etcd: expected --join or --etcd, got both/,
    ],
    ['gradloom-server', ['--mesh=night'], 2, /--mesh: expected --etcd with it, got it without/],
    [
      'gradloom-server',
      ['--etcd=10.0.0.1:2379'],
      2,
      /--etcd: a connection to 10\.0\.0\.1:2379 would be neither encrypted/,
    ],
    ['gradloom-server', ['--etcd=127.0.0.1:2379,'], 2, /--etcd: expected HOST:PORT, or several/],
    ['gradloom-server', ['--etcd=127.0.0.1:2379', '--mesh=a/b'], 2, /--mesh: expected letters/],
    ['gradloom', ['set', 'consistency', 'bsp'], 2, /expected --join HOST:PORT, got none/],
  ] as const) {
    const ended = await run(t, binary, args);
    t.is(ended.code, code, args.join(' '));
    t.is(ended.stderr.length, 1, ended.stderr.join('\n'));
    t.regex(ended.stderr[0], says);
  }
});
