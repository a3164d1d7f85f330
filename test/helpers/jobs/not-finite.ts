// A job whose loss is NaN once, at the third batch that a worker trains on, and in the worker of rank 0 or 1 alike.

import { mean, mul, type Scalar, scalar } from '@tensorflow/tfjs-core';
import { metrics } from '@tensorflow/tfjs-layers';
import type { Job } from '../../../worker/job.js';
import small from './small.js';

let calls = 0;

const job: Job = {
  ...small,
  name: 'not-finite',
  loss(labels, predictions) {
    const loss = mean(metrics.categoricalCrossentropy(labels, predictions)) as Scalar;
    calls++;
    return calls === 3 ? mul(loss, scalar(Number.NaN)) : loss;
  },
};

export default job;
