// The user's mistakes: exit status 2, one line on stderr that says what was expected, what came and what to do, no
// stack; on stdout nothing but the progress made before. And misfortunes at the start, with exit status 1.
import { cp, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Binary, helperPath, left, start } from '../helpers/processes.js';
import { type TinyRun, tinyRun } from '../helpers/tiny-run.js';

/** What a person is shown before a mistake in the data or the job is found. */
const PROGRESS = /^(backend|preparing data|data|mesh|run) /;

interface Mistake {
  title: string;
  binary: Binary;
  args(tiny: TinyRun, t: ExecutionContext): string[] | Promise<string[]>;
  says: RegExp;
  code?: number;
}

/** Flags without JSON lines: what a person would see. */
const up = (tiny: TinyRun, ...more: string[]) => [
  'up',
  ...tiny.flags.filter((flag) => flag !== '--json'),
  '--servers=1',
  '--workers=1',
  ...more,
];

/** The data of a run, changed. */
async function withData(tiny: TinyRun, change: (folder: string) => Promise<void>): Promise<string[]> {
  await change(tiny.data);
  return up(tiny);
}

/** A port that is taken. */
async function takenPort(t: ExecutionContext): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return (server.address() as { port: number }).port;
}

/** A port on which nobody listens: it was free a moment ago, and is not given out again so soon. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const MISTAKES: Mistake[] = [
  {
    title: 'an unknown option',
    binary: 'gradloom',
    args: (tiny) => up(tiny, '--epoch=3'),
    says: /no option --epoch.*did you mean --epochs/,
  },
  {
    title: 'an unknown command',
    binary: 'gradloom',
    args: () => ['upp'],
    says: /upp/,
  },
  {
    title: 'fewer samples than workers',
    binary: 'gradloom',
    args: (tiny) => up(tiny, '--workers=4', '--batch=3'),
    says: /--batch: expected at least one sample for each of the 4 workers, got 3/,
  },
  {
    title: 'a batch larger than the training set',
    binary: 'gradloom',
    args: (tiny) => up(tiny, '--batch=257'),
    says: /at least one batch of 257 records.*--batch/,
  },
  { title: 'a batch of nothing', binary: 'gradloom', args: (tiny) => up(tiny, '--batch=0'), says: /--batch/ },
  {
    title: 'a seed that is no whole number',
    binary: 'gradloom',
    args: (tiny) => up(tiny, '--seed=1.5'),
    says: /--seed.*whole number.*1\.5/,
  },
  {
    title: 'a seed beyond 53 bits',
    binary: 'gradloom',
    args: (tiny) => up(tiny, '--seed=9007199254740993'),
    says: /--seed/,
  },
  {
    title: 'a learning rate that is no number',
    binary: 'gradloom',
    args: (tiny) => up(tiny, '--learning-rate=NaN'),
    says: /--learning-rate.*number.*NaN/,
  },
  {
    title: 'a learning rate of infinity',
    binary: 'gradloom',
    args: (tiny) => up(tiny, '--learning-rate=Infinity'),
    says: /--learning-rate/,
  },
  {
    title: "a codec that does not go with the job's optimizer",
    binary: 'gradloom',
    args: (tiny) => up(tiny, '--codec=topk'),
    says: /codec topk expects optimizer sgd or momentum, got adam/,
  },
  {
    title: 'a codec that does not go with clipping',
    binary: 'gradloom',
    args: (tiny) => up(tiny, '--codec=sign', '--optimizer=sgd', '--clip-value=1'),
    says: /codec sign expects no clipping by value, got 1/,
  },
  {
    title: 'an unknown codec',
    binary: 'gradloom',
    args: (tiny) => up(tiny, '--codec=zip'),
    says: /--codec.*fp32, fp16, bf16.*zip/,
  },
  {
    title: 'data that is not there',
    binary: 'gradloom',
    args: (tiny) => withData(tiny, (folder) => rm(folder, { recursive: true })),
    says: /data/,
  },
  {
    title: 'a truncated batch file',
    binary: 'gradloom',
    args: (tiny) => withData(tiny, (folder) => truncate(join(folder, 'data_batch_1.bin'), 5000)),
    says: /data_batch_1\.bin has 5000 bytes, expected a multiple of 3073/,
  },
  {
    title: 'a label that no class has',
    binary: 'gradloom',
    args: (tiny) =>
      withData(tiny, async (folder) => {
        const file = join(folder, 'test_batch.bin');
        const bytes = await readFile(file);
        bytes[7 * 3073] = 200;
        await writeFile(file, bytes);
      }),
    says: /test_batch\.bin: record 7 has the label 200, expected 0 to 3/,
  },
  {
    title: 'an image that does not decode',
    binary: 'gradloom',
    async args(tiny) {
      const folder = join(tiny.folder, 'images');
      for (const place of ['train/cat', 'train/dog', 'test/cat', 'test/dog']) {
        await mkdir(join(folder, place), { recursive: true });
        await writeFile(join(folder, place, 'a.png'), 'this is no picture');
      }
      return up(tiny, `--data=${folder}`);
    },
    says: /a\.png/,
  },
  {
    title: 'a job that is neither built in nor a file',
    binary: 'gradloom',
    args: (tiny) => up(tiny, '--job=cifar11'),
    says: /--job: expected one of cifar10.*"cifar11"/,
  },
  {
    title: 'a job whose module throws',
    binary: 'gradloom',
    args: (tiny) => up(tiny, `--job=${helperPath('jobs/throws.js')}`),
    says: /throws\.js cannot be loaded: no such luck/,
  },
  {
    title: 'a job whose module does not parse',
    binary: 'gradloom',
    async args(tiny) {
      const file = join(tiny.folder, 'broken.js');
      await writeFile(file, 'export default {');
      return up(tiny, `--job=${file}`);
    },
    says: /broken\.js cannot be loaded: /,
  },
  {
    title: 'a module that is no job',
    binary: 'gradloom',
    args: (tiny) => up(tiny, `--job=${helperPath('jobs/no-job.js')}`),
    says: /no-job\.js should have epochs/,
  },
  {
    title: 'a job whose model cannot be built',
    binary: 'gradloom',
    async args(tiny) {
      const file = join(tiny.folder, 'unbuilt.mjs');
      await writeFile(
        file,
        `export default { name: 'unbuilt', epochs: 1, optimizer: { kind: 'sgd', learningRate: 0.1 },
          loss: 'meanSquaredError', model() { throw new Error('three legs expected'); } };`,
      );
      return up(tiny, `--job=${file}`);
    },
    says: /the model of \S+unbuilt\.mjs cannot be built: three legs expected/,
  },
  {
    title: 'a job whose model is none',
    binary: 'gradloom',
    async args(tiny) {
      const file = join(tiny.folder, 'none.mjs');
      await writeFile(
        file,
        `import small from ${JSON.stringify(helperPath('jobs/small.js'))};
        export default { ...small, model: () => undefined };`,
      );
      return up(tiny, `--job=${file}`);
    },
    says: /expected a LayersModel from the model\(\) of \S+none\.mjs/,
  },
  {
    title: 'a job with an unknown loss',
    binary: 'gradloom',
    async args(tiny) {
      const file = join(tiny.folder, 'loss.mjs');
      await writeFile(
        file,
        `import small from ${JSON.stringify(helperPath('jobs/small.js'))};
        export default { ...small, loss: 'hinge' };`,
      );
      return up(tiny, `--job=${file}`);
    },
    says: /hinge/,
  },
  {
    title: 'a job whose loss throws',
    binary: 'gradloom',
    async args(tiny) {
      const file = join(tiny.folder, 'loss.mjs');
      await writeFile(
        file,
        `import small from ${JSON.stringify(helperPath('jobs/small.js'))};
        export default { ...small, loss() { throw new Error('at a loss'); } };`,
      );
      return up(tiny, `--job=${file}`);
    },
    says: /the loss of \S+loss\.mjs failed: at a loss/,
  },
  {
    title: 'a backend that is absent',
    binary: 'gradloom',
    args: (tiny) => up(tiny, '--backend=cuda'),
    says: /backend cuda is not available: .* npm install @tensorflow\/tfjs-node-gpu/,
  },
  {
    title: 'results that cannot be saved',
    binary: 'gradloom',
    async args(tiny) {
      const file = join(tiny.folder, 'file');
      await writeFile(file, '');
      return up(tiny, `--out=${file}`);
    },
    says: /Cannot save results in .*--out/,
  },
  {
    title: 'a port that is taken',
    binary: 'gradloom-server',
    args: async (_tiny, t) => [`--listen=127.0.0.1:${await takenPort(t)}`],
    says: /cannot listen on 127\.0\.0\.1:\d+: that port is taken/,
  },
  {
    title: 'a port for metrics that is taken',
    binary: 'gradloom-server',
    args: async (_tiny, t) => ['--listen=127.0.0.1:0', `--metrics=127.0.0.1:${await takenPort(t)}`],
    says: /Cannot serve metrics on 127\.0\.0\.1:\d+: another process listens there/,
  },
  {
    title: 'an address that is not of this machine',
    binary: 'gradloom-server',
    args: () => ['--listen=192.0.2.1:50051', '--insecure', '--metrics=127.0.0.1:0'],
    says: /cannot listen on 192\.0\.2\.1:50051: that address is not one of this machine/,
  },
  {
    title: 'listening to the world without --insecure',
    binary: 'gradloom-server',
    args: () => ['--listen=192.0.2.1:50051'],
    says: /neither encrypted nor authenticated.*--insecure/,
  },
  {
    title: 'listening everywhere without saying where',
    binary: 'gradloom-server',
    args: () => ['--listen=0.0.0.0:0', '--insecure'],
    says: /--advertise/,
  },
  {
    title: 'a worker without --join',
    binary: 'gradloom-worker',
    args: () => ['--workers=1'],
    says: /--join/,
  },
  {
    title: 'a worker whose port for metrics is taken',
    binary: 'gradloom-worker',
    args: async (tiny, t) => [
      ...tiny.flags.filter((flag) => flag !== '--json'),
      '--join=127.0.0.1:1',
      '--log-level=warn',
      `--metrics=127.0.0.1:${await takenPort(t)}`,
    ],
    says: /Cannot serve metrics on 127\.0\.0\.1:\d+: another process listens there/,
  },
  {
    title: 'a server whose keeper is not there',
    binary: 'gradloom-server',
    args: async () => ['--listen=127.0.0.1:0', `--join=127.0.0.1:${await closedPort()}`],
    says: /cannot join the mesh at 127\.0\.0\.1:\d+: .*start the first server there/,
    code: 1,
  },
  {
    title: 'a worker whose server is not there',
    binary: 'gradloom-worker',
    args: async (tiny) => [
      ...tiny.flags.filter((flag) => flag !== '--json'),
      `--join=127.0.0.1:${await closedPort()}`,
      '--log-level=warn',
    ],
    says: /cannot reach the keeper at 127\.0\.0\.1:\d+: .*start a server there/,
    code: 1,
  },
  {
    title: 'status of a mesh that is not there',
    binary: 'gradloom',
    args: async () => ['status', `--join=127.0.0.1:${await closedPort()}`],
    says: /cannot reach the keeper at 127\.0\.0\.1:\d+/,
    code: 1,
  },
];

for (const { title, binary, args, says, code = 2 } of MISTAKES)
  test.serial(`${title}: one line, exit status ${code}`, async (t) => {
    const tiny = await tinyRun(t);
    const program = start(t, binary, await args(tiny, t));
    const ended = await program.ended;
    t.is(ended.stderr.length, 1, ended.stderr.join('\n'));
    t.regex(ended.stderr[0], says);
    t.true(ended.stderr[0].startsWith(`${binary}: `), ended.stderr[0]);
    t.is(ended.code, code);
    t.deepEqual(
      ended.stdout.filter((line) => !PROGRESS.test(line)),
      [],
    );
    t.deepEqual(await left(program), []);
  });

test.serial('data that breaks after it was cached is noticed', async (t) => {
  const tiny = await tinyRun(t);
  const whole = join(tiny.folder, 'whole');
  await cp(tiny.data, whole, { recursive: true });
  t.is((await start(t, 'gradloom', up(tiny, '--epochs=1')).ended).code, 0);
  await truncate(join(tiny.data, 'test_batch.bin'), 10);
  const { code, stderr } = await start(t, 'gradloom', up(tiny, '--epochs=1')).ended;
  t.is(code, 2);
  t.regex(stderr.join('\n'), /^gradloom: .*test_batch\.bin has 10 bytes[^\n]*$/);
});
