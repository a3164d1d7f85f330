// The door for options: where values come from, what they become, and what is refused with which sentence.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { metricsAddress } from '../../../shared/config/check-place.js';
import { GRADLOOM, SERVER, UP, WORKER } from '../../../shared/config/commands.js';
import { variableOf } from '../../../shared/config/option.js';
import { OPTIONS } from '../../../shared/config/options.js';
import {
  type CommandDefinition,
  type Picked,
  parseOptions,
  withoutOptions,
} from '../../../shared/config/parse.js';
import { parseProgram } from '../../../shared/config/program.js';
import { UserError } from '../../../shared/errors.js';
import { SHARD_MEMORY_MAX_BYTES } from '../../../shared/limits.js';

const COMMANDS = [...Object.values(GRADLOOM.commands), SERVER, WORKER] as unknown as CommandDefinition[];

let folder: string;
let files = 0;
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gradloom-config-'));
});
test.after.always(() => rm(folder, { recursive: true, force: true }));

async function configFile(content: unknown): Promise<string> {
  const file = join(folder, `config-${files++}.json`);
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

async function run<P extends Picked>(
  command: CommandDefinition<P>,
  argv: string[],
  environment: Record<string, string> = {},
) {
  const result = await parseOptions(command, argv, environment);
  if (result.kind !== 'run') throw new Error(`expected a run, got ${result.kind}`);
  return result;
}

test('a value comes from the flag, else the environment, else the config file, else the default', async (t) => {
  const config = await configFile({ epochs: 2, batch: 32, seed: 9 });
  const { options, sources } = await run(UP, ['--epochs', '4', '--config', config], {
    GRADLOOM_EPOCHS: '3',
    GRADLOOM_BATCH: '16',
  });
  t.is(options.epochs, 4);
  t.is(options.batch, 16);
  t.is(options.seed, 9);
  t.is(options.workers, 2);
  t.is(options.learningRate, undefined);
  t.deepEqual(sources.epochs, { kind: 'flag' });
  t.deepEqual(sources.batch, { kind: 'environment', variable: 'GRADLOOM_BATCH' });
  t.deepEqual(sources.seed, { kind: 'config', file: config });
  t.deepEqual(sources.workers, { kind: 'default' });
});

test('the defaults of the contract hold', async (t) => {
  const { options } = await run(UP, []);
  t.like(options, {
    servers: 2,
    workers: 2,
    job: 'cifar10',
    batch: 64,
    codec: 'fp16',
    consistency: 'bsp',
    seed: 1,
    out: 'runs/',
    json: false,
    data: undefined,
    epochs: undefined,
    optimizer: undefined,
    backend: undefined,
    summary: undefined,
  });
});

test('what a run was set to, written as a config file, sets it to the same again', async (t) => {
  const argv = [
    '--join',
    '[::1]:7',
    '--memory',
    '512',
    '--metrics',
    '127.0.0.1:0',
    '--log-level',
    'debug',
    '--json',
  ];
  const first = await run(SERVER, argv);
  const second = await run(SERVER, ['--config', await configFile(first.plain)]);
  t.deepEqual({ ...second.options, config: undefined }, first.options);
  t.deepEqual(second.plain, first.plain);
});

test('values are compiled: addresses read, sizes in bytes, times in milliseconds', async (t) => {
  const server = await run(SERVER, ['--memory', '100', '--listen', '[::1]:0']);
  t.is(server.options.memoryBytes, 100 * 1024 * 1024);
  t.deepEqual(server.options.listen, { host: '::1', port: 0 });
  t.deepEqual(metricsAddress(server.options), { host: '::1', port: 0 });
  const worker = await run(WORKER, ['--join', 'localhost:1', '--peer-deadline', '2.5']);
  t.is(worker.options.peerDeadlineMs, 2500);
  t.deepEqual(metricsAddress(worker.options), { host: '127.0.0.1', port: 0 });
  t.is((await run(SERVER, [])).options.memoryBytes, SHARD_MEMORY_MAX_BYTES);
});

test('numbers may be negative, zero and in exponents where the option allows it', async (t) => {
  const { options } = await run(UP, ['--seed', '-7', '--learning-rate', '1e-3']);
  t.is(options.seed, -7);
  t.is(options.learningRate, 0.001);
  t.is((await run(UP, ['--seed=0'])).options.seed, 0);
});

test('an empty variable is unset, and a switch in the environment may be off', async (t) => {
  const { options } = await run(UP, [], { GRADLOOM_EPOCHS: '', GRADLOOM_JSON: 'off' });
  t.is(options.epochs, undefined);
  t.false(options.json);
  t.true((await run(UP, [], { GRADLOOM_JSON: '1' })).options.json);
});

test('a variable that is nearly ours is named in a warning, others are left alone', async (t) => {
  const { warnings } = await run(UP, [], {
    GRADLOOM_EPOCH: '3',
    GRADLOOM_LISTEN: '127.0.0.1:1',
    GRADLOOM_SERVER_SERVICE_HOST: '10.0.0.1',
    PATH: '/bin',
  });
  t.deepEqual(warnings, [
    'The environment variable GRADLOOM_EPOCH is unknown and ignored; did you mean GRADLOOM_EPOCHS?',
  ]);
});

test('a child that gets flags gets none of our variables', (t) => {
  t.deepEqual(withoutOptions({ PATH: '/bin', GRADLOOM_EPOCHS: '3', GRADLOOM_LOG_LEVEL: 'debug' }), {
    PATH: '/bin',
  });
});

const mistakes: [string, CommandDefinition<never>, string[], Record<string, string>, string][] = [
  [
    'a flag that is nearly right',
    UP,
    ['--epoch', '3'],
    {},
    'gradloom up: there is no option --epoch; did you mean --epochs?',
  ],
  [
    'a flag that is nothing',
    UP,
    ['--banana'],
    {},
    'gradloom up: there is no option --banana; see "gradloom up --help"',
  ],
  [
    'a switch with a value',
    UP,
    ['--json=1'],
    {},
    'gradloom up: --json takes no value, got --json=1; give --json alone',
  ],
  [
    'a word that is no option',
    UP,
    ['--epochs', '3', 'five'],
    {},
    'gradloom up: expected only options, got "five"; see "gradloom up --help"',
  ],
  [
    'a flag without its value',
    UP,
    ['--epochs'],
    {},
    'gradloom up: --epochs expects <N>, got nothing after it; see "gradloom up --help"',
  ],
  [
    'a flag where a value belongs',
    UP,
    ['--out', '--json'],
    {},
    '--out: expected a value, got the next option --json; put the value between them',
  ],
  [
    'text for a number',
    UP,
    ['--epochs', 'five'],
    {},
    '--epochs: expected a whole number from 1 to 1000000, got "five"; give for example --epochs 5',
  ],
  [
    'no passes at all',
    UP,
    ['--epochs', '0'],
    {},
    '--epochs: expected a whole number from 1 to 1000000, got "0"; give for example --epochs 5',
  ],
  [
    'half a pass',
    UP,
    [],
    { GRADLOOM_EPOCHS: '1.5' },
    'GRADLOOM_EPOCHS: expected a whole number from 1 to 1000000, got "1.5"; give for example GRADLOOM_EPOCHS=5',
  ],
  [
    'an infinite learning rate',
    UP,
    ['--learning-rate', 'Infinity'],
    {},
    '--learning-rate: expected a number above 0, got "Infinity"; give for example --learning-rate 0.001',
  ],
  [
    'a learning rate of 1e999',
    UP,
    ['--learning-rate', '1e999'],
    {},
    '--learning-rate: expected a number above 0, got "1e999"; give for example --learning-rate 0.001',
  ],
  [
    'a learning rate of zero',
    UP,
    ['--learning-rate', '0'],
    {},
    '--learning-rate: expected a number above 0, got "0"; give for example --learning-rate 0.001',
  ],
  [
    'a seed that loses digits',
    UP,
    ['--seed', '9007199254740993'],
    {},
    '--seed: expected a whole number of at most 53 bits, got "9007199254740993"; give for example --seed 7',
  ],
  [
    'a decay of weights where the optimizer has none',
    UP,
    ['--optimizer', 'adam', '--weight-decay', '0.1'],
    {},
    '--weight-decay: expected --optimizer adamw, lion or lamb beside it, got adam; give --l2 for a penalty in the gradient',
  ],
  [
    'a decay without a schedule',
    UP,
    ['--decay-steps', '10'],
    {},
    '--decay-steps: expected --schedule step or cosine or polynomial beside it, got none; give both or leave it out',
  ],
  [
    'a decay that the schedule does not take',
    UP,
    ['--schedule', 'cosine'],
    { GRADLOOM_DECAY_RATE: '0.5' },
    'GRADLOOM_DECAY_RATE: expected --schedule step beside it, got cosine; give both or leave it out',
  ],
  [
    'falls of the learning rate without a number of steps',
    WORKER,
    ['--join', 'localhost:1', '--schedule', 'step'],
    {},
    '--schedule: expected --decay-steps N beside step, got none; give the steps from one fall to the next',
  ],
  [
    'an end of the decay that is its start',
    UP,
    ['--schedule', 'cosine', '--decay-end', '1'],
    {},
    '--decay-end: expected a number of 0 or more, below 1, got "1"; give for example --decay-end 0.1',
  ],
  [
    'a clip at zero',
    UP,
    ['--clip-value', '0'],
    {},
    '--clip-value: expected a number above 0, got "0"; give for example --clip-value 1',
  ],
  [
    'a norm to clip at of zero',
    UP,
    ['--clip-norm', '0'],
    {},
    '--clip-norm: expected a number above 0, got "0"; give for example --clip-norm 1',
  ],
  [
    'clipping by norm where workers do not share a step',
    UP,
    ['--clip-norm', '1', '--consistency', 'asp'],
    {},
    '--clip-norm: expected --consistency bsp or local beside it, got asp; norms of the whole gradient need a step that all blocks share',
  ],
  [
    'a limit of gradients below zero',
    UP,
    ['--gradient-limit', '-1'],
    {},
    '--gradient-limit: expected a number above 0, got "-1"; give for example --gradient-limit 1000',
  ],
  [
    'micro-batches of peers without a sample each',
    UP,
    ['--peers', '4', '--batch', '8', '--accumulate', '3'],
    {},
    '--accumulate: expected at least one sample for each of 3 micro-batches of 4 workers, got a batch of 8; give --batch 12 or more, or fewer micro-batches',
  ],
  [
    'a codec that does not exist',
    UP,
    ['--codec', 'fp8'],
    {},
    '--codec: expected one of fp32, fp16, bf16, int8, topk, sign, got "fp8"; give for example --codec fp16',
  ],
  [
    'a percentage of a codec that has none',
    UP,
    ['--top-k', '5'],
    {},
    '--top-k: expected codec topk with it, got fp16; add --codec topk, or leave it out',
  ],
  [
    'a rounding of a codec that has none',
    UP,
    ['--rounding', 'stochastic'],
    {},
    '--rounding: expected codec int8 with it, got fp16; add --codec int8, or leave it out',
  ],
  [
    'a warm-up of a codec that has none',
    UP,
    ['--codec', 'sign', '--top-k-warmup-steps', '5'],
    {},
    '--top-k-warmup-steps: expected codec topk with it, got sign; add --codec topk, or leave it out',
  ],
  [
    'a percentage that is more than int8 takes',
    UP,
    ['--codec', 'topk', '--top-k', '26'],
    {},
    '--top-k: expected a percentage above 0 and at most 25, got "26"; give for example --top-k 1',
  ],
  [
    'a codec that does not go with the consistency',
    UP,
    ['--codec', 'int8', '--consistency', 'ssp', '--staleness', '2'],
    {},
    '--codec: codec int8 expects consistency bsp, got ssp: new parameters travel as differences, ' +
      'which every worker must receive once and in order; take it, or another codec',
  ],
  [
    'a codec that does not go with the optimizer',
    UP,
    ['--codec', 'sign', '--optimizer', 'adam'],
    {},
    '--codec: codec sign expects optimizer sgd or momentum, got adam: all elements of a block have one magnitude, ' +
      'of which a second moment learns nothing (Tang et al., "1-bit Adam", ICML 2021); take one of them, or another codec',
  ],
  [
    'a consistency that does not exist',
    UP,
    ['--consistency', 'psp'],
    {},
    '--consistency: expected one of bsp, ssp, asp, local, got "psp"; give for example --consistency bsp',
  ],
  [
    'ssp without a bound',
    UP,
    ['--consistency', 'ssp'],
    {},
    '--consistency: ssp expects a bound, got no --staleness; give for example --staleness 3, or asp for none',
  ],
  [
    'a staleness without ssp',
    UP,
    ['--staleness', '3', '--consistency', 'asp'],
    {},
    '--staleness: expected only with --consistency ssp, got it with asp; leave it out, or give --consistency ssp',
  ],
  [
    'a staleness beside the default consistency of a worker',
    WORKER,
    ['--join', '127.0.0.1:50051'],
    { GRADLOOM_STALENESS: '0' },
    'GRADLOOM_STALENESS: expected only with --consistency ssp, got it with bsp; leave it out, or give --consistency ssp',
  ],
  [
    'as many backup workers as workers',
    UP,
    ['--workers', '2', '--backup-workers', '2'],
    {},
    '--backup-workers: expected fewer backup workers than the 2 workers, got 2; a step takes the contributions of the others',
  ],
  [
    'as many backup workers as peers',
    UP,
    ['--peers', '1', '--backup-workers', '1'],
    {},
    '--backup-workers: expected fewer backup workers than the 1 workers, got 1; a step takes the contributions of the others',
  ],
  [
    'backup workers without bsp',
    WORKER,
    ['--join', '127.0.0.1:50051', '--workers', '3', '--consistency', 'asp'],
    { GRADLOOM_BACKUP_WORKERS: '1' },
    'GRADLOOM_BACKUP_WORKERS: expected consistency bsp with backup workers, got asp; take it, or leave them out',
  ],
  [
    'backup workers with a lossy codec',
    UP,
    ['--workers', '3', '--backup-workers', '1', '--codec', 'int8'],
    {},
    '--backup-workers: codec int8 expects no backup workers: new parameters travel as differences, and a worker that ' +
      'steps go on without would have to be sent the differences of all of them, however far it is behind; ' +
      'leave them out, or take fp32, fp16 or bf16',
  ],
  [
    'local without its steps',
    UP,
    [],
    { GRADLOOM_CONSISTENCY: 'local' },
    'GRADLOOM_CONSISTENCY: local needs the number of steps between two exchanges, got none; give for example --local-steps 20',
  ],
  [
    'local steps without local',
    UP,
    ['--local-steps', '20'],
    {},
    '--local-steps: expected consistency local beside it, got bsp; add --consistency local, or leave it out',
  ],
  [
    'an outer optimizer without local',
    WORKER,
    ['--join', 'localhost:1', '--outer-momentum', '0.5'],
    { GRADLOOM_CONSISTENCY: 'bsp' },
    '--outer-momentum: expected consistency local beside it, got bsp; add --consistency local, or leave it out',
  ],
  [
    'an outer learning rate without local',
    UP,
    [],
    { GRADLOOM_OUTER_LEARNING_RATE: '0.7' },
    'GRADLOOM_OUTER_LEARNING_RATE: expected consistency local beside it, got bsp; add --consistency local, or leave it out',
  ],
  [
    'no local steps at all',
    UP,
    ['--consistency', 'local', '--local-steps', '0'],
    {},
    '--local-steps: expected a whole number from 1 to 2000, got "0"; give for example --local-steps 20',
  ],
  [
    'an outer momentum of 1',
    UP,
    ['--consistency', 'local', '--local-steps', '2', '--outer-momentum', '1'],
    {},
    '--outer-momentum: expected a number from 0 to below 1, got "1"; give for example --outer-momentum 0.9',
  ],
  [
    'a switch that is neither on nor off',
    UP,
    [],
    { GRADLOOM_JSON: 'maybe' },
    'GRADLOOM_JSON: expected true or false, got "maybe"; give for example GRADLOOM_JSON=true',
  ],
  [
    'fewer samples than workers',
    UP,
    ['--workers', '4'],
    { GRADLOOM_BATCH: '3' },
    'GRADLOOM_BATCH: expected at least one sample for each of the 4 workers, got 3; give 4 or more, or fewer with --workers',
  ],
  [
    'a worker without a mesh',
    WORKER,
    [],
    {},
    'gradloom-worker: expected --join HOST:PORT, got none; give it as a flag, as GRADLOOM_JOIN or in --config, for example --join 10.0.0.1:50051',
  ],
  [
    'where to listen, without serving',
    WORKER,
    ['--join', '10.0.0.1:50051', '--insecure'],
    { GRADLOOM_LISTEN: '127.0.0.1:0' },
    'GRADLOOM_LISTEN: only a worker that serves has it; add --serve, or leave it out',
  ],
  [
    'a peer that joins itself',
    WORKER,
    ['--serve', '--listen', '127.0.0.1:7000', '--join', '127.0.0.1:7000'],
    {},
    "--join: expected another server, got this one's own address 127.0.0.1:7000; leave --join out for the first server",
  ],
  [
    'peers and workers',
    UP,
    ['--peers', '2', '--workers', '2'],
    {},
    '--workers: expected --servers and --workers, or --peers, got both; each peer is one server and one worker',
  ],
  [
    'fewer samples than peers',
    UP,
    ['--peers', '4', '--batch', '3'],
    {},
    '--batch: expected at least one sample for each of the 4 workers, got 3; give 4 or more, or fewer with --peers',
  ],
  [
    'an address without a port',
    WORKER,
    ['--join', 'localhost'],
    {},
    '--join: expected HOST:PORT, got "localhost" (the port is missing); give for example --join 10.0.0.1:50051',
  ],
  [
    'port 0 to connect to',
    WORKER,
    ['--join', 'localhost:0'],
    {},
    '--join: expected HOST:PORT, got "localhost:0" (port 0 is for listening, not for connecting); give for example --join 10.0.0.1:50051',
  ],
  [
    'a connection to another machine without --insecure',
    WORKER,
    ['--join', '10.0.0.1:1'],
    {},
    '--join: a connection to 10.0.0.1:1 would be neither encrypted nor authenticated; add --insecure if the network can be trusted, or use 127.0.0.1',
  ],
  [
    'a deadline of half a second',
    WORKER,
    ['--join', 'localhost:1', '--peer-deadline', '0.5'],
    {},
    '--peer-deadline: expected seconds from 1 to 3600, got "0.5"; give for example --peer-deadline 20',
  ],
  [
    'listening on a network without --insecure',
    SERVER,
    ['--listen', '10.0.0.1:0'],
    {},
    '--listen: listening on 10.0.0.1:0 would be neither encrypted nor authenticated; add --insecure if the network can be trusted, or use 127.0.0.1',
  ],
  [
    'metrics on a network without --insecure',
    SERVER,
    ['--metrics', '10.0.0.1:0'],
    {},
    '--metrics: listening on 10.0.0.1:0 would be neither encrypted nor authenticated; add --insecure if the network can be trusted, or use 127.0.0.1',
  ],
  [
    'listening everywhere without an address for others',
    SERVER,
    ['--listen', '0.0.0.0:1', '--insecure'],
    {},
    '--listen: 0.0.0.0:1 is every address of this machine; say with --advertise HOST:PORT which one others shall use',
  ],
  [
    'a server that joins itself',
    SERVER,
    ['--join', '127.0.0.1:50051'],
    {},
    "--join: expected another server, got this one's own address 127.0.0.1:50051; leave --join out for the first server",
  ],
  [
    'memory beyond 32 bits',
    SERVER,
    ['--memory', '5000'],
    {},
    '--memory: expected a whole number of MiB from 16 to 4096, got "5000"; give for example --memory 1024',
  ],
] as unknown as [string, CommandDefinition<never>, string[], Record<string, string>, string][];
for (const [title, command, argv, environment, message] of mistakes) {
  test(`${title} is refused in one line`, async (t) => {
    const error = await t.throwsAsync(parseOptions(command, argv, environment), { instanceOf: UserError });
    t.is(error?.message, message);
    t.is(error?.exitStatus, 2);
  });
}

const badFiles: [string, unknown, (file: string) => string][] = [
  [
    'a key that is nearly right',
    { epoch: 3 },
    (file) => `Unknown key "epoch" in ${file}: did you mean "epochs"?; keys are`,
  ],
  [
    'a key in camel case',
    { learningRate: 3 },
    (file) => `Unknown key "learningRate" in ${file}: did you mean "learning-rate"?`,
  ],
  [
    'a key of another command',
    { listen: 'a:1' },
    (file) => `Unknown key "listen" in ${file}: gradloom up has no such option`,
  ],
  [
    'a prototype for a key',
    '{"__proto__": 1}',
    (file) => `Unknown key "__proto__" in ${file}: gradloom up has no such option`,
  ],
  [
    'text for a number',
    { epochs: '3' },
    (file) =>
      `"epochs" in ${file}: expected a whole number from 1 to 1000000, got "3"; give for example "epochs": 5`,
  ],
  [
    'null',
    { epochs: null },
    (file) => `"epochs" in ${file}: expected a whole number from 1 to 1000000, got null; give`,
  ],
  ['a list', [1], (file) => `The config file ${file} must hold one JSON object, like {"epochs": 5}, got [1]`],
  [
    'broken JSON',
    '{\n  "epochs": 5,\n}',
    (file) =>
      `The config file is not valid JSON: ${file}:3:1: expected a key in double quotes; mend it there`,
  ],
  [
    'another config file',
    { config: 'x' },
    (file) => `"config" in ${file}: a config file cannot name another one`,
  ],
  [
    'fewer samples than workers',
    { batch: 1 },
    (file) => `"batch" in ${file}: expected at least one sample for each of the 2 workers, got 1`,
  ],
];
for (const [title, content, message] of badFiles) {
  test(`${title} in the config file is refused with the file's name`, async (t) => {
    const file = await configFile(content);
    const error = await t.throwsAsync(parseOptions(UP, ['--config', file], {}), { instanceOf: UserError });
    t.true(error?.message.startsWith(message(file)), error?.message);
    t.false(error?.message.includes('\n'));
  });
}

test('a config file that is not there, is a folder or is huge is refused', async (t) => {
  const none = join(folder, 'none.json');
  await t.throwsAsync(parseOptions(UP, ['--config', none], {}), {
    message: /Cannot read .*none\.json: it does not exist/,
  });
  await t.throwsAsync(parseOptions(UP, ['--config', folder], {}), { message: /it is a folder/ });
  const huge = await configFile(' '.repeat(2 ** 20 + 1));
  await t.throwsAsync(parseOptions(UP, ['--config', huge], {}), {
    message: /has 1048577 bytes, expected at most 1048576/,
  });
});

for (const command of COMMANDS) {
  test(`the help of ${command.name} names every option, and its examples are accepted`, async (t) => {
    const result = await parseOptions(command, ['--help'], {});
    if (result.kind !== 'print') return t.fail('expected text');
    for (const { flag } of Object.values(command.options)) t.true(result.text.includes(`--${flag}`), flag);
    const words = command.name.split(' ').length;
    for (const { line } of command.examples) {
      t.true(result.text.includes(line));
      await t.notThrowsAsync(parseOptions(command, line.split(' ').slice(words), {}), line);
    }
  });
}

test('--version prints the version and goes before everything else', async (t) => {
  const result = await parseOptions(WORKER, ['--version'], {});
  t.true(result.kind === 'print' && /^\d+\.\d+\.\d+\n$/.test(result.text));
  t.deepEqual(await parseProgram(GRADLOOM, ['--version'], {}), result);
});

test('a program finds its command and refuses what is none', async (t) => {
  const result = await parseProgram(GRADLOOM, ['up', '--epochs', '2'], {});
  if (result.kind !== 'run' || result.command !== 'up') return t.fail();
  t.is(result.options.epochs, 2);
  await t.throwsAsync(parseProgram(GRADLOOM, [], {}), {
    message:
      'gradloom: expected a command (up, status, why-slow, set, drain), got none; see "gradloom --help"',
  });
  await t.throwsAsync(parseProgram(GRADLOOM, ['satus'], {}), {
    message:
      'gradloom: expected a command (up, status, why-slow, set, drain), got "satus"; did you mean "gradloom status"?',
  });
  const help = await parseProgram(GRADLOOM, ['--help'], {});
  t.true(help.kind === 'print' && help.text.includes('gradloom up'));
});

test('every entry of the table accepts its own example and its own default', (t) => {
  const flags = new Set<string>();
  for (const option of Object.values(OPTIONS)) {
    t.false(flags.has(option.flag));
    flags.add(option.flag);
    t.true(option.schema.safeParse(option.example).success, option.flag);
    t.true(option.default === undefined || option.schema.safeParse(option.default).success, option.flag);
    t.true(option.required || option.default !== undefined || option.fallback !== undefined, option.flag);
    t.regex(variableOf(option.flag), /^GRADLOOM_[A-Z0-9_]+$/);
  }
});
