// `npm run chaos -- --scenario NAME [--minutes M] [--seed S]`: faults on real processes. With --minutes the scenario is
// repeated, a seed after the other, until the time is over; `random` draws several faults for each run. Says what it does
// on stderr; the last line on stdout is a JSON object with the figures (with --json one more for each run before it).
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { EXIT, sentence, UserError } from '../../shared/errors.js';
import { fail, onStopSignal } from '../../shared/process.js';
import { keyedRandom } from '../../shared/random.js';
import { writeTinyData } from '../helpers/tiny-data.js';
import { jobPath } from '../helpers/tiny-run.js';
import type { Injected } from './inject.js';
import { randomScenario } from './random-scenario.js';
import {
  type Reference,
  type RoundResult,
  runReference,
  runScenario,
  type Workload,
} from './run-scenario.js';
import type { Scenario } from './scenario.js';
import { SCENARIOS } from './scenarios.js';

const RANDOM = 'random';

/** As they were given. */
interface Flags {
  scenario: string;
  minutes: string;
  seed: string;
  json?: boolean;
  small?: boolean;
  data?: string;
  epochs?: string;
}

interface Asked {
  scenario: string;
  minutes: number;
  seed: number;
  json: boolean;
  small: boolean;
  data?: string;
  epochs: number;
}

/** What was asked for, and by flag what it may be. Throws UserError; ends the process where help is asked for. */
function flags(): Flags {
  const names = Object.entries(SCENARIOS).map(([name, { summary }]) => `  ${name.padEnd(16)} ${summary}`);
  const program = new Command('chaos')
    .description(
      'Does faults to real processes that train, beside the same run without them, and judges what has held.',
    )
    .option('--scenario <name>', 'which faults', RANDOM)
    .option('--minutes <m>', 'repeats it, a seed after the other, until the time is over', '0')
    .option('--seed <s>', 'who is met, and when', '1')
    .option('--small', 'a model and data that only show that it works')
    .option('--data <path>', 'what the built-in job reads (default: a few images of its own)')
    .option('--epochs <n>', 'of each run (default: 8, with --small 60)')
    .option('--json', 'one JSON object for each run before the last line')
    .addHelpText(
      'after',
      `\nScenarios:\n${names.join('\n')}\n  ${RANDOM.padEnd(16)} several faults, drawn from the seed`,
    )
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  try {
    return program.parse().opts();
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === EXIT.done) process.exit(EXIT.done);
    throw new UserError(`${sentence(error).replace(/^error: /, '')}; see npm run chaos -- --help`);
  }
}

/** Throws UserError. */
function asked(): Asked {
  const values = flags();
  const { scenario, small = false, json = false } = values;
  const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
  const epochs = Number(values.epochs ?? (small ? 60 : 8));
  const names = [...Object.keys(SCENARIOS), RANDOM];
  if (!names.includes(scenario))
    throw new UserError(`--scenario: expected one of ${names.join(', ')}, got '${scenario}'`);
  if (!(minutes >= 0))
    throw new UserError(`--minutes: expected a number of at least 0, got ${values.minutes}`);
  if (!Number.isSafeInteger(seed)) throw new UserError(`--seed: expected a whole number, got ${values.seed}`);
  if (!Number.isInteger(epochs) || epochs < 6)
    throw new UserError(`--epochs: expected a whole number of at least 6, got ${values.epochs}`);
  return { ...values, scenario, minutes, seed, json, small, epochs };
}

/** The built-in CNN on images that are quickly made, 32 steps an epoch; small: a little model, eight steps. */
async function workloadIn(folder: string, { small, data, epochs }: Asked): Promise<Workload> {
  const batch = small ? 32 : 64;
  const read = data ?? (await writeTinyData(folder, (small ? 8 : 32) * batch, batch)).folder;
  return {
    epochs,
    flags: [
      `--job=${small ? jobPath('small') : 'cifar10'}`,
      `--data=${read}`,
      `--cache=${join(folder, 'cache')}`,
      `--batch=${batch}`,
      '--backend=wasm',
      '--log-level=warn',
    ],
  };
}

/** Bytes that were copied where a server was drained, beside those that it held: the least that can be. */
function movedIn(rounds: readonly RoundResult[]): object {
  const drains = rounds.flatMap(({ faults }) => faults).filter(({ kind }) => kind === 'drain');
  const sum = (of: (injected: Injected) => number | undefined) =>
    drains.reduce((total, injected) => total + (of(injected) ?? 0), 0);
  if (drains.length === 0) return {};
  return { movedBytes: sum(({ movedBytes }) => movedBytes), leastBytes: sum(({ leastBytes }) => leastBytes) };
}

/** What to say of all rounds together: the worst of each figure. */
function summaryOf({ scenario, seed, minutes }: Asked, rounds: readonly RoundResult[]): object {
  const worst = (of: (round: RoundResult) => number) => Number(Math.max(...rounds.map(of)).toFixed(3));
  const faults: Record<string, number> = {};
  for (const { kind } of rounds.flatMap((round) => round.faults)) faults[kind] = (faults[kind] ?? 0) + 1;
  const compared = rounds.flatMap(({ sameBits }) => sameBits ?? []);
  return {
    scenario,
    seed,
    minutes,
    rounds: rounds.length,
    faults,
    skipped: rounds.find(({ skipped }) => skipped)?.skipped,
    sameBits: compared.length > 0 ? compared.every(Boolean) : null,
    stepsLost: worst(({ stepsLost }) => stepsLost),
    secondsWithoutProgress: worst(({ secondsWithoutProgress }) => secondsWithoutProgress),
    stepSecondsMedian: worst(({ stepSecondsMedian }) => stepSecondsMedian),
    stepSecondsMax: worst(({ stepSecondsMax }) => stepSecondsMax),
    dip: worst(({ dip }) => dip),
    ...movedIn(rounds),
    memoryGrowth: worst(({ memory }) =>
      Math.max(1, ...memory.map(({ beginMiB, endMiB }) => endMiB / beginMiB)),
    ),
    memoryMaxMiB: worst(({ memory }) => Math.max(0, ...memory.map(({ maxMiB }) => maxMiB))),
    violations: rounds.flatMap(({ seed: drawn, violations }) =>
      violations.map((violation) => `seed ${drawn}: ${violation}`),
    ),
  };
}

async function main(): Promise<void> {
  const options = asked();
  const began = Date.now();
  const say = (line: string) =>
    process.stderr.write(`${((Date.now() - began) / 1000).toFixed(1).padStart(7)} s  ${line}\n`);
  const folder = mkdtempSync(join(tmpdir(), 'gradloom-chaos-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  // Whoever runs is ended with this process, by the pipe that both hold.
  onStopSignal(() => process.exit(EXIT.interrupted));
  const workload = await workloadIn(folder, options);
  const references = new Map<string, Reference>();
  const rounds: RoundResult[] = [];
  for (let seed = options.seed; ; seed++) {
    const scenario: Scenario =
      options.scenario === RANDOM
        ? randomScenario(keyedRandom(seed, 'chaos', RANDOM))
        : SCENARIOS[options.scenario];
    const topology = `${scenario.servers} ${scenario.workers} ${scenario.flags}`;
    const reference = references.get(topology) ?? (await runReference(scenario, { workload, say }));
    references.set(topology, reference);
    say(`seed ${seed}: ${options.scenario}, ${scenario.summary}`);
    const round = await runScenario(options.scenario, scenario, seed, reference, { workload, say });
    rounds.push(round);
    if (options.json) process.stdout.write(`${JSON.stringify(round)}\n`);
    say(round.skipped ?? (round.violations.length === 0 ? 'all held' : round.violations.join('; ')));
    if (round.skipped || Date.now() - began >= 60_000 * options.minutes) break;
  }
  process.stdout.write(`${JSON.stringify(summaryOf(options, rounds))}\n`);
  process.exit(rounds.some(({ violations }) => violations.length > 0) ? EXIT.failed : EXIT.done);
}

main().catch((error) => fail(error, 'chaos'));
