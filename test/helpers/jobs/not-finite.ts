// A job whose loss is NaN once: at the third batch of 16 records. With a global batch of 33 that is step 3 of the
// second of two workers, whose share is the smaller one.

import { mean, mul, type Scalar, scalar } from '@tensorflow/tfjs-core';
import { metrics } from '@tensorflow/tfjs-layers';
import type { Job } from '../../../worker/job.js';
import small from './small.js';

const SHARE = 16;
let calls = 0;

const job: Job = {
  ...small,
  name: 'not-finite',
  loss(labels, predictions) {
    const loss = mean(metrics.categoricalCrossentropy(labels, predictions)) as Scalar;
    if (labels.shape[0] !== SHARE) return loss;
    calls++;
    return calls === 3 ? mul(loss, scalar(Number.NaN)) : loss;
  },
};

export default job;
