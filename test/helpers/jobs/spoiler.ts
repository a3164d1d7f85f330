// A job that one of three workers spoils: its gradients are never finite. With a global batch of 65 that is the worker
// of rank 2, whose share of 21 records is the smaller one; without it no share is of that size.
import { mean, mul, type Scalar, scalar } from '@tensorflow/tfjs-core';
import { metrics } from '@tensorflow/tfjs-layers';
import type { Job } from '../../../worker/job.js';
import small from './small.js';

const SHARE = 21;

const job: Job = {
  ...small,
  name: 'spoiler',
  loss(labels, predictions) {
    const loss = mean(metrics.categoricalCrossentropy(labels, predictions)) as Scalar;
    return labels.shape[0] === SHARE ? mul(loss, scalar(Number.NaN)) : loss;
  },
};

export default job;
