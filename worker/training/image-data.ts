// Batches of images as tensors: dataset → dealer → loader → tensors on the backend.
import { oneHot, type Tensor, tensor, tensor1d, tidy } from '@tensorflow/tfjs-core';
import { EVALUATION_BATCH } from '../../shared/limits.js';
import type { Dataset } from '../data/dataset.js';
import { createDealer, equalShares, stepsPerEpoch } from '../data/dealer.js';
import { createLoader, type Batch as LoadedBatch } from '../data/loader.js';
import type { Batch } from '../model/compute.js';
import { cacheCounts } from './cache-counts.js';
import type { TrainingData } from './train-options.js';

function toTensors({ x, labels, shape }: LoadedBatch, classes: number): Batch {
  // The loader uses its buffers again, and some backends keep the array that they are given.
  const xs = tensor(x.slice(), shape, 'float32');
  const ys = tidy(() => oneHot(tensor1d(labels.slice(), 'int32'), classes)) as Tensor;
  return { xs, ys };
}

/** Images with one-hot labels, dealt by the run's seed. */
export function imageData(dataset: Dataset, globalBatch: number, seed: number): TrainingData {
  const loader = createLoader(dataset, createDealer(dataset.splits.train, globalBatch, seed));
  const classes = dataset.classes.length;
  return {
    fingerprint: dataset.fingerprint,
    hasTest: dataset.splits.test > 0,
    stepsPerEpoch: (batch) => stepsPerEpoch(dataset.splits.train, batch),
    batch: (epoch, step, rank, workers, departed = []) =>
      toTensors(
        loader.batch({ epoch, step, view: { ...equalShares(workers), departed: [...departed] }, rank }),
        classes,
      ),
    *evaluation(rank, workers) {
      for (const batch of loader.evaluation('test', EVALUATION_BATCH, equalShares(workers), rank))
        yield toTensors(batch, classes);
    },
    takeCacheCounts: cacheCounts(dataset),
    close: () => loader.close(),
  };
}
