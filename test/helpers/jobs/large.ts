// A model of 6.3 million parameters: with Adam's state more than a server of 16 MiB holds.
import { layers, sequential } from '@tensorflow/tfjs-layers';
import type { Job } from '../../../worker/job.js';
import small from './small.js';

const job: Job = {
  ...small,
  name: 'large',
  model: ({ shape, classes }) =>
    sequential({
      layers: [
        layers.flatten({ inputShape: [...shape] }),
        layers.dense({ units: 2048, kernelInitializer: 'zeros' }),
        layers.dense({ units: classes.length, activation: 'softmax' }),
      ],
    }),
};

export default job;
