// One optimizer update of one block, from a sum of gradients: on the servers from that of the workers, under
// `local` on a worker from its own. The scalars (learning rate of the step, bias corrections) are computed here,
// once, in float64. Where the gradient is clipped or regularized, a pass before makes it the mean. Definitions as in
// TensorFlow.js; Adam: Kingma & Ba, ICLR 2015; AdamW: Loshchilov & Hutter, ICLR 2019; Lion: Chen et al., 2023;
// LAMB: You et al., ICLR 2020. What waits for norms of the whole gradient measures a block before (`measureBlock`).
import assert from 'node:assert';
import { adamScalars, type Kernels } from '../kernels/kernels.js';
import type { TensorRule } from './groups.js';
import { type NormRound, squaredNorm } from './norms.js';
import { learningRateAt } from './schedule.js';
import type { OptimizerSpec } from './spec.js';

/** Optimizer slots (fp32 arrays of state beside a block's values), in their order, by the value each starts with. */
export function initialSlots(optimizer: OptimizerSpec): readonly number[] {
  switch (optimizer.kind) {
    case 'sgd':
      return [];
    case 'momentum':
    case 'lion':
      return [0];
    case 'adagrad':
      return [optimizer.initialAccumulator];
    case 'adam':
    case 'adamw':
    case 'lamb':
      return [0, 0];
    case 'rmsprop':
      return [0, ...(optimizer.momentum > 0 ? [0] : []), ...(optimizer.centered ? [0] : [])];
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
  /** One over the total weight of the sum in the accumulator, times the factor of clipping by global norm. */
  gradientScale: number;
  /** Updates of this block so far; Adam's t is one more. */
  version: number;
  /** The run's step, which the schedule goes by. */
  step: number;
  /** What holds for the block's tensor. */
  rule: TensorRule;
  /** What another has computed of the same update, and a gradient that `prepare` has been over. */
  prepared?: UpdateScalars;
  /** sgd: where the marks of the block lie, if its sum is a list (kernels/assembly/topk-marked.ts). */
  marks?: number;
  /** lamb: of the block's tensor; the accumulator then holds the direction that `measureBlock` left there. */
  trustRatio?: number;
}

/**
 * The scalars of one update: the scale that makes the accumulator a mean, the learning rate, and adam's and adamw's own.
 * Whoever repeats an update elsewhere needs these very numbers: `Math.pow` may differ between versions of Node.
 */
export interface UpdateScalars {
  readonly gradientScale: number;
  readonly learningRate: number;
  readonly stepSize?: number;
  readonly epsilon?: number;
}

/** Of an update whose gradient `prepare` has been over. */
export function scalarsOf(
  optimizer: OptimizerSpec,
  { version, step, rule, gradientScale }: Pick<Update, 'version' | 'step' | 'rule' | 'gradientScale'>,
): UpdateScalars {
  const learningRate =
    learningRateAt(optimizer.schedule, optimizer.learningRate, step) * rule.learningRateScale;
  const scale = isPrepared(optimizer, rule) ? 1 : gradientScale;
  if (optimizer.kind !== 'adam' && optimizer.kind !== 'adamw') return { gradientScale: scale, learningRate };
  const { beta1, beta2 } = optimizer;
  const options = { learningRate, beta1, beta2, epsilon: optimizer.epsilon };
  const { stepSize, epsilon } = adamScalars(version + 1, options);
  return { gradientScale: scale, learningRate, stepSize, epsilon };
}

/** Whether elements without a gradient stay as they are. */
export const leavesOthersAlone = (optimizer: OptimizerSpec, rule: TensorRule): boolean =>
  optimizer.kind === 'sgd' && !isPrepared(optimizer, rule);

const isPrepared = (optimizer: OptimizerSpec, { l1, l2 }: TensorRule): boolean =>
  optimizer.clipValue !== undefined || l1 !== 0 || l2 !== 0;

/** Makes the accumulator the mean gradient where something acts on that; returns the scale that is left to apply. */
function prepare(kernels: Kernels, optimizer: OptimizerSpec, update: Update): number {
  const { memory, elements, gradientScale, rule } = update;
  const { l1, l2 } = rule;
  if (!isPrepared(optimizer, rule)) return gradientScale;
  const clipValue = optimizer.clipValue ?? Number.POSITIVE_INFINITY;
  const { values: param, accumulator: gradient } = memory;
  kernels.prepareGradient({ gradient, param, elements, gradientScale, clipValue, l1, l2 });
  return 1;
}

/**
 * The squared norms that a round of an optimizer waits for, of one block (see `NormRound`), in float64. `trust` takes
 * LAMB's first half of the update: the moments are new, and the accumulator holds the direction.
 */
export function measureBlock(
  kernels: Kernels,
  optimizer: OptimizerSpec,
  round: NormRound,
  update: Update,
): number[] {
  const { memory, elements, version, rule } = update;
  const { values: param, accumulator: gradient } = memory;
  if (round === 'gradient') return [squaredNorm(kernels, gradient, elements, update.gradientScale)];
  assert(optimizer.kind === 'lamb', 'only lamb trusts');
  const { beta1, beta2, epsilon } = optimizer;
  const [firstMoment, secondMoment] = memory.slots;
  kernels.lambDirection({
    ...{ param, gradient, elements, firstMoment, secondMoment, beta1, beta2 },
    gradientScale: prepare(kernels, optimizer, update),
    weightDecay: rule.weightDecay,
    ...adamScalars(version + 1, { learningRate: 1, beta1, beta2, epsilon }),
  });
  return [squaredNorm(kernels, param, elements, 1), squaredNorm(kernels, gradient, elements, 1)];
}

/** Applies the accumulator to the block in place; returns the largest magnitude of the new values: with marks, of those that changed. */
export function applyOptimizer(kernels: Kernels, optimizer: OptimizerSpec, update: Update): number {
  const { memory, elements, prepared } = update;
  const { weightDecay } = update.rule;
  const { learningRate, stepSize, epsilon } = prepared ?? scalarsOf(optimizer, update);
  const param = memory.values;
  const gradient = memory.accumulator;
  if (optimizer.kind === 'lamb') {
    assert(update.trustRatio !== undefined, 'lamb takes a trust ratio');
    const trusted = learningRate * update.trustRatio;
    return kernels.sgd({ param, gradient, elements, gradientScale: 1, learningRate: trusted });
  }
  const gradientScale = prepared?.gradientScale ?? prepare(kernels, optimizer, update);
  const common = { param, gradient, elements, gradientScale, learningRate };
  const [first, second] = memory.slots;
  switch (optimizer.kind) {
    case 'sgd':
      return update.marks === undefined ? kernels.sgd(common) : kernels.sgdMarked(common, update.marks);
    case 'momentum': {
      const { momentum, nesterov } = optimizer;
      return kernels.momentum({ ...common, velocity: first, momentum, nesterov });
    }
    case 'adam':
    case 'adamw': {
      const { beta1, beta2 } = optimizer;
      // Not spread: V8 would give each such object a shape of its own, which costs microseconds a block.
      const step = {
        param,
        gradient,
        elements,
        gradientScale,
        firstMoment: first,
        secondMoment: second,
        beta1,
        beta2,
        stepSize: stepSize as number,
        epsilon: epsilon as number,
      };
      return optimizer.kind === 'adam'
        ? kernels.adam(step)
        : kernels.adamw({ decayRate: learningRate * weightDecay, ...step });
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
