// Says that it is the job "small", but has another model: workers of both must refuse each other.
import { layers, sequential } from '@tensorflow/tfjs-layers';
import type { Job } from '../../../worker/job.js';
import small from './small.js';

const job: Job = {
  ...small,
  model: ({ shape, classes }) =>
    sequential({
      layers: [
        layers.flatten({ inputShape: [...shape] }),
        layers.dense({ units: classes.length, activation: 'softmax' }),
      ],
    }),
};

export default job;
