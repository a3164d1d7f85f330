// What the servers run on every trainable block, as all nodes of a run agree on it: the optimizer with its
// parameters, regularization, clipping, the schedule of its learning rate, and groups of tensors with rules of
// their own. One table says which parameters an optimizer has, and with which defaults.
import type { ParameterGroup } from './groups.js';
import { type ScheduleSpec, scheduleFault } from './schedule.js';

/** What every optimizer takes. What is not there is off. */
export interface OptimizerRules {
  /** Of the mean over the step's samples; scaled by schedule and groups. */
  readonly learningRate: number;
  /** The loss gets l1 · Σ|p| and l2 · Σp² of each trainable tensor, as TensorFlow.js's regularizers have it. */
  readonly l1?: number;
  readonly l2?: number;
  /** Each element of the mean gradient is cut to ± this, before the slopes of l1 and l2 are added. */
  readonly clipValue?: number;
  /** The mean gradient of the whole model is scaled down to this norm where it is longer, before all of these. */
  readonly clipNorm?: number;
  readonly schedule?: ScheduleSpec;
  readonly groups?: readonly ParameterGroup[];
}

interface Adam {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

export type OptimizerSpec = OptimizerRules &
  (
    | { readonly kind: 'sgd' }
    | { readonly kind: 'momentum'; readonly momentum: number; readonly nesterov: boolean }
    | ({ readonly kind: 'adam' } & Adam)
    | { readonly kind: 'adagrad'; readonly initialAccumulator: number; readonly epsilon: number }
    | {
        readonly kind: 'rmsprop';
        readonly decay: number;
        readonly momentum: number;
        readonly epsilon: number;
        readonly centered: boolean;
      }
    | ({ readonly kind: 'adamw'; readonly weightDecay: number } & Adam)
    | {
        readonly kind: 'lion';
        readonly beta1: number;
        readonly beta2: number;
        readonly weightDecay: number;
      }
    | ({ readonly kind: 'lamb'; readonly weightDecay: number } & Adam)
  );

export type OptimizerKind = OptimizerSpec['kind'];

/** In the order of their numbers on the wire, from 1. */
export const OPTIMIZERS = ['sgd', 'momentum', 'adam', 'adagrad', 'rmsprop', 'adamw', 'lion', 'lamb'] as const;

/**
 * Parameters of each optimizer with their defaults: TensorFlow.js's where it has the optimizer; AdamW's decay is
 * PyTorch's, Lion's betas are of its paper (Chen et al., "Symbolic discovery of optimization algorithms", 2023), LAMB's
 * numbers of You et al., "Large batch optimization for deep learning", ICLR 2020.
 */
export const OPTIMIZER_DEFAULTS = {
  sgd: {},
  momentum: { momentum: 0.9, nesterov: false },
  adam: { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 },
  adagrad: { initialAccumulator: 0.1, epsilon: 1e-7 },
  rmsprop: { decay: 0.9, momentum: 0, epsilon: 1e-7, centered: false },
  adamw: { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weightDecay: 0.01 },
  lion: { beta1: 0.9, beta2: 0.99, weightDecay: 0.01 },
  lamb: { beta1: 0.9, beta2: 0.999, epsilon: 1e-6, weightDecay: 0.01 },
} as const satisfies Record<OptimizerKind, Readonly<Record<string, number | boolean>>>;

/** The optimizer of a name with its defaults. */
export function optimizerSpec(kind: OptimizerKind, learningRate: number): OptimizerSpec {
  return { kind, learningRate, ...OPTIMIZER_DEFAULTS[kind] } as OptimizerSpec;
}

/** Whether the optimizer decays weights by itself, apart from the gradient. */
export const decaysWeights = (kind: OptimizerKind): boolean => 'weightDecay' in OPTIMIZER_DEFAULTS[kind];

const rate = { fits: (value: number) => value >= 0 && value < 1, expected: 'in [0, 1)' };
/** What is used in fp32 must be finite there. */
const finite = (value: number) => typeof value === 'number' && Number.isFinite(Math.fround(value));
const notNegative = { fits: (value: number) => value >= 0 && finite(value), expected: 'of 0 or more' };
/** Alone under a root, epsilon is what keeps 0 / 0 away: it must not vanish in fp32. */
const LEAST_EPSILON = 1e-30;

/** Ranges of the parameters, with the name that messages have for each. */
const RANGES: Record<string, { fits(value: number): boolean; expected: string; name: string }> = {
  momentum: { ...rate, name: 'momentum' },
  beta1: { ...rate, name: 'betas' },
  beta2: { ...rate, name: 'betas' },
  decay: { ...rate, name: 'a decay' },
  epsilon: { ...notNegative, name: 'an epsilon' },
  initialAccumulator: { ...notNegative, name: 'an initial accumulator' },
  weightDecay: { ...notNegative, name: 'a weight decay' },
};

/** What is wrong with an optimizer, its groups apart: "expected …, got …"; undefined if nothing is. */
export function optimizerFault(optimizer: OptimizerSpec): string | undefined {
  const { kind, learningRate, l1 = 0, l2 = 0, clipValue, clipNorm, schedule } = optimizer;
  if (!OPTIMIZERS.includes(kind)) return `expected one of ${OPTIMIZERS.join(', ')}, got '${kind}'`;
  if (!(learningRate > 0 && Number.isFinite(learningRate)))
    return `expected a learning rate above 0, got ${learningRate}`;
  const given = optimizer as unknown as Record<string, unknown>;
  for (const [key, fallback] of Object.entries(OPTIMIZER_DEFAULTS[kind])) {
    const value = given[key];
    if (typeof value !== typeof fallback)
      return `expected ${key} of ${kind} to be a ${typeof fallback}, got ${value}`;
    const range = RANGES[key];
    if (range && !range.fits(value as number))
      return `expected ${range.name} ${range.expected}, got ${value}`;
  }
  if ((kind === 'adagrad' || kind === 'rmsprop') && optimizer.epsilon < LEAST_EPSILON)
    return `expected an epsilon of ${LEAST_EPSILON} or more for ${kind}, got ${optimizer.epsilon}`;
  if (!notNegative.fits(l1) || !notNegative.fits(l2))
    return `expected l1 and l2 of 0 or more, got ${l1} and ${l2}`;
  if (clipValue !== undefined && !(finite(clipValue) && Math.fround(clipValue) > 0))
    return `expected a value above 0 to clip at, got ${clipValue}`;
  if (clipNorm !== undefined && !(finite(clipNorm) && clipNorm > 0))
    return `expected a norm above 0 to clip at, got ${clipNorm}`;
  return schedule && scheduleFault(schedule);
}
