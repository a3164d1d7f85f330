// A job that trains in a second: a little convolution with BatchNorm (state that is averaged) and dropout (keyed
// masks), whose weights depend on both.
import { layers, sequential } from '@tensorflow/tfjs-layers';
import type { Job } from '../../../worker/job.js';

const job: Job = {
  name: 'small',
  epochs: 2,
  optimizer: { kind: 'adam', learningRate: 3e-3 },
  loss: 'categoricalCrossentropy',
  model: ({ shape, classes }) =>
    sequential({
      name: 'small',
      layers: [
        layers.maxPooling2d({ inputShape: [...shape], poolSize: 4 }),
        layers.conv2d({ filters: 4, kernelSize: 3, activation: 'relu' }),
        layers.batchNormalization({}),
        layers.flatten(),
        layers.dropout({ rate: 0.25 }),
        layers.dense({ units: classes.length, activation: 'softmax' }),
      ],
    }),
};

export default job;
