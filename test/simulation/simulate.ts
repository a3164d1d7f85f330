// `npm run simulate -- --seeds N [--seed S]`: simulated clusters, one a seed, from S on. The last line on stdout is a JSON
// object with the counts. A seed that violates something is told with its trace, and replays exactly with
// `--seeds 1 --seed THAT`. `--bugs` instead puts each deliberate bug (cluster/bugs.ts) into the clusters, one at a time, and
// notes the first of the seeds that finds it.
import { Command, CommanderError } from 'commander';
import { EXIT, sentence, UserError } from '../../shared/errors.js';
import { fail } from '../../shared/process.js';
import { BUGS } from './cluster/bugs.js';
import { simulate } from './cluster/simulate.js';

const PROGRESS_MS = 2_000;
const REPORTED_MAX = 5;

interface Flags {
  seeds: string;
  seed: string;
  bugs?: boolean;
}

/** What was asked for; ends the process where that cannot be, or where help is asked for. */
function flags(): Flags {
  const program = new Command('simulate')
    .description('Simulates clusters to which things happen, one a seed, and checks what must hold.')
    .option('--seeds <n>', 'how many', '1000')
    .option('--seed <s>', 'the first', '1')
    .option('--bugs', 'puts each deliberate bug into them, and notes the first seed that finds it')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  try {
    return program.parse().opts();
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === EXIT.done) process.exit(EXIT.done);
    return fail(
      new UserError(`${sentence(error).replace(/^error: /, '')}; see npm run simulate -- --help`),
      'simulate',
    );
  }
}

const values = flags();
const [seeds, first] = [Number(values.seeds), Number(values.seed)];
if (!Number.isInteger(seeds) || seeds < 1 || !Number.isInteger(first) || first < 0) {
  process.stderr.write(
    `simulate: expected --seeds of at least 1 and --seed of at least 0, got ${values.seeds} and ${values.seed}\n`,
  );
  process.exit(EXIT.mistake);
}
if (values.bugs) {
  const found: Record<string, number | null> = {};
  for (const [name, bug] of Object.entries(BUGS)) {
    found[name] = null;
    for (let seed = first; seed < first + seeds && found[name] === null; seed++) {
      const { violations } = await simulate(seed, bug);
      if (violations.length > 0) found[name] = seed;
      if (violations.length > 0) process.stderr.write(`${name}: seed ${seed}: ${violations[0]}\n`);
    }
    if (found[name] === null) process.stderr.write(`${name}: not found\n`);
  }
  process.stdout.write(`${JSON.stringify({ seeds, bugs: found })}\n`);
  process.exit(Object.values(found).includes(null) ? EXIT.failed : EXIT.done);
}
const faults: Record<string, number> = {};
const violating: number[] = [];
const sums = {
  changes: 0,
  placedAnew: 0,
  takeovers: 0,
  healed: 0,
  compared: 0,
  reads: 0,
  followed: 0,
  told: 0,
  spoilt: 0,
  done: 0,
};
let lastMs = Date.now();
for (let seed = first; seed < first + seeds; seed++) {
  const simulated = await simulate(seed);
  const { injected, violations, trace } = simulated;
  for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] += simulated[key];
  for (const [kind, count] of Object.entries(injected)) faults[kind] = (faults[kind] ?? 0) + count;
  if (violations.length > 0) {
    violating.push(seed);
    if (violating.length <= REPORTED_MAX)
      process.stderr.write(`seed ${seed}:\n  ${[...trace, ...violations].join('\n  ')}\n`);
  }
  if (process.stderr.isTTY && Date.now() - lastMs > PROGRESS_MS) {
    lastMs = Date.now();
    process.stderr.write(`${seed - first + 1} of ${seeds} seeds, ${violating.length} with violations\n`);
  }
}
process.stdout.write(
  `${JSON.stringify({ seeds, faults, ...sums, violations: violating.length, violating: violating.slice(0, 100) })}\n`,
);
process.exit(violating.length > 0 ? EXIT.failed : EXIT.done);
