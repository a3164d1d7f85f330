// The comparison that tells two workers where their options differ.
import { manifestDifference } from '../blocks/manifest.js';
import { TOPK_PERCENT_DEFAULT } from '../codec/topk.js';
import type { OptimizerSpec } from '../optimizer/spec.js';
import { describeOptimizer } from '../optimizer/wire.js';
import { describeTables } from '../rows/tables.js';
import { type Refused, refuse } from '../rpc/refusal.js';
import type { RunSpec } from './spec.js';

const describeInner = (optimizer: OptimizerSpec) =>
  Object.fromEntries(
    Object.entries(describeOptimizer(optimizer)).map(([name, text]) => [`inner ${name}`, text]),
  );

/** All but the tensors and the snapshots, by the names that messages have. */
export function describeSpec(spec: RunSpec): Record<string, string | number | undefined> {
  return {
    job: spec.job,
    ...describeOptimizer(spec.optimizer),
    consistency: spec.consistency,
    staleness: spec.staleness ?? 0,
    'number of backup workers': spec.backupWorkers ?? 0,
    codec: spec.codec,
    'top-k percentage': spec.codec === 'topk' ? (spec.topKPercent ?? TOPK_PERCENT_DEFAULT) : undefined,
    'top-k warm-up steps': spec.topKWarmupSteps ?? 0,
    rounding: spec.stochasticRounding ? 'stochastic' : 'nearest',
    'gradient limit': spec.gradientLimit,
    elastic: spec.elastic ? 'on' : 'off',
    replicas: spec.replicas,
    'limit of refusals': spec.refusalsLimit,
    workers: spec.workers,
    batch: spec.globalBatch,
    epochs: spec.epochs,
    'steps per epoch': spec.stepsPerEpoch,
    seed: spec.seed,
    'data fingerprint': spec.dataFingerprint,
    ...(spec.local && { 'local steps': spec.local.steps, ...describeInner(spec.local.optimizer) }),
    ...describeTables(spec.tables ?? []),
  };
}

const describeSnapshots = ({ snapshots, resume }: RunSpec): Record<string, string | number | undefined> => ({
  'steps between snapshots': snapshots?.everySteps,
  'seconds between snapshots': snapshots?.everySeconds,
  'number of snapshots kept': snapshots?.keep,
  'snapshot to resume from': resume && `that of step ${resume.step}, ${resume.sha256.slice(0, 12)}`,
});

/** Why a worker with `theirs` cannot join a run of `ours`: the first difference; undefined if it can. */
export function specDifference(ours: RunSpec, theirs: RunSpec): Refused | undefined {
  const tensors = manifestDifference(ours.tensors, theirs.tensors);
  if (tensors)
    return refuse(
      'SCHEMA',
      `the model differs from the run's: ${tensors}; start every worker with the same job`,
    );
  const a = { ...describeSpec(ours), ...describeSnapshots(ours) };
  const b = { ...describeSpec(theirs), ...describeSnapshots(theirs) };
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
    if (a[key] !== b[key])
      return refuse(
        'RUN_SPEC',
        `the run's ${key} is ${a[key] ?? 'none'}, got ${b[key] ?? 'none'}; start every worker with the same options`,
      );
  return undefined;
}
