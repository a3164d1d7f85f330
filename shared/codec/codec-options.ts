// What can be said beside a codec's name, in jobs, `fit` and the SDK alike: checked here, and put into the form of a run.
import { SCHEDULE_STEPS_MAX } from '../limits.js';
import { TOPK_PERCENT_DEFAULT, TOPK_PERCENT_MAX } from './topk.js';

/** How int8 rounds contributions: to nearest, or up or down by chance, which is right in the mean. */
export const ROUNDINGS = ['nearest', 'stochastic'] as const;

export interface CodecOptions {
  /** Codec topk: percentage of each block's elements that travel, above 0, at most 25. Default 1. */
  topKPercent?: number;
  /** Codec topk: steps in which the percentage falls from 25 to its own. Default 0. */
  topKWarmupSteps?: number;
  /** Codec int8: how contributions are rounded. Default nearest. */
  rounding?: (typeof ROUNDINGS)[number];
}

const CODEC_OF = { topKPercent: 'topk', topKWarmupSteps: 'topk', rounding: 'int8' } as const;

/** What is wrong with options beside a codec, with the name of the field; undefined: nothing. */
export function codecOptionsFault(codec: string, options: CodecOptions): string | undefined {
  for (const [name, only] of Object.entries(CODEC_OF))
    if (options[name as keyof CodecOptions] !== undefined && codec !== only)
      return `${name}: expected codec ${only} with it, got ${codec}; leave it out, or take that codec`;
  const { topKPercent = TOPK_PERCENT_DEFAULT, topKWarmupSteps = 0, rounding = 'nearest' } = options;
  if (!(topKPercent > 0 && topKPercent <= TOPK_PERCENT_MAX))
    return `topKPercent: expected a percentage above 0 and at most ${TOPK_PERCENT_MAX}, got ${topKPercent}`;
  if (!(Number.isInteger(topKWarmupSteps) && topKWarmupSteps >= 0 && topKWarmupSteps <= SCHEDULE_STEPS_MAX))
    return `topKWarmupSteps: expected a whole number from 0 to ${SCHEDULE_STEPS_MAX}, got ${topKWarmupSteps}`;
  if (!ROUNDINGS.includes(rounding))
    return `rounding: expected one of ${ROUNDINGS.join(', ')}, got "${rounding}"`;
  return undefined;
}

/** Checked options as a run has them. */
export function codecOptionsOfRun(codec: string, options: CodecOptions) {
  const { topKPercent = TOPK_PERCENT_DEFAULT, topKWarmupSteps = 0, rounding } = options;
  return {
    ...(codec === 'topk' ? { topKPercent } : {}),
    ...(topKWarmupSteps > 0 ? { topKWarmupSteps } : {}),
    ...(rounding === 'stochastic' ? { stochasticRounding: true } : {}),
  };
}
