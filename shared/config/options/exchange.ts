// Options of the exchange: how numbers travel, whom a step waits for, and what is taken from a worker.
import { z } from 'zod';
import { ROUNDINGS } from '../../codec/codec-options.js';
import { TOPK_PERCENT_DEFAULT, TOPK_PERCENT_MAX } from '../../codec/topk.js';
import {
  LOCAL_STEPS_MAX,
  REFUSALS_LIMIT_DEFAULT,
  REFUSALS_MAX,
  SCHEDULE_STEPS_MAX,
  STALENESS_MAX,
  WORKERS_MAX,
} from '../../limits.js';
import { defaulting, oneOf, onOff, optional, real, whole } from './kinds.js';

export const CODECS = ['fp32', 'fp16', 'bf16', 'int8', 'topk', 'sign'] as const;
export const CONSISTENCIES = ['bsp', 'ssp', 'asp', 'local'] as const;

export const EXCHANGE_OPTIONS = {
  codec: defaulting(oneOf({ flag: 'codec', help: 'how numbers travel, both ways' }, CODECS, 'fp16'), 'fp16'),
  topKPercent: optional({
    flag: 'top-k',
    placeholder: 'PERCENT',
    help: "codec topk: elements of a block that travel, in percent of the block's",
    fallback: String(TOPK_PERCENT_DEFAULT),
    kind: 'number',
    schema: z.number().positive().max(TOPK_PERCENT_MAX),
    expected: `a percentage above 0 and at most ${TOPK_PERCENT_MAX}`,
    example: 1,
  }),
  topKWarmupSteps: optional(
    whole(
      {
        flag: 'top-k-warmup-steps',
        help: `codec topk: steps in which the percentage falls from ${TOPK_PERCENT_MAX} to its own`,
        fallback: '0',
      },
      0,
      SCHEDULE_STEPS_MAX,
      500,
    ),
  ),
  rounding: optional(
    oneOf(
      { flag: 'rounding', help: 'codec int8: how contributions are rounded', fallback: 'nearest' },
      ROUNDINGS,
      'stochastic',
    ),
  ),
  consistency: defaulting(
    oneOf(
      { flag: 'consistency', help: 'which workers a step waits for, or local steps' },
      CONSISTENCIES,
      'bsp',
    ),
    'bsp',
  ),
  staleness: optional(
    whole(
      {
        flag: 'staleness',
        help: 'steps that a worker may be ahead of the slowest, with --consistency ssp',
        fallback: 'none',
      },
      0,
      STALENESS_MAX,
      3,
    ),
  ),
  backupWorkers: defaulting(
    whole(
      {
        flag: 'backup-workers',
        help: 'with bsp: workers that a step goes on without, the last ones; what they have for it is dropped',
      },
      0,
      WORKERS_MAX - 1,
      1,
    ),
    0,
  ),
  localSteps: optional(
    whole(
      {
        flag: 'local-steps',
        help: 'with local: steps of a worker between two exchanges',
        fallback: 'none',
      },
      1,
      LOCAL_STEPS_MAX,
      20,
    ),
  ),
  outerLearningRate: optional({
    flag: 'outer-learning-rate',
    placeholder: 'X',
    help: 'with local: step size of what the servers run on the differences',
    fallback: '0.7',
    kind: 'number',
    schema: z.number().positive(),
    expected: 'a number above 0',
    example: 0.7,
  }),
  outerMomentum: optional({
    flag: 'outer-momentum',
    placeholder: 'X',
    help: 'with local: Nesterov momentum of the same',
    fallback: '0.9',
    kind: 'number',
    schema: z.number().min(0).lt(1),
    expected: 'a number from 0 to below 1',
    example: 0.9,
  }),
  gradientLimit: optional(
    real(
      {
        flag: 'gradient-limit',
        help: 'refuses a contribution with an element above X, and ends the run with the name of its worker',
        fallback: 'none',
      },
      z.number().positive(),
      'a number above 0',
      1000,
    ),
  ),
  elastic: onOff({
    flag: 'elastic',
    help: 'go on without a worker that leaves or dies; servers keep a second copy of parameters and optimizer state',
  }),
  refusalsLimit: optional(
    whole(
      {
        flag: 'refusals-limit',
        help: 'with --elastic: steps in a row with gradients not finite, or above --gradient-limit, after which a worker is put out',
        fallback: String(REFUSALS_LIMIT_DEFAULT),
      },
      1,
      REFUSALS_MAX,
      10,
    ),
  ),
};
