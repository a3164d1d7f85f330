import {
  cast,
  dispose,
  mean,
  memory,
  oneHot,
  type Scalar,
  type Tensor,
  tensor,
  tensor1d,
  tidy,
  variableGrads,
} from '@tensorflow/tfjs-core';
import { initializers, layers, metrics, sequential } from '@tensorflow/tfjs-layers';
import test from 'ava';
import { chooseBackend } from '../../../../worker/backend/ladder.js';
import { near, randomArray, toTensor } from './reference.js';

type Layer = Awaited<ReturnType<typeof sequential>>['layers'][number];

interface Job {
  shape: number[];
  layers: () => Layer[];
  /** Whole numbers as input, up to this one. */
  words?: number;
}

const seeded = (seed: number) => initializers.randomUniform({ minval: -0.5, maxval: 0.5, seed });

const JOBS: Record<string, Job> = {
  'the CNN of the main job, small': {
    shape: [10, 10, 3],
    layers: () => [
      layers.conv2d({
        inputShape: [10, 10, 3],
        filters: 6,
        kernelSize: 3,
        activation: 'relu',
        kernelInitializer: seeded(1),
      }),
      layers.maxPooling2d({ poolSize: 2 }),
      layers.flatten(),
      layers.dense({ units: 20, activation: 'relu', kernelInitializer: seeded(2) }),
      layers.dense({ units: 10, activation: 'softmax', kernelInitializer: seeded(3) }),
    ],
  },
  'strides, batch normalisation, depthwise convolution and average pooling': {
    shape: [9, 9, 2],
    layers: () => [
      layers.conv2d({
        inputShape: [9, 9, 2],
        filters: 4,
        kernelSize: 3,
        strides: 2,
        padding: 'same',
        useBias: false,
        kernelInitializer: seeded(1),
      }),
      layers.batchNormalization(),
      layers.activation({ activation: 'tanh' }),
      layers.depthwiseConv2d({
        kernelSize: 3,
        depthMultiplier: 2,
        padding: 'same',
        depthwiseInitializer: seeded(2),
      }),
      layers.maxPooling2d({ poolSize: 2, strides: 1 }),
      layers.averagePooling2d({ poolSize: 2 }),
      layers.flatten(),
      layers.dense({ units: 10, activation: 'softmax', kernelInitializer: seeded(3) }),
    ],
  },
  'an embedding and an LSTM': {
    shape: [6],
    words: 12,
    layers: () => [
      layers.embedding({ inputDim: 12, outputDim: 5, inputLength: 6, embeddingsInitializer: seeded(4) }),
      layers.lstm({ units: 7, kernelInitializer: seeded(1), recurrentInitializer: seeded(2) }),
      layers.dense({ units: 10, activation: 'softmax', kernelInitializer: seeded(3) }),
    ],
  },
  'an embedding whose zeros are masked, and a GRU': {
    shape: [6],
    words: 12,
    layers: () => [
      layers.embedding({
        inputDim: 12,
        outputDim: 5,
        inputLength: 6,
        maskZero: true,
        embeddingsInitializer: seeded(4),
      }),
      layers.gru({ units: 7, kernelInitializer: seeded(1), recurrentInitializer: seeded(2) }),
      layers.dense({ units: 10, activation: 'softmax', kernelInitializer: seeded(3) }),
    ],
  },
};

interface Outcome {
  loss: number;
  gradients: Record<string, number[]>;
  /** Tensors and buffers that a second step added to those after the first. */
  leaked: number[];
}

const BATCH = 4;

/** Loss and gradients of one step. */
function stepOf(job: Job): Outcome {
  const model = sequential({ layers: job.layers() });
  const noise = randomArray([BATCH, ...job.shape], 'input');
  const x = job.words
    ? tensor(
        Float32Array.from(noise.values, (value) => Math.floor(((value + 1) / 2) * (job.words as number))),
        noise.shape,
        'float32',
      )
    : toTensor(noise);
  const y = tidy(() => cast(oneHot(tensor1d([1, 0, 7, 3], 'int32'), 10), 'float32'));
  const variables = model.trainableWeights.map((weight) => weight.read());
  const step = () =>
    variableGrads(
      () =>
        tidy(
          () =>
            mean(metrics.categoricalCrossentropy(y, model.apply(x, { training: true }) as Tensor)) as Scalar,
        ),
      variables as never,
    );
  const first = step();
  const tally = [memory().numTensors, memory().numDataBuffers];
  const second = step();
  dispose([second.value, second.grads]);
  const leaked = [memory().numTensors - tally[0], memory().numDataBuffers - tally[1]];
  const outcome = {
    loss: first.value.dataSync()[0],
    gradients: Object.fromEntries(
      model.trainableWeights.map((weight, i) => {
        const gradient = first.grads[(weight.read() as unknown as { name: string }).name];
        return [`${i} ${weight.shape.join('x')}`, [...gradient.dataSync()]];
      }),
    ),
    leaked,
  };
  dispose([first.value, first.grads, x, y]);
  model.dispose();
  return outcome;
}

for (const [title, job] of Object.entries(JOBS)) {
  test.serial(
    `a step of ${title}: loss and gradients are those of the cpu backend, and nothing is left over`,
    async (t) => {
      await chooseBackend('cpu');
      const expected = stepOf(job);
      await chooseBackend('wasm');
      const result = stepOf(job);
      t.true(
        Math.abs(result.loss - expected.loss) < 1e-5 * Math.abs(expected.loss),
        `${result.loss}, ${expected.loss}`,
      );
      t.deepEqual(result.leaked, [0, 0]);
      t.deepEqual(Object.keys(result.gradients), Object.keys(expected.gradients));
      for (const [name, values] of Object.entries(expected.gradients)) {
        t.true(
          values.some((value) => value !== 0),
          `${name} has a gradient`,
        );
        tidy(() => near(t, tensor(result.gradients[name]), values, `gradient ${name}`, 2e-5));
      }
    },
  );
}

test.serial('the same step twice gives the same bits', async (t) => {
  await chooseBackend('wasm');
  for (const job of Object.values(JOBS)) t.deepEqual(stepOf(job), stepOf(job));
});
