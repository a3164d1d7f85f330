// The main job: a small CNN on ten classes of 32×32 colour images (CIFAR-10, or the generated shapes).
// conv 3×3×32 relu → max-pool 2 → flatten → dense 512 relu → dense 10 softmax, Adam.
import { layers, sequential } from '@tensorflow/tfjs-layers';
import type { Job } from '../job.js';

const job: Job = {
  name: 'cifar10',
  epochs: 3,
  optimizer: { kind: 'adam', learningRate: 1e-3 },
  loss: 'categoricalCrossentropy',
  model: ({ shape, classes }) =>
    sequential({
      name: 'cifar10',
      layers: [
        layers.conv2d({
          name: 'conv',
          inputShape: [...shape],
          filters: 32,
          kernelSize: 3,
          activation: 'relu',
        }),
        layers.maxPooling2d({ name: 'pool', poolSize: 2 }),
        layers.flatten({ name: 'flatten' }),
        layers.dense({ name: 'hidden', units: 512, activation: 'relu' }),
        layers.dense({ name: 'classes', units: classes.length, activation: 'softmax' }),
      ],
    }),
};

export default job;
