// How long a forward and backward pass takes on the backend that this machine has: `npm run bench -- backend`. No
// optimizer, no exchange: those have benches of their own.
import { dispose, getBackend } from '@tensorflow/tfjs-core';
import { chooseBackend } from '../../worker/backend/ladder.js';
import { cnn, lstm, mlp, type Workload } from './models.js';

export interface Result {
  bench: string;
  case: string;
  metric: string;
  unit: string;
  median: number;
  min: number;
  max: number;
  runs: number;
}

export interface Options {
  /** Timings of each case; each is the mean of some steps. */
  repeats: number;
  /** One step of each, to see that the bench still runs. */
  small: boolean;
}

/** Steps before the first timing (shaders and kernels are compiled in them), and steps of one timing. */
const STEPS = { cnn: [5, 10], mlp: [5, 20], lstm: [2, 2] } as const;
const LSTM_WORDS = 200;
const LSTM_WORDS_SMALL = 4;

async function runSteps(work: Workload, steps: number): Promise<void> {
  let loss = Number.NaN;
  for (let i = 0; i < steps; i++) {
    const { value, grads } = work.step();
    // Reading the loss waits for a device that works on its own.
    [loss] = await value.data();
    dispose([value, grads]);
  }
  if (!Number.isFinite(loss)) throw new Error(`the loss came out as ${loss}`);
}

/** Milliseconds per step for each model. */
export async function run({ repeats, small }: Options): Promise<Result[]> {
  await chooseBackend();
  const makers = { cnn, mlp, lstm: () => lstm(small ? LSTM_WORDS_SMALL : LSTM_WORDS) };
  const results: Result[] = [];
  for (const name of ['cnn', 'mlp', 'lstm'] as const) {
    const work = makers[name]();
    const [warmUp, steps] = small ? [0, 1] : STEPS[name];
    await runSteps(work, warmUp + 1);
    const timings: number[] = [];
    for (let i = 0; i < (small ? 1 : repeats); i++) {
      const start = performance.now();
      await runSteps(work, steps);
      timings.push((performance.now() - start) / steps);
    }
    work.dispose();
    timings.sort((a, b) => a - b);
    results.push({
      bench: 'backend',
      case: name,
      metric: `step-${getBackend()}`,
      unit: 'ms',
      median: timings[Math.floor(timings.length / 2)],
      min: timings[0],
      max: timings[timings.length - 1],
      runs: timings.length,
    });
  }
  return results;
}
