// What each consistency and each codec costs in accuracy: the built-in job trained once a case, one axis at a time,
// everything else as it is by default. `accuracy` is that on the test set after the last epoch, `behind` how far that
// is under exact gradients (bsp, fp32) with the same optimizer, `pushed` what the workers sent. Codecs that are not
// defined over Adam run with momentum, and are compared with fp32 under momentum.
import { Child, explain } from '../../deploy/children.js';
import { EXIT, UserError } from '../../shared/errors.js';
import type { Summary } from '../../worker/results/summary.js';
import { resultsFolder } from './processes.js';
import { type BenchOptions, type Result, Series } from './result.js';

/** Each with the best of the learning rates 0.005, 0.01, 0.02 and 0.05 after two epochs of CIFAR-10. */
const momentum = (learningRate: number) => ['--optimizer=momentum', `--learning-rate=${learningRate}`];

interface Case {
  flags: readonly string[];
  /** The case that it is compared with; undefined: nothing. */
  beside?: string;
}

const CASES: Readonly<Record<string, Case>> = {
  'bsp-fp32': { flags: ['--codec=fp32'] },
  'bsp-fp16': { flags: ['--codec=fp16'], beside: 'bsp-fp32' },
  'bsp-bf16': { flags: ['--codec=bf16'], beside: 'bsp-fp32' },
  'bsp-int8': { flags: ['--codec=int8'], beside: 'bsp-fp32' },
  'ssp-3': { flags: ['--consistency=ssp', '--staleness=3'], beside: 'bsp-fp32' },
  asp: { flags: ['--consistency=asp'], beside: 'bsp-fp32' },
  'local-20': { flags: ['--consistency=local', '--local-steps=20'], beside: 'bsp-fp32' },
  'local-100': { flags: ['--consistency=local', '--local-steps=100'], beside: 'bsp-fp32' },
  'momentum-fp32': { flags: ['--codec=fp32', ...momentum(0.02)] },
  'momentum-topk': { flags: ['--codec=topk', ...momentum(0.02)], beside: 'momentum-fp32' },
  'momentum-sign': { flags: ['--codec=sign', ...momentum(0.01)], beside: 'momentum-fp32' },
};

export interface ConvergenceBenchOptions extends BenchOptions {
  data?: string;
  cache?: string;
  epochs?: number;
  /** Names of CASES, separated by commas; all by default. */
  cases?: string;
}

/** Trains once with `gradloom up`; what it says of the run. Throws RunError. */
export async function trainOnce(
  flags: readonly string[],
  options: Pick<ConvergenceBenchOptions, 'data' | 'cache' | 'epochs'>,
): Promise<Summary> {
  let summary: Summary | undefined;
  const all = ['up', '--json', ...flags, `--out=${resultsFolder()}`];
  if (options.data) all.push(`--data=${options.data}`);
  if (options.cache) all.push(`--cache=${options.cache}`);
  if (options.epochs) all.push(`--epochs=${options.epochs}`);
  const child = new Child('gradloom up', 'deploy/gradloom.js', all, (event) => {
    if (event.event === 'done') summary = event.summary as Summary;
  });
  try {
    const exit = await child.exited;
    if (exit.code !== EXIT.done || !summary) throw explain(exit);
    return summary;
  } finally {
    await child.stop();
  }
}

/** Runs the bench; `small` makes no difference but to the caller's choice of data, cases and epochs. */
export async function run(options: ConvergenceBenchOptions): Promise<Result[]> {
  const names = options.cases?.split(',') ?? Object.keys(CASES);
  for (const name of names)
    if (!(name in CASES))
      throw new UserError(`--cases: expected names of ${Object.keys(CASES).join(', ')}, got "${name}"`);
  const series = new Series('convergence');
  for (let repeat = 0; repeat < options.repeats; repeat++) {
    await options.between?.();
    const accuracies = new Map<string, number>();
    for (const name of names) {
      const summary = await trainOnce([...CASES[name].flags, `--seed=${repeat + 1}`], options);
      const accuracy = 100 * (summary.accuracy ?? 0);
      accuracies.set(name, accuracy);
      series.add(name, 'accuracy', '%', accuracy);
      const beside = accuracies.get(CASES[name].beside ?? '');
      if (beside !== undefined) series.add(name, 'behind', 'points', beside - accuracy);
      series.add(name, 'pushed', 'MB', summary.bytesPushed / 1e6);
    }
  }
  return series.results();
}
