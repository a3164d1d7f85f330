// One optimizer update of one block, from a sum of gradients: on the servers from that of the workers, under
// `local` on a worker from its own. The scalars (bias corrections) are computed here, once, in float64.
// Definitions as in TensorFlow.js; Adam: Kingma & Ba, ICLR 2015.
import { adamScalars, type Kernels } from '../kernels/kernels.js';
import type { OptimizerSpec } from '../run-spec.js';

/** The slots of an optimizer (fp32 arrays of state beside a block's values) by the value that each starts with. */
export function initialSlots(optimizer: OptimizerSpec): readonly number[] {
  switch (optimizer.kind) {
    case 'sgd':
      return [];
    case 'momentum':
      return [0];
    case 'adam':
      return [0, 0];
  }
}

/** Byte addresses of a block's fp32 arrays in the kernels' memory. */
export interface OptimizerMemory {
  readonly values: number;
  readonly accumulator: number;
  readonly slots: readonly number[];
}

export interface Update {
  memory: OptimizerMemory;
  elements: number;
  /** One over the total weight of the sum in the accumulator. */
  gradientScale: number;
  /** Updates of this block so far; Adam's t is one more. */
  version: number;
}

/** Applies the accumulator to the block in place; returns the largest magnitude of the new values. */
export function applyOptimizer(kernels: Kernels, optimizer: OptimizerSpec, update: Update): number {
  const { memory, elements, gradientScale, version } = update;
  const common = { param: memory.values, gradient: memory.accumulator, elements, gradientScale };
  switch (optimizer.kind) {
    case 'sgd':
      return kernels.sgd({ ...common, learningRate: optimizer.learningRate });
    case 'momentum':
      return kernels.momentum({
        ...common,
        learningRate: optimizer.learningRate,
        velocity: memory.slots[0],
        momentum: optimizer.momentum,
        nesterov: optimizer.nesterov,
      });
    case 'adam':
      return kernels.adam({
        ...common,
        firstMoment: memory.slots[0],
        secondMoment: memory.slots[1],
        beta1: optimizer.beta1,
        beta2: optimizer.beta2,
        ...adamScalars(version + 1, optimizer),
      });
  }
}
