// The small job, whose loss takes GRADLOOM_TEST_SLOW_MS milliseconds longer for each batch: one worker of a run can be
// made slow by its environment.
import { mean, type Scalar } from '@tensorflow/tfjs-core';
import { metrics } from '@tensorflow/tfjs-layers';
import type { Job } from '../../../worker/job.js';
import small from './small.js';

const slowMs = Number(process.env.GRADLOOM_TEST_SLOW_MS ?? 0);

const job: Job = {
  ...small,
  name: 'slow',
  loss(labels, predictions) {
    if (slowMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, slowMs);
    return mean(metrics.categoricalCrossentropy(labels, predictions)) as Scalar;
  },
};

export default job;
