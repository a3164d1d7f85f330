// A job whose kernel is large enough for the lossy codecs, which leave small blocks as they are.
import { layers, sequential } from '@tensorflow/tfjs-layers';
import type { Job } from '../../../worker/job.js';
import small from './small.js';

const job: Job = {
  ...small,
  name: 'wide',
  model: ({ shape, classes }) =>
    sequential({
      layers: [
        layers.maxPooling2d({ inputShape: [...shape], poolSize: 4 }),
        layers.flatten(),
        layers.dense({ units: 32, activation: 'relu' }),
        layers.dense({ units: classes.length, activation: 'softmax' }),
      ],
    }),
};

export default job;
