// What to train: model, loss, optimizer and defaults, in one module. The built-in jobs are written the way a
// user's are: a file whose default export is a Job. load-job.ts finds it.
import type { Scalar, Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { TextFormat } from './data/text-features.js';
import type { JobOptimizer } from './training/compile-optimizer.js';

/** What a job is told of its data before it builds its model. */
export interface DataShape {
  /** Shape of one record, e.g. [32, 32, 3]; of a text [length]. */
  readonly shape: readonly number[];
  readonly classes: readonly string[];
}

/** Names of tf.js's losses on (labels, predictions), or a function that gives the mean over the batch. */
export type LossName =
  | 'categoricalCrossentropy'
  | 'sparseCategoricalCrossentropy'
  | 'binaryCrossentropy'
  | 'meanSquaredError'
  | 'meanAbsoluteError';
export type Loss = LossName | ((labels: Tensor, predictions: Tensor) => Scalar);

export interface Job {
  readonly name: string;
  readonly epochs: number;
  /** What the servers run, with regularization, clipping, schedule and groups of tensors where the job wants them. */
  readonly optimizer: JobOptimizer;
  /** How texts are read, for a job on texts; without it the records are images. */
  readonly text?: TextFormat;
  /** Of one-hot labels and the model's predictions. */
  readonly loss: Loss;
  /** Builds the model; its initial weights are drawn by the run's seed. Called once in every worker. */
  model(data: DataShape): LayersModel;
}
