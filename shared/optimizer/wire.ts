// The optimizer's wire form, and back with every number checked. The parameters that an optimizer or a schedule
// has are those of the tables of defaults; other fields of the message are not read.
import type { TensorSpec } from '../blocks/manifest.js';
import type { Optimizer, Optimizer__Output } from '../rpc/generated/gradloom/v1/Optimizer.js';
import { refuse } from '../rpc/refusal.js';
import { groupsFault, type ParameterGroup } from './groups.js';
import { SCHEDULE_DEFAULTS, SCHEDULES, type ScheduleSpec } from './schedule.js';
import { OPTIMIZER_DEFAULTS, OPTIMIZERS, type OptimizerSpec, optimizerFault } from './spec.js';

type OptimizerNumber = Extract<Optimizer['kind'], number>;
type ScheduleNumber = 1 | 2 | 3 | 4;

export function optimizerToWire({ kind, schedule, groups, ...numbers }: OptimizerSpec): Optimizer {
  return {
    ...numbers,
    kind: (OPTIMIZERS.indexOf(kind) + 1) as OptimizerNumber,
    schedule: schedule && { ...schedule, kind: (SCHEDULES.indexOf(schedule.kind) + 1) as ScheduleNumber },
    groups: groups?.map((group) => ({ ...group })),
  };
}

/** The fields of a message that a table of defaults names. */
const pick = (message: object, defaults: object): object =>
  Object.fromEntries(Object.keys(defaults).map((key) => [key, (message as Record<string, unknown>)[key]]));

function scheduleFromWire(wire: NonNullable<Optimizer__Output['schedule']>): ScheduleSpec {
  const kind = SCHEDULES[wire.kind - 1];
  if (!kind)
    throw refuse('RUN_SPEC', `expected a schedule of ${SCHEDULES.join(', ')}, got number ${wire.kind}`);
  return { kind, ...pick(wire, SCHEDULE_DEFAULTS[kind]) } as ScheduleSpec;
}

function groupFromWire(wire: Optimizer__Output['groups'][number]): ParameterGroup {
  const { match, frozen } = wire;
  const numbers = (['learningRateScale', 'weightDecay', 'l1', 'l2'] as const).flatMap((key) =>
    wire[`_${key}`] === key ? [[key, wire[key]]] : [],
  );
  return { match, ...Object.fromEntries(numbers), ...(frozen ? { frozen } : {}) };
}

/**
 * Reads and checks an optimizer from the network, for a model of these tensors.
 * Throws Refused: RUN_SPEC, with what was expected and what came.
 */
export function optimizerFromWire(wire: Optimizer__Output, tensors: readonly TensorSpec[]): OptimizerSpec {
  const kind = OPTIMIZERS[wire.kind - 1];
  if (!kind)
    throw refuse('RUN_SPEC', `expected an optimizer of ${OPTIMIZERS.join(', ')}, got number ${wire.kind}`);
  const { learningRate, l1, l2, clipValue, clipNorm, schedule, groups } = wire;
  const optimizer = {
    kind,
    learningRate,
    ...pick(wire, OPTIMIZER_DEFAULTS[kind]),
    ...(l1 === 0 ? {} : { l1 }),
    ...(l2 === 0 ? {} : { l2 }),
    ...(clipValue === 0 ? {} : { clipValue }),
    ...(clipNorm === 0 ? {} : { clipNorm }),
    ...(schedule ? { schedule: scheduleFromWire(schedule) } : {}),
    ...(groups.length > 0 ? { groups: groups.map(groupFromWire) } : {}),
  } as OptimizerSpec;
  const fault = optimizerFault(optimizer) ?? groupsFault(optimizer, tensors);
  if (fault) throw refuse('RUN_SPEC', fault);
  return optimizer;
}

/** An optimizer as texts by name, for people and for comparison: each part by itself, so that each is short. */
export function describeOptimizer(optimizer: OptimizerSpec): Record<string, string> {
  const { kind, schedule = {}, groups = [], ...numbers } = optimizer;
  const sorted = (object: object) =>
    Object.entries(object)
      .filter(([, value]) => value !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
  const parts = [
    ...sorted(numbers),
    ...sorted(schedule).map(([key, value]) => [`schedule.${key}`, value]),
    ...groups.map((group, index) => [
      `group ${index + 1}`,
      JSON.stringify(Object.fromEntries(sorted(group))),
    ]),
  ];
  return {
    optimizer: kind,
    ...Object.fromEntries(parts.map(([key, value]) => [`optimizer's ${key}`, String(value)])),
  };
}
