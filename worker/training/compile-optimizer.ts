// The optimizer that a run's spec carries, from what the job says and what the options say: options win, defaults
// fill the gaps, and a decay without an end of its own ends with the run. What contradicts is refused here, once
// everything is known.
import type { OptimizerFlags } from '../../shared/config/check-optimizer.js';
import { UserError } from '../../shared/errors.js';
import type { ParameterGroup } from '../../shared/optimizer/groups.js';
import {
  SCHEDULE_DEFAULTS,
  SCHEDULES,
  type ScheduleKind,
  type ScheduleSpec,
} from '../../shared/optimizer/schedule.js';
import {
  decaysWeights,
  OPTIMIZER_DEFAULTS,
  type OptimizerKind,
  type OptimizerSpec,
  optimizerFault,
  optimizerSpec,
} from '../../shared/optimizer/spec.js';

/** The optimizer of a job: what is left out is the default of shared/optimizer/spec.ts. */
export interface JobOptimizer {
  readonly kind: OptimizerKind;
  readonly learningRate: number;
  readonly momentum?: number;
  readonly nesterov?: boolean;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly initialAccumulator?: number;
  readonly decay?: number;
  readonly centered?: boolean;
  readonly weightDecay?: number;
  readonly l1?: number;
  readonly l2?: number;
  readonly clipValue?: number;
  readonly clipNorm?: number;
  readonly schedule?: JobSchedule;
  /** Rules for tensors by name; the first that matches holds. */
  readonly groups?: readonly ParameterGroup[];
}

export interface JobSchedule {
  readonly kind: ScheduleKind;
  readonly warmupSteps?: number;
  readonly decaySteps?: number;
  readonly decayRate?: number;
  readonly decayEnd?: number;
  readonly decayPower?: number;
}

const RULES = ['l1', 'l2', 'clipValue', 'clipNorm', 'schedule', 'groups'] as const;
const GROUP_KEYS = ['match', 'learningRateScale', 'weightDecay', 'l1', 'l2', 'frozen'];

/** Refuses a field that nothing would read: a typing mistake would else be without effect. */
function checkKeys(given: object, known: readonly string[], where: string): void {
  const unknown = Object.keys(given).find((key) => !known.includes(key));
  if (unknown !== undefined)
    throw new UserError(`--job: ${where}: expected fields of ${known.join(', ')}, got '${unknown}'`);
}

/** The fields of an object that are there, of those that are asked for. */
const some = (from: object, keys: readonly string[]): object =>
  Object.fromEntries(
    Object.entries(from).filter(([key, value]) => keys.includes(key) && value !== undefined),
  );

function scheduleOf(
  job: JobSchedule | undefined,
  flags: OptimizerFlags,
  totalSteps: number,
): ScheduleSpec | undefined {
  if (job) {
    if (!SCHEDULES.includes(job.kind))
      throw new UserError(
        `--job: optimizer.schedule.kind: expected one of ${SCHEDULES.join(', ')}, got ${JSON.stringify(job.kind)}`,
      );
    checkKeys(job, ['kind', ...Object.keys(SCHEDULE_DEFAULTS[job.kind])], `the schedule ${job.kind}`);
  }
  const kind = flags.schedule ?? job?.kind ?? (flags.warmupSteps === undefined ? undefined : 'constant');
  if (kind === undefined) return undefined;
  const keys = Object.keys(SCHEDULE_DEFAULTS[kind]);
  // --schedule takes the place of the whole schedule of the job.
  const own = flags.schedule === undefined && job ? some(job, keys) : {};
  const merged = { ...SCHEDULE_DEFAULTS[kind], ...own, ...some(flags, keys) } as Record<string, number>;
  const { warmupSteps } = merged;
  if (totalSteps > 0 && warmupSteps >= totalSteps)
    throw new UserError(
      `--warmup-steps: expected fewer than the ${totalSteps} steps of the run, got ${warmupSteps}; train for more --epochs or warm up faster`,
    );
  if (merged.decaySteps === 0 && kind !== 'step') merged.decaySteps = Math.max(1, totalSteps - warmupSteps);
  return { kind, ...merged } as ScheduleSpec;
}

/**
 * @param totalSteps of the whole run
 * @throws UserError
 */
export function compileOptimizer(
  job: JobOptimizer,
  flags: OptimizerFlags,
  totalSteps: number,
): OptimizerSpec {
  const ofJob = Object.keys(OPTIMIZER_DEFAULTS[job.kind]);
  checkKeys(job, ['kind', 'learningRate', ...ofJob, ...RULES], `the optimizer ${job.kind}`);
  for (const group of job.groups ?? []) {
    if (typeof group?.match !== 'string')
      throw new UserError(
        `--job: a group of the optimizer: expected {match: a pattern of names, …}, got ${JSON.stringify(group)}`,
      );
    checkKeys(group, GROUP_KEYS, 'a group of the optimizer');
  }
  const kind = flags.optimizer ?? job.kind;
  if (flags.weightDecay !== undefined && !decaysWeights(kind))
    throw new UserError(
      `--weight-decay: expected the optimizer adamw, lion or lamb, the job's is ${kind}; add --optimizer adamw, or give --l2`,
    );
  const schedule = scheduleOf(job.schedule, flags, totalSteps);
  const spec = {
    ...optimizerSpec(kind, flags.learningRate ?? job.learningRate),
    // Another optimizer than the job's has other parameters.
    ...(kind === job.kind ? some(job, ofJob) : {}),
    ...some(job, ['l1', 'l2', 'clipValue', 'clipNorm', 'groups']),
    ...some(flags, ['weightDecay', 'l1', 'l2', 'clipValue', 'clipNorm']),
    ...(schedule ? { schedule } : {}),
  } as OptimizerSpec;
  const fault = optimizerFault(spec);
  if (fault) throw new UserError(`the optimizer ${kind}: ${fault}`);
  return spec;
}

/** An optimizer as options that ask for it again, groups apart: they are the job's. */
export function optimizerFlags(optimizer: OptimizerSpec): Readonly<Record<string, number | string>> {
  const { kind, learningRate, l1, l2, clipValue, clipNorm, schedule } = optimizer;
  const { kind: name, ...numbers } = schedule ?? {};
  const flags = {
    optimizer: kind,
    learningRate,
    weightDecay: 'weightDecay' in optimizer ? optimizer.weightDecay : undefined,
    l1,
    l2,
    clipValue,
    clipNorm,
    schedule: name,
    ...numbers,
  };
  return Object.fromEntries(
    Object.entries(flags).flatMap(([key, value]) =>
      value === undefined ? [] : [[key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`), value]],
    ),
  );
}
