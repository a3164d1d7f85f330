// What is trained in a simulated cluster: the model, the samples of each worker, and gradients that (worker, step, tensor)
// decide, so that what the parameters must be is known without any of the code. No node and no network is in it: the
// checkers go by it, too.

import { optimizerSpec } from '../../../shared/optimizer/spec.js';
import { keyedRandom } from '../../../shared/random.js';
import type { RunSpec } from '../../../shared/run/spec.js';
import type { ClusterOptions } from './cluster.js';

export const LEARNING_RATE = 2 ** -6;
export type Tensors = RunSpec['tensors'];
const TENSORS: Tensors = Array.from('abcdefgh', (name) => ({ name, shape: [3], kind: 'trainable' }));
/** Some large enough for a lossy codec, and every kind. */
export const MIXED_TENSORS: Tensors = [
  { name: 'a', shape: [1100], kind: 'trainable' },
  { name: 'b', shape: [3], kind: 'trainable' },
  { name: 'c', shape: [1024], kind: 'trainable' },
  { name: 'd', shape: [5], kind: 'state' },
  { name: 'e', shape: [40, 30], kind: 'trainable' },
  { name: 'f', shape: [4], kind: 'frozen' },
];
/** Of top-k: so that every element has its turn in a few steps, or so few that sums are lists of them. */
const TOPK_PERCENTS = [10, 2];

/** What a worker's gradient of a tensor is at a step, in its first element: whole, and never 0, so that none goes unseen. */
export function gradientOf(worker: number, step: number, tensor: number): number {
  const magnitude = 1 + keyedRandom(7, 'gradient', worker, step, tensor).below(8);
  return keyedRandom(7, 'sign', worker, step, tensor).below(2) === 0 ? magnitude : -magnitude;
}

/** By which the gradient of an element is smaller than that of the first. */
export const shareOf = (element: number): number => 1 - (element % 16) / 32;

/** Samples of a worker's part of a step. */
export const samplesOf = (worker: number): number => 1 + (worker % 3);

/** The run that the workers of a cluster join. */
export function specOf(options: ClusterOptions): RunSpec {
  const { workers, steps, codec, consistency } = options;
  return {
    job: 'simulation',
    tensors: options.tensors ?? TENSORS,
    ...(codec === 'topk' ? { topKPercent: TOPK_PERCENTS[workers % TOPK_PERCENTS.length] } : {}),
    optimizer: options.optimizer ?? optimizerSpec('sgd', LEARNING_RATE),
    ...(options.elastic ? { elastic: true } : {}),
    consistency,
    ...(options.staleness === undefined ? {} : { staleness: options.staleness }),
    codec,
    replicas: options.replicas ?? 1,
    workers,
    globalBatch: Array.from({ length: workers }, (_, worker) => samplesOf(worker)).reduce((a, b) => a + b),
    epochs: 1,
    stepsPerEpoch: steps,
    seed: 1,
    dataFingerprint: 'none',
  };
}
