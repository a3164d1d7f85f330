// How fast the main job's CNN trains: `gradloom up` with its default servers as real processes, 1 and 2 workers,
// 32 samples each, exchange and optimizer included, in steady state (after the first steps). `throughput` comes from
// the times that the step events carry; the phases of a step (ms, mean over the workers) from the workers' metrics:
// `wait` is sending, the servers' work and waiting for the other worker; `other` what is left of a step, mostly the
// copying of the new parameters into the model.
import { rm } from 'node:fs/promises';
import { Child, explain } from '../../deploy/children.js';
import type { Sample } from '../helpers/exposition.js';
import { byLabel, resultsFolder, scrape } from './processes.js';
import { type BenchOptions, type Result, Series } from './result.js';

export interface TrainBenchOptions extends BenchOptions {
  /** What to train on; the generated images by default. */
  data?: string;
  cache?: string;
}

const SAMPLES_PER_WORKER = 32;
const PHASES = ['data', 'compute', 'encode', 'wait', 'decode'];

interface StepEvent {
  step: number;
  seconds: number;
}

/** Trains for `warmup` and then `steps` steps. */
async function trainSteadily(
  workers: number,
  warmup: number,
  steps: number,
  options: TrainBenchOptions,
  series: Series,
): Promise<void> {
  const name = `workers${workers}`;
  const folder = resultsFolder();
  const metrics: string[] = [];
  const seen = new Map<number, StepEvent>();
  let scraped: Promise<Sample[]> | undefined;
  let finished: (() => void) | undefined;
  const measured = new Promise<void>((resolve) => {
    finished = resolve;
  });
  const scrapeAll = async () => (await Promise.all(metrics.map(scrape))).flat();
  const flags = ['up', '--json', `--workers=${workers}`, `--batch=${workers * SAMPLES_PER_WORKER}`];
  flags.push('--epochs=1000', `--out=${folder}`);
  if (options.data) flags.push(`--data=${options.data}`);
  if (options.cache) flags.push(`--cache=${options.cache}`);
  const child = new Child('gradloom up', 'deploy/gradloom.js', flags, (event) => {
    if (event.event === 'ready' && event.role === 'worker') metrics.push(event.metrics as string);
    if (event.event !== 'step') return;
    const step = event.step as number;
    seen.set(step, { step, seconds: event.seconds as number });
    if (step === warmup) scraped = scrapeAll();
    if (step === warmup + steps) finished?.();
  });
  try {
    await Promise.race([measured, child.exited.then((exit) => Promise.reject(explain(exit)))]);
    const before = (await scraped) as Sample[];
    const after = await scrapeAll();
    const seconds = (seen.get(warmup + steps)?.seconds ?? 0) - (seen.get(warmup)?.seconds ?? 0);
    series.add(name, 'throughput', 'samples/s', (steps * workers * SAMPLES_PER_WORKER) / seconds);
    const sum = 'gradloom_step_phase_seconds_sum';
    const count = 'gradloom_step_phase_seconds_count';
    let other = (1000 * seconds) / steps;
    series.add(name, 'step', 'ms', other);
    for (const phase of PHASES) {
      const grown = (metric: string) =>
        (byLabel(after, metric, 'phase').get(phase) ?? 0) -
        (byLabel(before, metric, 'phase').get(phase) ?? 0);
      const ms = (1000 * grown(sum)) / grown(count);
      series.add(name, phase, 'ms', ms);
      other -= ms;
    }
    series.add(name, 'other', 'ms', other);
  } finally {
    await child.stop('SIGINT');
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs the bench; `small` only shows that it works. */
export async function run(options: TrainBenchOptions): Promise<Result[]> {
  const series = new Series('train');
  const [warmup, steps] = options.small ? [1, 2] : [20, 150];
  for (let repeat = 0; repeat < options.repeats; repeat++) {
    await options.between?.();
    for (const workers of [1, 2]) await trainSteadily(workers, warmup, steps, options, series);
  }
  return series.results();
}
