// One optimizer update of one block, from the sum of the workers' gradients. The scalars (bias corrections)
// are computed here, once, in float64. Definitions as in TensorFlow.js; Adam: Kingma & Ba, ICLR 2015.
import { adamScalars, type Kernels } from '../shared/kernels/kernels.js';
import type { OptimizerSpec } from '../shared/run-spec.js';
import type { BlockMemory } from './shard-memory.js';

export interface Update {
  memory: BlockMemory;
  /** Byte address of the sum of gradients of these elements. */
  sum: number;
  /** The elements of the block that are updated. */
  from: number;
  elements: number;
  /** One over the total weight of the sum. */
  gradientScale: number;
  /** Updates of this block so far; Adam's t is one more. */
  version: number;
}

/** Applies the sum to elements of the block in place; returns the largest magnitude of their new values. */
export function applyOptimizer(kernels: Kernels, optimizer: OptimizerSpec, update: Update): number {
  const { memory, sum, from, elements, gradientScale, version } = update;
  const at = (array: number) => array + 4 * from;
  const common = { param: at(memory.values), gradient: sum, elements, gradientScale };
  switch (optimizer.kind) {
    case 'sgd':
      return kernels.sgd({ ...common, learningRate: optimizer.learningRate });
    case 'momentum':
      return kernels.momentum({
        ...common,
        learningRate: optimizer.learningRate,
        velocity: at(memory.slots[0]),
        momentum: optimizer.momentum,
        nesterov: optimizer.nesterov,
      });
    case 'adam':
      return kernels.adam({
        ...common,
        firstMoment: at(memory.slots[0]),
        secondMoment: at(memory.slots[1]),
        beta1: optimizer.beta1,
        beta2: optimizer.beta2,
        ...adamScalars(version + 1, optimizer),
      });
  }
}
