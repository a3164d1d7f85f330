// Options of the optimizer that the servers run; what goes with what is checked in ../check-optimizer.ts.
import { z } from 'zod';
import { SCHEDULE_STEPS_MAX } from '../../limits.js';
import { SCHEDULES } from '../../optimizer/schedule.js';
import { OPTIMIZERS } from '../../optimizer/spec.js';
import { oneOf, optional, real, whole } from './kinds.js';

export const OPTIMIZER_OPTIONS = {
  learningRate: optional({
    flag: 'learning-rate',
    placeholder: 'X',
    help: 'step size of the optimizer',
    fallback: "the job's",
    kind: 'number',
    schema: z.number().positive(),
    expected: 'a number above 0',
    example: 0.001,
  }),
  optimizer: optional(
    oneOf(
      { flag: 'optimizer', help: 'what the servers run, with local each worker', fallback: "the job's" },
      OPTIMIZERS,
      'adam',
    ),
  ),
  weightDecay: optional(
    real(
      {
        flag: 'weight-decay',
        help: 'of adamw, lion and lamb: share of a weight that a step takes away, times the learning rate',
        fallback: "the job's, else 0.01",
      },
      z.number().min(0),
      'a number of 0 or more',
      0.01,
    ),
  ),
  l1: optional(
    real(
      { flag: 'l1', help: 'adds X times the sum of |w| to the loss', fallback: "the job's, else 0" },
      z.number().min(0),
      'a number of 0 or more',
      1e-5,
    ),
  ),
  l2: optional(
    real(
      { flag: 'l2', help: 'adds X times the sum of w² to the loss', fallback: "the job's, else 0" },
      z.number().min(0),
      'a number of 0 or more',
      1e-4,
    ),
  ),
  clipValue: optional(
    real(
      {
        flag: 'clip-value',
        help: 'cuts each element of the mean gradient to ± X',
        fallback: "the job's, else no cut",
      },
      z.number().positive(),
      'a number above 0',
      1,
    ),
  ),
  clipNorm: optional(
    real(
      {
        flag: 'clip-norm',
        help: 'scales the mean gradient of the whole model down to this norm; blocks then wait for one another',
        fallback: "the job's, else no limit",
      },
      z.number().positive(),
      'a number above 0',
      1,
    ),
  ),
  schedule: optional(
    oneOf(
      {
        flag: 'schedule',
        help: 'how the learning rate goes on after the warm-up',
        fallback: "the job's, else constant",
      },
      SCHEDULES,
      'cosine',
    ),
  ),
  warmupSteps: optional(
    whole(
      { flag: 'warmup-steps', help: 'steps in which the learning rate rises to its own', fallback: '0' },
      0,
      SCHEDULE_STEPS_MAX,
      500,
    ),
  ),
  decaySteps: optional(
    whole(
      {
        flag: 'decay-steps',
        help: 'steps from one fall to the next (step), or to the end (cosine, polynomial)',
        fallback: 'to the end of the run; step needs it',
      },
      1,
      SCHEDULE_STEPS_MAX,
      1000,
    ),
  ),
  decayRate: optional(
    real(
      { flag: 'decay-rate', help: 'factor of each fall of the schedule step', fallback: '0.1' },
      z.number().gt(0).lt(1),
      'a number between 0 and 1',
      0.5,
    ),
  ),
  decayEnd: optional(
    real(
      {
        flag: 'decay-end',
        help: 'share of the learning rate at which cosine and polynomial end',
        fallback: '0',
      },
      z.number().min(0).lt(1),
      'a number of 0 or more, below 1',
      0.1,
    ),
  ),
  decayPower: optional(
    real(
      { flag: 'decay-power', help: 'exponent of the schedule polynomial', fallback: '1, a line' },
      z.number().positive(),
      'a number above 0',
      2,
    ),
  ),
};
