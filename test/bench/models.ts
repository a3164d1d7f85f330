// The three models that the backend is measured on, each with one batch of made-up data and its loss.
import {
  cast,
  mean,
  oneHot,
  type Scalar,
  type Tensor,
  tensor,
  tensor1d,
  tidy,
  variableGrads,
} from '@tensorflow/tfjs-core';
import { initializers, type LayersModel, layers, metrics, sequential } from '@tensorflow/tfjs-layers';
import { keyedRandom } from '../../shared/random.js';

export interface Workload {
  model: LayersModel;
  /** Forward and backward pass of one batch: the loss and the gradient of each trainable weight, by name. */
  step(): { value: Scalar; grads: Record<string, Tensor> };
  dispose(): void;
}

type Loss = (labels: Tensor, predictions: Tensor) => Tensor;

function workload(model: LayersModel, x: Tensor, y: Tensor, loss: Loss): Workload {
  const variables = model.trainableWeights.map((weight) => weight.read() as never);
  return {
    model,
    step: () =>
      variableGrads(
        () => tidy(() => mean(loss(y, model.apply(x, { training: true }) as Tensor)) as Scalar),
        variables,
      ),
    dispose: () => {
      for (const tensor of [x, y]) tensor.dispose();
      model.dispose();
    },
  };
}

function noise(shape: number[], key: string): Tensor {
  const random = keyedRandom(1, key);
  const size = shape.reduce((product, length) => product * length, 1);
  return tensor(
    Float32Array.from({ length: size }, () => random.normal()),
    shape,
  );
}

const labels = (batch: number): Tensor =>
  tidy(() =>
    cast(
      oneHot(
        tensor1d(
          Array.from({ length: batch }, (_, i) => i % 10),
          'int32',
        ),
        10,
      ),
      'float32',
    ),
  );

const glorot = (seed: number) => initializers.glorotUniform({ seed });

/** The main job's model: convolution, max-pooling, two dense layers; 32 images of 32 x 32 x 3. */
export function cnn(): Workload {
  const model = sequential({
    layers: [
      layers.conv2d({
        inputShape: [32, 32, 3],
        filters: 32,
        kernelSize: 3,
        activation: 'relu',
        kernelInitializer: glorot(1),
      }),
      layers.maxPooling2d({ poolSize: 2 }),
      layers.flatten(),
      layers.dense({ units: 512, activation: 'relu', kernelInitializer: glorot(2) }),
      layers.dense({ units: 10, activation: 'softmax', kernelInitializer: glorot(3) }),
    ],
  });
  return workload(model, noise([32, 32, 32, 3], 'cnn'), labels(32), metrics.categoricalCrossentropy);
}

/** 784-512-10, 128 records. */
export function mlp(): Workload {
  const model = sequential({
    layers: [
      layers.dense({ inputShape: [784], units: 512, activation: 'relu', kernelInitializer: glorot(1) }),
      layers.dense({ units: 10, activation: 'softmax', kernelInitializer: glorot(2) }),
    ],
  });
  return workload(model, noise([128, 784], 'mlp'), labels(128), metrics.categoricalCrossentropy);
}

/** Embedding of 10,000 words in 16 numbers, LSTM of 128, two dense layers; 32 sequences of `words` words. */
export function lstm(words: number): Workload {
  const model = sequential({
    layers: [
      layers.embedding({
        inputDim: 10_000,
        outputDim: 16,
        inputLength: words,
        embeddingsInitializer: glorot(5),
      }),
      layers.lstm({ units: 128, kernelInitializer: glorot(1), recurrentInitializer: glorot(2) }),
      layers.dense({ units: 16, activation: 'relu', kernelInitializer: glorot(3) }),
      layers.dense({ units: 1, activation: 'sigmoid', kernelInitializer: glorot(4) }),
    ],
  });
  const random = keyedRandom(1, 'lstm');
  const x = tensor(
    Float32Array.from({ length: 32 * words }, () => random.below(10_000)),
    [32, words],
  );
  const y = tensor(
    Float32Array.from({ length: 32 }, (_, i) => i % 2),
    [32, 1],
  );
  return workload(model, x, y, metrics.binaryCrossentropy);
}
