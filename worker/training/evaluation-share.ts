// A part of the test set, evaluated batch by batch: a worker's share of an evaluation, or all of it by an evaluator.
import type { Compute } from '../model/compute.js';
import type { PullRows } from '../rows/model-rows.js';
import type { TrainingData } from './train-options.js';

/** Sums over records, which shares are added up from. */
export interface EvaluationSums {
  records: number;
  lossSum: number;
  correct: number;
}

export interface EvaluationShareOptions {
  signal?: AbortSignal;
  /** Where the model has embedding tables. */
  pull?: PullRows;
}

/** What the model as it is makes of the part of rank `rank` of `workers`. Throws the signal's reason between batches. */
export async function evaluateShare(
  compute: Compute,
  data: TrainingData,
  rank: number,
  workers: number,
  { signal, pull }: EvaluationShareOptions,
): Promise<EvaluationSums> {
  const sums = { records: 0, lossSum: 0, correct: 0 };
  for await (const batch of data.evaluation(rank, workers)) {
    signal?.throwIfAborted();
    const records = batch.xs.shape[0];
    if (pull) await compute.rows?.load(batch.xs, pull);
    const result = await compute.evaluate(batch);
    batch.xs.dispose();
    batch.ys.dispose();
    sums.records += records;
    sums.lossSum += result.loss * records;
    sums.correct += result.correct;
  }
  return sums;
}
