// Refuses options of the optimizer that contradict each other, as far as the options alone can tell: the job may
// say more, and then worker/training/compile-optimizer.ts checks the whole.
import { UserError } from '../errors.js';
import { SCHEDULE_DEFAULTS, SCHEDULES, type ScheduleKind } from '../optimizer/schedule.js';
import { decaysWeights, type OptimizerKind } from '../optimizer/spec.js';
import { isClocked, type RunSpec } from '../run/spec.js';

/** What flags, environment and config file say of the optimizer; undefined where they say nothing. */
export interface OptimizerFlags {
  readonly optimizer?: OptimizerKind;
  readonly learningRate?: number;
  readonly weightDecay?: number;
  readonly l1?: number;
  readonly l2?: number;
  readonly clipValue?: number;
  readonly clipNorm?: number;
  readonly schedule?: ScheduleKind;
  readonly warmupSteps?: number;
  readonly decaySteps?: number;
  readonly decayRate?: number;
  readonly decayEnd?: number;
  readonly decayPower?: number;
}

const DECAY = ['decaySteps', 'decayRate', 'decayEnd', 'decayPower'] as const;

/**
 * @param at how an option was written by the user, for the message
 * @throws UserError
 */
export function checkOptimizer(
  options: OptimizerFlags & Pick<RunSpec, 'consistency'>,
  at: (key: (typeof DECAY)[number] | 'weightDecay' | 'optimizer' | 'schedule' | 'clipNorm') => string,
): void {
  const { optimizer, weightDecay, schedule } = options;
  if (weightDecay !== undefined && optimizer !== undefined && !decaysWeights(optimizer))
    throw new UserError(
      `${at('weightDecay')}: expected ${at('optimizer')} adamw, lion or lamb beside it, got ${optimizer}; ` +
        'give --l2 for a penalty in the gradient',
    );
  for (const [key, needs] of [
    ['clipNorm', options.clipNorm !== undefined],
    ['optimizer', optimizer === 'lamb'],
  ] as const)
    if (needs && isClocked(options))
      throw new UserError(
        `${at(key)}: expected --consistency bsp or local beside ${key === 'optimizer' ? 'lamb' : 'it'}, got ${options.consistency}; ` +
          'norms of the whole gradient need a step that all blocks share',
      );
  for (const key of DECAY) {
    if (options[key] === undefined) continue;
    const fitting = SCHEDULES.filter((kind) => key in SCHEDULE_DEFAULTS[kind]).join(' or ');
    if (schedule === undefined || !(key in SCHEDULE_DEFAULTS[schedule]))
      throw new UserError(
        `${at(key)}: expected ${at('schedule')} ${fitting} beside it, got ${schedule ?? 'none'}; ` +
          'give both or leave it out',
      );
  }
  if (schedule === 'step' && options.decaySteps === undefined)
    throw new UserError(
      `${at('schedule')}: expected ${at('decaySteps')} N beside step, got none; give the steps from one fall to the next`,
    );
}
