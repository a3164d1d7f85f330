// The compute of a step: forward, loss and gradients of one batch, as tf.js's own model.fit computes them
// (training mode, regularization losses included), without an optimizer: that runs on the servers.
import * as tf from '@tensorflow/tfjs-core';
import { type LayersModel, metrics } from '@tensorflow/tfjs-layers';
import { UserError } from '../../shared/errors.js';
import type { Loss, LossName } from '../job.js';
import type { ModelRows } from '../rows/model-rows.js';
import { withKeyedRandom } from './keyed-math-random.js';
import type { ModelTensor } from './model-tensors.js';
import { readValues } from './tensor-io.js';

export interface Batch {
  readonly xs: tf.Tensor;
  readonly ys: tf.Tensor;
}

export interface BatchResult {
  /** Mean over the batch. */
  loss: number;
  /** Samples that were classified right; 0 where the task is no classification. */
  correct: number;
}

const LOSSES: Record<LossName, (labels: tf.Tensor, predictions: tf.Tensor) => tf.Tensor> = {
  categoricalCrossentropy: metrics.categoricalCrossentropy,
  sparseCategoricalCrossentropy: sparseCrossentropy,
  binaryCrossentropy: metrics.binaryCrossentropy,
  meanSquaredError: metrics.meanSquaredError,
  meanAbsoluteError: metrics.meanAbsoluteError,
};

const classIds = (labels: tf.Tensor): tf.Tensor1D => tf.cast(tf.reshape(labels, [-1]), 'int32');

function sparseCrossentropy(labels: tf.Tensor, predictions: tf.Tensor): tf.Tensor {
  const classes = predictions.shape[predictions.shape.length - 1];
  return metrics.categoricalCrossentropy(tf.oneHot(classIds(labels), classes), predictions);
}

/** The mean loss of a batch as a scalar. Throws UserError for a name that tf.js does not have. */
export function lossFunction(loss: Loss): (labels: tf.Tensor, predictions: tf.Tensor) => tf.Scalar {
  if (typeof loss === 'function') return loss;
  const perSample = Object.hasOwn(LOSSES, loss) ? LOSSES[loss] : undefined;
  if (!perSample)
    throw new UserError(`expected a loss of ${Object.keys(LOSSES).join(', ')}, or a function, got "${loss}"`);
  return (labels, predictions) => tf.mean(perSample(labels, predictions)) as tf.Scalar;
}

/** How many predictions of a batch hit the label; 0 for a regression. */
function countCorrect(labels: tf.Tensor, predictions: tf.Tensor): tf.Scalar {
  const classes = predictions.shape[predictions.shape.length - 1];
  if (classes === 1) return tf.sum(metrics.binaryAccuracy(labels, predictions)) as tf.Scalar;
  const truth =
    labels.shape.length === predictions.shape.length && labels.shape[labels.shape.length - 1] === classes
      ? tf.argMax(labels, -1)
      : classIds(labels);
  return tf.sum(tf.cast(tf.equal(truth, tf.argMax(predictions, -1)), 'float32')) as tf.Scalar;
}

export class Compute {
  readonly #loss: (labels: tf.Tensor, predictions: tf.Tensor) => tf.Scalar;
  readonly #trainable: { index: number; variable: tf.Variable }[];
  readonly #classifies: boolean;

  constructor(
    readonly model: LayersModel,
    readonly tensors: readonly ModelTensor[],
    loss: Loss,
    /** Where the model has embedding tables; their rows are loaded before each step and evaluation. */
    readonly rows?: ModelRows,
  ) {
    this.#loss = lossFunction(loss);
    this.#classifies = typeof loss === 'function' || loss.toLowerCase().includes('crossentropy');
    this.#trainable = tensors.flatMap(({ kind, variable }, index) =>
      kind === 'trainable' ? [{ index, variable }] : [],
    );
    if (this.#trainable.length === 0 && !rows)
      throw new UserError('the model has nothing to train: expected at least one layer that is not frozen');
  }

  /**
   * Forward and backward of one batch; the gradients are copied to the arrays that `into` gives for each tensor.
   * @param key what the batch's randomness (dropout, noise) depends on
   */
  async step(
    batch: Batch,
    seed: number,
    key: readonly (string | number)[],
    into: (index: number) => Float32Array,
  ): Promise<BatchResult> {
    let correct: tf.Scalar | undefined;
    const { value, grads } = withKeyedRandom(seed, ['step', ...key], () =>
      tf.variableGrads(() => {
        const predictions = this.model.apply(batch.xs, { training: true }) as tf.Tensor;
        const regularization = this.model.calculateLosses();
        const loss = regularization.reduce(
          (sum, extra) => tf.add(sum, extra),
          this.#loss(batch.ys, predictions),
        ) as tf.Scalar;
        if (this.#classifies) correct = tf.keep(countCorrect(batch.ys, predictions));
        return loss;
      }, [...this.#trainable.map(({ variable }) => variable), ...(this.rows?.variables ?? [])]),
    );
    for (const { index, variable } of this.#trainable) {
      const gradient = grads[variable.name];
      if (gradient) await readValues(gradient, into(index));
      else into(index).fill(0);
      gradient?.dispose();
    }
    await this.rows?.take(grads);
    const loss = (await value.data())[0];
    const hits = correct ? (await correct.data())[0] : 0;
    value.dispose();
    correct?.dispose();
    return { loss, correct: hits };
  }

  /** Loss and hits of a batch in inference mode. */
  async evaluate(batch: Batch): Promise<BatchResult> {
    const [loss, correct] = tf.tidy(() => {
      const predictions = this.model.apply(batch.xs, { training: false }) as tf.Tensor;
      return [
        this.#loss(batch.ys, predictions),
        this.#classifies ? countCorrect(batch.ys, predictions) : tf.scalar(0),
      ];
    });
    const result = { loss: (await loss.data())[0], correct: (await correct.data())[0] };
    loss.dispose();
    correct.dispose();
    return result;
  }
}
