// Batches of texts as tensors: ids (int32) with one-hot labels, dealt by the run's seed.
import { oneHot, type Tensor, tensor, tensor1d, tidy } from '@tensorflow/tfjs-core';
import { EVALUATION_BATCH } from '../../shared/limits.js';
import type { Dataset } from '../data/dataset.js';
import { createDealer, equalShares, evaluationShare, stepsPerEpoch } from '../data/dealer.js';
import type { Split } from '../data/source.js';
import type { Batch } from '../model/compute.js';
import { cacheCounts } from './cache-counts.js';
import type { TrainingData } from './train-options.js';

function toTensors(dataset: Dataset, split: Split, indices: Uint32Array): Batch {
  const { features, labels } = dataset.read(split, indices);
  const ids = new Int32Array(features.buffer, features.byteOffset, features.byteLength / 4);
  return {
    xs: tensor(ids, [indices.length, ...dataset.shape], 'int32'),
    ys: tidy(() => oneHot(tensor1d(labels, 'int32'), dataset.classes.length)) as Tensor,
  };
}

/** Texts as ids of rows with one-hot labels. */
export function textData(dataset: Dataset, globalBatch: number, seed: number): TrainingData {
  const { train, test } = dataset.splits;
  const dealer = createDealer(train, globalBatch, seed);
  return {
    fingerprint: dataset.fingerprint,
    hasTest: test > 0,
    stepsPerEpoch: (batch) => stepsPerEpoch(train, batch),
    batch: (epoch, step, rank, workers) =>
      toTensors(dataset, 'train', dealer.batch(epoch, step, equalShares(workers), rank)),
    *evaluation(rank, workers) {
      const share = evaluationShare(test, equalShares(workers), rank);
      for (let at = 0; at < share.length; at += EVALUATION_BATCH)
        yield toTensors(dataset, 'test', share.subarray(at, at + EVALUATION_BATCH));
    },
    takeCacheCounts: cacheCounts(dataset),
  };
}
