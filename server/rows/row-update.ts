// One optimizer update of one row, with the operations and roundings of the dense optimizers (shared/kernels/plain),
// so a table that is touched in full has the bits of a dense tensor. Plain loops, not kernels: rows lie scattered over
// memory that is larger than WebAssembly's, and a row is shorter than what a call into it is worth. Adam's moments
// and t stand still while a row is not touched (LazyAdam); AdaGrad: Duchi et al., JMLR 2011.
import { adamScalars } from '../../shared/kernels/kernels.js';
import { flush } from '../../shared/kernels/plain/optimize.js';
import type { RowOptimizerSpec } from '../../shared/rows/tables.js';

const { fround, sqrt } = Math;

/** A row's memory (its values, then each slot) at `at`, its gradient at `from`. */
export interface RowMemory {
  memory: Float32Array;
  at: number;
  width: number;
  gradient: Float32Array;
  from: number;
  /** Turns the sum of gradients into their mean. */
  gradientScale: number;
  /** Of the step. */
  learningRate: number;
  /** Updates of this row before this one. */
  count: number;
}

export function updateRow(optimizer: RowOptimizerSpec, row: RowMemory): void {
  if (optimizer.kind === 'sgd') sgd(row);
  else if (optimizer.kind === 'adagrad') adagrad(row, optimizer.epsilon);
  else adam(row, optimizer);
}

function sgd({ memory, at, width, gradient, from, gradientScale, learningRate }: RowMemory): void {
  const scale = fround(gradientScale);
  const rate = fround(learningRate);
  for (let k = 0; k < width; k++) memory[at + k] -= fround(fround(gradient[from + k] * scale) * rate);
}

function adagrad(row: RowMemory, epsilon64: number): void {
  const { memory, at, width, gradient, from, gradientScale, learningRate } = row;
  const scale = fround(gradientScale);
  const rate = fround(learningRate);
  const epsilon = fround(epsilon64);
  for (let k = 0; k < width; k++) {
    const g = fround(gradient[from + k] * scale);
    const a = flush(fround(memory[at + width + k] + fround(g * g)));
    memory[at + width + k] = a;
    memory[at + k] -= fround(fround(g * rate) / fround(sqrt(fround(a + epsilon))));
  }
}

function adam(row: RowMemory, options: { beta1: number; beta2: number; epsilon: number }): void {
  const { memory, at, width, gradient, from, gradientScale, learningRate, count } = row;
  const scalars = adamScalars(count + 1, { ...options, learningRate });
  const beta1 = fround(options.beta1);
  const beta2 = fround(options.beta2);
  const gain1 = fround((1 - options.beta1) * gradientScale);
  const gain2 = fround((1 - options.beta2) * gradientScale * gradientScale);
  const stepSize = fround(scalars.stepSize);
  const epsilon = fround(scalars.epsilon);
  const second = 2 * width;
  for (let k = 0; k < width; k++) {
    const g = gradient[from + k];
    const m = flush(fround(fround(memory[at + width + k] * beta1) + fround(g * gain1)));
    const v = flush(fround(fround(memory[at + second + k] * beta2) + fround(fround(g * g) * gain2)));
    memory[at + width + k] = m;
    memory[at + second + k] = v;
    memory[at + k] -= fround(fround(m * stepSize) / fround(fround(sqrt(v)) + epsilon));
  }
}
