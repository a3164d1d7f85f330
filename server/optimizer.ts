// One optimizer update of one block, from the sum of the workers' gradients. The scalars (learning rate of the
// step, bias corrections) are computed here, once, in float64. Where the gradient is clipped or regularized, a pass
// before makes it the mean. Definitions as in TensorFlow.js; Adam: Kingma & Ba, ICLR 2015; AdamW: Loshchilov &
// Hutter, ICLR 2019; Lion: Chen et al., 2023.
import { adamScalars, type Kernels } from '../shared/kernels/kernels.js';
import type { TensorRule } from '../shared/optimizer/groups.js';
import { learningRateAt } from '../shared/optimizer/schedule.js';
import type { OptimizerSpec } from '../shared/run-spec.js';
import type { BlockMemory } from './shard-memory.js';

export interface Update {
  memory: BlockMemory;
  elements: number;
  /** One over the total weight of the sum in the accumulator. */
  gradientScale: number;
  /** Updates of this block so far; Adam's t is one more. */
  version: number;
  /** The run's step, which the schedule goes by. */
  step: number;
  /** What holds for the block's tensor. */
  rule: TensorRule;
}

/** Applies the accumulator to the block in place; returns the largest magnitude of the new values. */
export function applyOptimizer(kernels: Kernels, optimizer: OptimizerSpec, update: Update): number {
  const { memory, elements, version, step, rule } = update;
  const { l1, l2, weightDecay, learningRateScale } = rule;
  let { gradientScale } = update;
  const learningRate = learningRateAt(optimizer.schedule, optimizer.learningRate, step) * learningRateScale;
  const param = memory.values;
  const gradient = memory.accumulator;
  if (optimizer.clipValue !== undefined || l1 > 0 || l2 > 0) {
    const clipValue = optimizer.clipValue ?? Number.POSITIVE_INFINITY;
    kernels.prepareGradient({ gradient, param, elements, gradientScale, clipValue, l1, l2 });
    gradientScale = 1;
  }
  const common = { param, gradient, elements, gradientScale, learningRate };
  const [first, second] = memory.slots;
  switch (optimizer.kind) {
    case 'sgd':
      return kernels.sgd(common);
    case 'momentum': {
      const { momentum, nesterov } = optimizer;
      return kernels.momentum({ ...common, velocity: first, momentum, nesterov });
    }
    case 'adam':
    case 'adamw': {
      const { beta1, beta2 } = optimizer;
      const moments = { firstMoment: first, secondMoment: second, beta1, beta2 };
      const scalars = adamScalars(version + 1, { ...optimizer, learningRate });
      return optimizer.kind === 'adam'
        ? kernels.adam({ ...common, ...moments, ...scalars })
        : kernels.adamw({ ...common, ...moments, ...scalars, decayRate: learningRate * weightDecay });
    }
    case 'adagrad':
      return kernels.adagrad({ ...common, sum: first, epsilon: optimizer.epsilon });
    case 'rmsprop': {
      const { decay, momentum, epsilon, centered } = optimizer;
      const velocity = momentum > 0 ? second : undefined;
      const mean = centered ? memory.slots.at(-1) : undefined;
      return kernels.rmsprop({ ...common, square: first, velocity, mean, decay, momentum, epsilon });
    }
    case 'lion': {
      const { beta1, beta2 } = optimizer;
      return kernels.lion({ ...common, moment: first, beta1, beta2, decayRate: learningRate * weightDecay });
    }
  }
}
