// What waiting for the slowest costs, and what not waiting does: workers whose steps take an exponentially distributed
// time, one of them twice as long on average, under bsp (with a backup worker too), ssp and asp. `rate` is steps of all
// workers per second that were applied, from the first to the last of the slowest; `updates`, where all do every step
// together, is those steps; `staleness` the most that any read lacked of any worker's updates, and `bound` what was
// allowed: both from the servers' metrics, as `late`, the steps that went on without the worker that was so most often.
import { byLabel, StubNodes, scrape, startServerProcess } from './processes.js';
import { type BenchOptions, type Result, Series } from './result.js';

const CASES: Readonly<Record<string, readonly string[]>> = {
  bsp: ['--consistency=bsp'],
  'backup-1': ['--consistency=bsp', '--backup-workers=1'],
  'ssp-1': ['--consistency=ssp', '--staleness=1'],
  'ssp-3': ['--consistency=ssp', '--staleness=3'],
  'ssp-10': ['--consistency=ssp', '--staleness=10'],
  asp: ['--consistency=asp'],
};
const COMPUTE_MS = 40;
const WORKERS = 3;
const ELEMENTS = 100_000;

async function measure(
  name: string,
  flags: readonly string[],
  rounds: number,
  series: Series,
): Promise<void> {
  const server = await startServerProcess();
  const nodes = new StubNodes();
  try {
    const own = [
      `--join=${server.ready.address}`,
      `--workers=${WORKERS}`,
      `--elements=${ELEMENTS}`,
      ...flags,
    ];
    for (let worker = 0; worker < WORKERS; worker++) {
      const mean = worker === WORKERS - 1 ? 2 * COMPUTE_MS : COMPUTE_MS;
      await nodes.start([...own, `--key=${worker}`, `--compute-ms=${mean}`]);
    }
    await nodes.warm();
    const said = await nodes.rounds(rounds);
    const slowestMs = Math.max(...said.map(({ ms }) => ms as number));
    const taken = name === 'backup-1' ? WORKERS - 1 : WORKERS;
    series.add(name, 'rate', 'steps/s', (1000 * taken) / slowestMs);
    if (flags.includes('--consistency=bsp')) series.add(name, 'updates', 'steps/s', 1000 / slowestMs);
    const ratesOf = said.map(({ ms }) => 1000 / (ms as number));
    series.add(name, 'fastest', 'steps/s', Math.max(...ratesOf));
    const samples = await scrape(server.ready.metrics as string);
    const late = [...byLabel(samples, 'gradloom_late_contributions_total', 'rank').values()];
    if (late.length > 0) series.add(name, 'late', 'steps', Math.max(...late));
    for (const [metric, label] of [
      ['gradloom_read_staleness_max_steps', 'staleness'],
      ['gradloom_staleness_bound_steps', 'bound'],
    ])
      for (const value of byLabel(samples, metric, 'run').values()) series.add(name, label, 'steps', value);
  } finally {
    await nodes.stop();
    await server.child.stop();
  }
}

/** Runs the bench; `small` only shows that it works. */
export async function run(options: BenchOptions): Promise<Result[]> {
  const series = new Series('straggler');
  for (let repeat = 0; repeat < options.repeats; repeat++) {
    await options.between?.();
    for (const [name, flags] of Object.entries(CASES))
      await measure(name, flags, options.small ? 4 : 100, series);
  }
  return series.results();
}
