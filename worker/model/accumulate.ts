// Gradient accumulation: a worker's part of a batch in several micro-batches, one after the other, whose gradients
// are summed before the exchange. The memory of forward and backward is then that of a micro-batch, and the mean
// gradient that of the whole batch (but for what looks at a batch as one: BatchNorm's statistics, dropout's masks).
import { slice, type Tensor } from '@tensorflow/tfjs-core';
import { equalShares, shareOf } from '../data/dealer.js';
import type { Batch, BatchResult, Compute } from './compute.js';
import type { ModelTensor } from './model-tensors.js';

/** Adds in place: sum = (first ? 0 : sum) + weight · part, element by element. */
function add(sum: Float32Array, part: Float32Array, weight: number, first: boolean): void {
  if (first) for (let i = 0; i < sum.length; i++) sum[i] = weight * part[i];
  else for (let i = 0; i < sum.length; i++) sum[i] += weight * part[i];
}

const rows = (tensor: Tensor, from: number, count: number): Tensor =>
  slice(tensor, [from, ...tensor.shape.slice(1).map(() => 0)], [count, ...tensor.shape.slice(1)]);

export class Accumulation {
  readonly #compute: Compute;
  readonly #microBatches: number;
  /** A micro-batch's gradients by the index of their tensor; none where there is one micro-batch. */
  readonly #parts = new Map<number, Float32Array>();

  /** @param microBatches of each batch; fewer where it has fewer samples */
  constructor(compute: Compute, tensors: readonly ModelTensor[], microBatches: number) {
    this.#compute = compute;
    this.#microBatches = microBatches;
    if (microBatches === 1) return;
    for (const [index, { kind, shape }] of tensors.entries())
      if (kind === 'trainable')
        this.#parts.set(index, new Float32Array(shape.reduce((product, side) => product * side, 1)));
  }

  /**
   * Forward and backward of a batch, as `Compute.step`: loss and gradients are means over the whole batch.
   * @param key what the batch's randomness depends on; with several micro-batches each has its own
   */
  async step(
    batch: Batch,
    seed: number,
    key: readonly (string | number)[],
    into: (index: number) => Float32Array,
  ): Promise<BatchResult> {
    const samples = batch.xs.shape[0];
    const count = Math.min(this.#microBatches, samples);
    if (count <= 1) return this.#compute.step(batch, seed, key, into);
    const { weights } = equalShares(count);
    const whole = { loss: 0, correct: 0 };
    for (let part = 0; part < count; part++) {
      const [start, end] = shareOf(samples, weights, part);
      const micro = { xs: rows(batch.xs, start, end - start), ys: rows(batch.ys, start, end - start) };
      this.#compute.rows?.select(start, end);
      const result = await this.#compute.step(
        micro,
        seed,
        [...key, part],
        (index) => this.#parts.get(index) as Float32Array,
      );
      micro.xs.dispose();
      micro.ys.dispose();
      const weight = (end - start) / samples;
      for (const [index, gradient] of this.#parts) add(into(index), gradient, weight, part === 0);
      whole.loss += result.loss * weight;
      whole.correct += result.correct;
    }
    return whole;
  }
}
