// Training over a slow link: two peers (nodes with both roles) on two hosts, which are network namespaces with a link
// between them that carries so many Mbit/s each way (Linux, root, `ip` and `tc`).
//   goodput: a gradient of 256 MiB between stub nodes, round by round: payload that one host sends over the time of
//     whoever takes longer, beside the link's rate
//   --delay-ms: a proxy before each peer holds what passes back that long, each way
//   per case (codec and consistency): accuracy after training on loopback, unthrottled; time of a step on the link;
//   and from both the time to an accuracy, which is the steps to it times the time of a step.
// `ddp` is PyTorch's DistributedDataParallel over gloo with the same model on the same two hosts (slow-link-ddp.py);
// its steps to an accuracy are those of fp32, which computes the same.
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { Child, type ChildEvent, explain } from '../../deploy/children.js';
import { EXIT, UserError } from '../../shared/errors.js';
import { BLOCK_ELEMENTS_MAX } from '../../shared/limits.js';
import { type Host, limitRate, namespacesMissing, twoHosts } from '../helpers/network-namespaces.js';
import { resultsFolder, type Started, StubNodes, startProcess } from './processes.js';
import { type BenchOptions, type Result, Series } from './result.js';

const SAMPLES_PER_WORKER = 32;
const PORT = 50_051;
/** Where a host's delaying proxy stands, which is the address that its peer advertises. */
const PROXY_PORT = 50_052;
const CASES: Readonly<Record<string, readonly string[]>> = {
  fp32: ['--codec=fp32'],
  fp16: ['--codec=fp16'],
  bf16: ['--codec=bf16'],
  int8: ['--codec=int8'],
  // These two do not go with the job's own Adam.
  topk: ['--codec=topk', '--optimizer=momentum', '--learning-rate=0.02'],
  sign: ['--codec=sign', '--optimizer=momentum', '--learning-rate=0.01'],
  'local-20': ['--codec=fp16', '--consistency=local', '--local-steps=20'],
  'local-100': ['--codec=fp16', '--consistency=local', '--local-steps=100'],
};
/** Blocks of a round of the goodput: it begins and ends with the way of one block there and back, which fills no link. */
const GOODPUT_BLOCKS = 256;
/** Before TCP has found its rate nothing is counted. */
const GOODPUT_SETTLING_ROUNDS = 4;
const GOODPUT_ROUNDS = 4;

export interface SlowLinkBenchOptions extends BenchOptions {
  data?: string;
  cache?: string;
  epochs?: number;
  /** Of the link, each way. */
  rateMbit?: number;
  /** Added to the link each way. */
  delayMs?: number;
  /** Names of CASES, separated by commas; all by default, and ddp. */
  cases?: string;
}

interface Epoch {
  step: number;
  accuracy: number;
}

const common = ({ data, cache }: SlowLinkBenchOptions): string[] => [
  ...(data ? [`--data=${data}`] : []),
  ...(cache ? [`--cache=${cache}`] : []),
];

/** Where others reach the peer of a host. */
const reachable = ({ address }: Host, { delayMs }: SlowLinkBenchOptions): string =>
  `${address}:${delayMs ? PROXY_PORT : PORT}`;

/** Where the peer of a host listens, and says that it does. */
const placeOf = (host: Host, options: SlowLinkBenchOptions): string[] => [
  `--listen=${host.address}:${PORT}`,
  ...(options.delayMs ? [`--advertise=${reachable(host, options)}`] : []),
];

/** A proxy on a host, which delays what goes through the link to its peer and back. */
const startProxy = (host: Host, options: SlowLinkBenchOptions): Promise<Started> =>
  startProcess(
    `proxy at ${host.address}`,
    'test/helpers/proxy-process.js',
    [
      `--target=${host.address}:${PORT}`,
      `--listen=${reachable(host, options)}`,
      `--delay-ms=${options.delayMs}`,
    ],
    undefined,
    host.through,
  );

/** Accuracy after each epoch, on loopback. */
async function train(flags: readonly string[], options: SlowLinkBenchOptions): Promise<Epoch[]> {
  const epochs: Epoch[] = [];
  const batch = `--batch=${2 * SAMPLES_PER_WORKER}`;
  const all = ['up', '--json', '--peers=2', batch, ...flags, ...common(options), `--out=${resultsFolder()}`];
  if (options.epochs) all.push(`--epochs=${options.epochs}`);
  const child = new Child('gradloom up', 'deploy/gradloom.js', all, (event) => {
    if (event.event === 'epoch')
      epochs.push({ step: event.step as number, accuracy: 100 * (event.accuracy as number) });
  });
  try {
    const exit = await child.exited;
    if (exit.code !== EXIT.done) throw explain(exit);
    return epochs;
  } finally {
    await child.stop();
  }
}

/** Seconds of a step between two hosts. */
async function stepSeconds(
  hosts: readonly [Host, Host],
  flags: readonly string[],
  options: SlowLinkBenchOptions,
  steps: number,
): Promise<number> {
  const seen = new Map<number, number>();
  let measured: (() => void) | undefined;
  const enough = new Promise<void>((resolve) => {
    measured = resolve;
  });
  let serving: (() => void) | undefined;
  const served = new Promise<void>((resolve) => {
    serving = resolve;
  });
  const onEvent = (event: ChildEvent) => {
    if (event.event === 'serving') serving?.();
    if (event.event !== 'step') return;
    seen.set(event.step as number, event.seconds as number);
    if (seen.size > steps) measured?.();
  };
  const start = (host: Host, keeper?: Host) => {
    const own = ['--serve', ...placeOf(host, options), '--insecure', '--json', '--workers=2'];
    const run = [`--batch=${2 * SAMPLES_PER_WORKER}`, '--epochs=1000', `--out=${resultsFolder()}`];
    const all = [...own, ...run, ...flags, ...common(options)];
    if (keeper) all.push(`--join=${reachable(keeper, options)}`);
    return new Child(`peer at ${host.address}`, 'deploy/gradloom-worker.js', all, onEvent, host.through);
  };
  const children = [start(hosts[0])];
  try {
    const died = (child: Child) => child.exited.then((exit) => Promise.reject(explain(exit)));
    await Promise.race([served, died(children[0])]);
    children.push(start(hosts[1], hosts[0]));
    await Promise.race([enough, ...children.map(died)]);
    // The first report warms up: connections, windows, compiled code.
    const [first, ...rest] = [...seen];
    const last = rest[rest.length - 1];
    return (last[1] - first[1]) / (last[0] - first[0]);
  } finally {
    await Promise.all(children.map((child) => child.stop('SIGINT')));
  }
}

/** Mbit/s of payload that one host sends, of each round. */
async function goodput(
  hosts: readonly [Host, Host],
  options: SlowLinkBenchOptions,
  blocks: number,
  rounds: number,
): Promise<number[]> {
  const peers = new StubNodes();
  const flags = ['--serve', '--codec=fp16', '--optimizer=sgd', `--elements=${blocks * BLOCK_ELEMENTS_MAX}`];
  flags.push(`--warm-up=${options.small ? 1 : GOODPUT_SETTLING_ROUNDS}`);
  try {
    await peers.start([...flags, ...placeOf(hosts[0], options)], hosts[0].through);
    const join = `--join=${reachable(hosts[0], options)}`;
    await peers.start([...flags, ...placeOf(hosts[1], options), join], hosts[1].through);
    await peers.warm();
    const rates: number[] = [];
    while (rates.length < rounds) {
      const said = await peers.rounds(1);
      const ms = Math.max(...said.map((node) => node.ms as number));
      rates.push((8 * (said[0].sentBytes as number)) / ms / 1000);
    }
    return rates;
  } finally {
    await peers.stop();
  }
}

/** Seconds of a step of PyTorch's DDP between two hosts; undefined where there is no PyTorch. */
async function ddpSeconds(hosts: readonly [Host, Host], steps: number): Promise<number | undefined> {
  const script = fileURLToPath(new URL('../../../test/bench/slow-link-ddp.py', import.meta.url));
  for (const python of ['python3', '/usr/bin/python3']) {
    const { exitCode } = await execa(python, ['-c', 'import torch'], { reject: false });
    if (exitCode !== 0) continue;
    const ranks = hosts.map(({ through: [command, ...rest], address }, rank) =>
      execa(command, [...rest, python, script, String(rank), hosts[0].address, address, String(steps)], {
        env: { OMP_NUM_THREADS: '1' },
      }),
    );
    const [{ stdout }] = await Promise.all(ranks);
    return Number(stdout.trim().split('\n').at(-1));
  }
  return undefined;
}

/** Runs the bench; `small` only shows that it works. */
export async function run(options: SlowLinkBenchOptions): Promise<Result[]> {
  const missing = namespacesMissing();
  if (missing) throw new UserError(`slow-link: expected network namespaces (Linux, root), got: ${missing}`);
  const rateMbit = options.rateMbit ?? 100;
  // With a delay the link alone is measured, unless cases are named: DDP does not go through the proxies.
  const everything = options.delayMs !== undefined ? [] : [...Object.keys(CASES), 'ddp'];
  const names = options.cases?.split(',') ?? everything;
  if (options.delayMs && names.includes('ddp'))
    throw new UserError('--cases: ddp cannot be measured with --delay-ms; leave one of them out');
  for (const name of names)
    if (!(name in CASES) && name !== 'ddp')
      throw new UserError(`--cases: expected names of ${Object.keys(CASES).join(', ')}, ddp, got "${name}"`);
  const [steps, blocks] = options.small ? [2, 2] : [12, GOODPUT_BLOCKS];
  const series = new Series('slow-link');
  const down: (() => void)[] = [];
  const hosts = twoHosts({ teardown: (end) => down.push(end as () => void) });
  const proxies: Started[] = [];
  try {
    for (const host of hosts) limitRate(host, rateMbit);
    if (options.delayMs) for (const host of hosts) proxies.push(await startProxy(host, options));
    for (let repeat = 0; repeat < options.repeats; repeat++) {
      await options.between?.();
      for (const rate of await goodput(hosts, options, blocks, options.small ? 1 : GOODPUT_ROUNDS)) {
        series.add('link', 'goodput', 'Mbit/s', rate);
        series.add('link', 'ofRate', '%', (100 * rate) / rateMbit);
      }
    }
    const trained = new Map<string, Epoch[]>();
    const seconds = new Map<string, number>();
    for (const name of names) {
      if (name !== 'ddp') trained.set(name, await train(CASES[name], options));
      for (let repeat = 0; repeat < options.repeats; repeat++) {
        const step =
          name === 'ddp'
            ? await ddpSeconds(hosts, steps)
            : await stepSeconds(hosts, CASES[name], options, steps);
        if (step === undefined) continue;
        series.add(name, 'step', 'ms', 1000 * step);
        seconds.set(name, Math.min(step, seconds.get(name) ?? Infinity));
      }
    }
    for (const [name, epochs] of trained)
      series.add(name, 'accuracy', '%', epochs[epochs.length - 1].accuracy);
    const reference = trained.get('fp32');
    if (!reference) return series.results();
    if (seconds.has('ddp')) trained.set('ddp', reference);
    // Half a point under what exact gradients reach.
    const wanted = reference[reference.length - 1].accuracy - 0.5;
    for (const [name, epochs] of trained) {
      const reached = epochs.find(({ accuracy }) => accuracy >= wanted);
      const step = seconds.get(name);
      if (reached && step) series.add(name, 'timeToAccuracy', 's', reached.step * step);
    }
    return series.results();
  } finally {
    for (const { child } of proxies) await child.stop();
    for (const end of down) end();
  }
}
