#!/usr/bin/env node
// npm run bench -- NAME: runs one bench and prints its figures, as a table or (--json) as one object a line. With
// --peer it measures another system in turn with ours.
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { codecByName, codecNames } from '../../shared/codec/registry.js';
import { EXIT, sentence, UserError } from '../../shared/errors.js';
import { fail, onStopSignal } from '../../shared/process.js';
import { measurePeer, type PeerRule } from './peer.js';
import { type BenchOptions, type Result, summarize } from './result.js';
import { table } from './table.js';

interface Bench {
  name: string;
  summary: string;
  repeats: number;
  /** Options of its own, passed to its module. */
  own?: readonly { flags: string; help: string; read?: (text: string) => unknown }[];
  peer: PeerRule;
}

const rate = (metric: string, unit: string): PeerRule => ({
  metric,
  unit,
  units: [unit],
  best: 'highest',
  sentence: `the highest median in ${unit} that the command prints ("median NUMBER ${unit}")`,
});
const data = { flags: '--data <path>', help: 'what to train on (default: the generated images)' };

const BENCHES: readonly Bench[] = [
  {
    name: 'exchange',
    summary: 'pushPull of 64 MiB of fp32 gradients with Adam on the server, per codec; a push stream alone',
    repeats: 5,
    own: [{ flags: '--codec <name>', help: 'only this codec (default: all)', read: codec }],
    peer: {
      metric: 'round',
      unit: 'ms',
      units: ['ms', 'ms/round'],
      best: 'lowest',
      kinds: { words: ['push', 'pull', 'pp'], same: /^pp .*\bopt=adam/ },
      sentence:
        'the lowest median in ms or ms/round that the command prints ("median NUMBER ms"); of lines that start with ' +
        'push, pull or pp only those of pp with opt=adam…, which push, step and pull as ours do',
    },
  },
  {
    name: 'peers',
    summary: 'two peers that sum 64 MiB of gradients and update what both hold, per codec and optimizer',
    repeats: 5,
    peer: {
      metric: 'rate',
      unit: 'GB/s',
      units: ['GB/s'],
      best: 'highest',
      kinds: { words: ['gloo'], same: /\b64 MiB\b/ },
      sentence:
        'the highest median in GB/s that the command prints ("median NUMBER GB/s"); of lines that start with gloo only ' +
        'those that say 64 MiB, which is what ours sums',
    },
  },
  {
    name: 'scaling',
    summary: 'CPU time of a step for 1-8 workers, 1-4 servers and 1-64 M parameters, and a model of it',
    repeats: 1,
    own: [
      {
        flags: '--up-to <n>',
        help: 'only up to so many workers and servers (at most 4), and 16 M parameters',
        read: whole,
      },
    ],
    peer: { metric: 'round', unit: 'ms', units: ['ms'], best: 'lowest', sentence: 'the lowest median in ms' },
  },
  {
    name: 'replicas',
    summary: 'pushPull of 64 MiB on two servers, with one copy and with two copies of each part of the model',
    repeats: 3,
    own: [{ flags: '--codec <name>', help: 'in place of fp16', read: codec }],
    peer: { metric: 'round', unit: 'ms', units: ['ms'], best: 'lowest', sentence: 'the lowest median in ms' },
  },
  {
    name: 'convergence',
    summary: 'test accuracy of the built-in job per consistency and per codec, beside exact gradients',
    repeats: 1,
    own: [
      data,
      { flags: '--epochs <n>', help: "of each training (default: the job's)", read: whole },
      { flags: '--cases <names>', help: 'only these, separated by commas (default: all)' },
    ],
    peer: rate('accuracy', '%'),
  },
  {
    name: 'straggler',
    summary: 'steps/s of three workers, one of them slow, under bsp, ssp and asp, and how stale they read',
    repeats: 3,
    peer: rate('rate', 'steps/s'),
  },
  {
    name: 'rows',
    summary:
      'rows/s that two workers train in an embedding table of 20 M x 16 on four servers, and their memory',
    repeats: 3,
    own: [{ flags: '--rows <n>', help: 'of the table (default: 20000000)', read: whole }],
    peer: rate('rate', 'rows/s'),
  },
  {
    name: 'snapshots',
    summary:
      'time and size of a snapshot, and of going on from the newest after kill -9 of everything, at random moments',
    repeats: 1,
    own: [
      { flags: '--kills <n>', help: 'how often (default: 10)', read: whole },
      { flags: '--steps <n>', help: 'from one snapshot to the next (default: 20)', read: whole },
    ],
    peer: { metric: 'written', unit: 's', units: ['s'], best: 'lowest', sentence: 'the lowest median in s' },
  },
  {
    name: 'slow-link',
    summary: 'two hosts with a slow link between them: time of a step and to an accuracy, per codec',
    repeats: 1,
    own: [
      data,
      {
        flags: '--epochs <n>',
        help: "of the training that gives the accuracy (default: the job's)",
        read: whole,
      },
      { flags: '--rate-mbit <n>', help: 'of the link, each way (default: 100)', read: whole },
      {
        flags: '--delay-ms <n>',
        help: 'added to the link, each way; without --cases only its goodput is measured (default: 0)',
        read: wholeOrZero,
      },
      { flags: '--cases <names>', help: 'only these, separated by commas (default: all)' },
    ],
    peer: rate('goodput', 'Mbit/s'),
  },
  {
    name: 'train',
    summary: 'samples/s of the CNN with 1 and 2 workers, and the phases of a step',
    repeats: 3,
    own: [data],
    peer: rate('throughput', 'samples/s'),
  },
  {
    name: 'kernels',
    summary: 'each numeric kernel beside its plain twin and the memory',
    repeats: 7,
    peer: rate('wasm', 'Melements/s'),
  },
  {
    name: 'backend',
    summary: 'training steps on the compute backends',
    repeats: 5,
    peer: rate('throughput', 'samples/s'),
  },
  {
    name: 'accuracy',
    summary: 'test accuracy of the mesh beside plain TensorFlow.js; repeats are seeds',
    repeats: 3,
    own: [
      data,
      { flags: '--epochs <n>', help: "passes over the training set (default: the job's)", read: whole },
    ],
    peer: rate('accuracy', '%'),
  },
];

function wholeOrZero(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('expected a whole number of 0 or more');
  return value;
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('expected a whole number of 1 or more');
  return value;
}

function codec(name: string): string {
  if (!codecByName(name)) throw new InvalidArgumentError(`expected one of ${codecNames.join(', ')}`);
  return name;
}

type Options = { json?: boolean; repeats: number; peer?: string } & Record<string, unknown>;

async function measure(bench: Bench, options: Options): Promise<void> {
  const { json, repeats, peer, ...own } = options;
  const module = (await import(new URL(`./${bench.name}.js`, import.meta.url).href)) as {
    run(options: BenchOptions): Promise<Result[]>;
  };
  const figures: number[] = [];
  const between = async () => {
    if (peer !== undefined) figures.push(await measurePeer(bench.peer, peer));
  };
  const results = await module.run({ ...own, repeats, small: false, between });
  // Ends as it began, with the peer, and measures it at least once where a bench gives it no turn of its own.
  await between();
  if (figures.length > 0)
    results.push(summarize(bench.name, 'peer', bench.peer.metric, bench.peer.unit, figures));
  if (json) for (const result of results) process.stdout.write(`${JSON.stringify(result)}\n`);
  else process.stdout.write(table(results));
}

async function main(): Promise<void> {
  const names = BENCHES.map(({ name }) => name);
  const [word] = process.argv.slice(2);
  if (word === undefined || (!word.startsWith('-') && word !== 'help' && !names.includes(word)))
    throw new UserError(
      `expected a bench of ${names.join(', ')}, got ${word === undefined ? 'none' : `"${word}"`}; see npm run bench -- --help`,
    );
  const program = new Command('bench').description('Measures gradloom on this machine.').exitOverride();
  program.configureOutput({ outputError: () => undefined });
  for (const bench of BENCHES) {
    const command = program
      .command(bench.name)
      .description(bench.summary)
      .option('--json', 'one JSON object a line')
      .option('--repeats <n>', 'how often each figure is measured', whole, bench.repeats)
      .option(
        '--peer <command>',
        `measures another system in turn with ours; its figure is case peer, metric ${bench.peer.metric}: ${bench.peer.sentence}`,
      )
      .action((options: Options) => measure(bench, options));
    for (const { flags, help, read = String } of bench.own ?? []) command.option(flags, help, read);
  }
  await program.parseAsync();
}

onStopSignal(() => process.exit(EXIT.interrupted));
main().catch((error) => {
  if (!(error instanceof CommanderError)) return fail(error, 'bench');
  if (error.exitCode === EXIT.done) process.exit(EXIT.done);
  return fail(new UserError(sentence(error).replace(/^error: /, '')), 'bench');
});
