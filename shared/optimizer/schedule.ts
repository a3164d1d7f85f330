// The learning rate of a step: a warm-up that rises linearly, then constant, falling in steps, along half a cosine
// or as a power. A pure function in float64 of the schedule and the run's step; servers apply it, workers show it.
// Warm-up: Goyal et al., "Accurate, large minibatch SGD", 2017, section 2.2. Cosine: Loshchilov and Hutter,
// "SGDR", ICLR 2017, without restarts.

/** Steps count from 0; the decay counts from the end of the warm-up. */
export type ScheduleSpec =
  | { readonly kind: 'constant'; readonly warmupSteps: number }
  /** Times `decayRate` after every `decaySteps` steps. */
  | {
      readonly kind: 'step';
      readonly warmupSteps: number;
      readonly decaySteps: number;
      readonly decayRate: number;
    }
  /** From the learning rate to `decayEnd` of it in `decaySteps` steps, and constant from there. */
  | {
      readonly kind: 'cosine';
      readonly warmupSteps: number;
      readonly decaySteps: number;
      readonly decayEnd: number;
    }
  | {
      readonly kind: 'polynomial';
      readonly warmupSteps: number;
      readonly decaySteps: number;
      readonly decayEnd: number;
      readonly decayPower: number;
    };

export type ScheduleKind = ScheduleSpec['kind'];

/** In the order of their numbers on the wire, from 1. */
export const SCHEDULES = ['constant', 'step', 'cosine', 'polynomial'] as const;

/** What each schedule takes, with defaults; `decaySteps` has none, 0 stands for "not given". */
export const SCHEDULE_DEFAULTS = {
  constant: { warmupSteps: 0 },
  step: { warmupSteps: 0, decaySteps: 0, decayRate: 0.1 },
  cosine: { warmupSteps: 0, decaySteps: 0, decayEnd: 0 },
  polynomial: { warmupSteps: 0, decaySteps: 0, decayEnd: 0, decayPower: 1 },
} as const satisfies Record<ScheduleKind, Readonly<Record<string, number>>>;

/** The learning rate of the run's step `step` (from 0), where `base` is the one that the warm-up ends at. */
export function learningRateAt(schedule: ScheduleSpec | undefined, base: number, step: number): number {
  if (!schedule) return base;
  const { warmupSteps } = schedule;
  if (step < warmupSteps) return (base * (step + 1)) / warmupSteps;
  if (schedule.kind === 'constant') return base;
  const since = step - warmupSteps;
  const { decaySteps } = schedule;
  if (schedule.kind === 'step') return base * schedule.decayRate ** Math.floor(since / decaySteps);
  const progress = Math.min(since / decaySteps, 1);
  const left =
    schedule.kind === 'cosine'
      ? (1 + Math.cos(Math.PI * progress)) / 2
      : (1 - progress) ** schedule.decayPower;
  return base * (schedule.decayEnd + (1 - schedule.decayEnd) * left);
}

const isCount = (value: number, least: number) => Number.isSafeInteger(value) && value >= least;

/** What is wrong with a schedule: "expected …, got …"; undefined if nothing is. */
export function scheduleFault(schedule: ScheduleSpec): string | undefined {
  const { kind, warmupSteps } = schedule;
  if (!isCount(warmupSteps, 0)) return `expected warm-up steps of 0 or more, got ${warmupSteps}`;
  if (kind === 'constant') return undefined;
  if (!isCount(schedule.decaySteps, 1))
    return `expected decay steps of 1 or more for the schedule ${kind}, got ${schedule.decaySteps}`;
  if (kind === 'step')
    return schedule.decayRate > 0 && schedule.decayRate < 1
      ? undefined
      : `expected a decay rate between 0 and 1, got ${schedule.decayRate}`;
  if (!(schedule.decayEnd >= 0 && schedule.decayEnd < 1))
    return `expected a decay end in [0, 1), got ${schedule.decayEnd}`;
  if (kind === 'polynomial' && !(schedule.decayPower > 0 && Number.isFinite(schedule.decayPower)))
    return `expected a decay power above 0, got ${schedule.decayPower}`;
  return undefined;
}
