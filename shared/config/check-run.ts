// Contradictions between the options of a run; those of its optimizer are found in check-optimizer.ts. Each check throws
// UserError, and is handed `at`, which says where an option was given.
import { pairFault } from '../codec/allowed-pairs.js';
import type { CodecName } from '../codec/codec.js';
import { UserError } from '../errors.js';
import { backupWorkersFault, snapshotsFault } from '../run/faults.js';
import type { ConsistencyName } from '../run/spec.js';

export function checkBatch(
  options: { batch: number; workers: number; accumulate: number },
  at: (key: 'batch' | 'accumulate') => string,
  workers: string,
): void {
  if (options.batch >= options.workers * options.accumulate) return;
  if (options.batch >= options.workers)
    throw new UserError(
      `${at('accumulate')}: expected at least one sample for each of ${options.accumulate} micro-batches of ${options.workers} workers, got a batch of ${options.batch}; ` +
        `give --batch ${options.workers * options.accumulate} or more, or fewer micro-batches`,
    );
  throw new UserError(
    `${at('batch')}: expected at least one sample for each of the ${options.workers} workers, got ${options.batch}; ` +
      `give ${options.workers} or more, or fewer with ${workers}`,
  );
}

export function checkStaleness(
  options: { consistency: string; staleness: number | undefined },
  at: (key: 'consistency' | 'staleness') => string,
): void {
  if ((options.consistency === 'ssp') === (options.staleness !== undefined)) return;
  throw new UserError(
    options.consistency === 'ssp'
      ? `${at('consistency')}: ssp expects a bound, got no --staleness; give for example --staleness 3, or asp for none`
      : `${at('staleness')}: expected only with --consistency ssp, got it with ${options.consistency}; leave it out, or give --consistency ssp`,
  );
}

export function checkBackupWorkers(
  options: { backupWorkers: number; workers: number; consistency: ConsistencyName; codec: CodecName },
  at: (key: 'backupWorkers') => string,
): void {
  const fault = backupWorkersFault(options.backupWorkers, options);
  if (fault) throw new UserError(`${at('backupWorkers')}: ${fault}`);
}

const OF_LOCAL = ['localSteps', 'outerLearningRate', 'outerMomentum'] as const;

export function checkLocal(
  options: { consistency: string } & { readonly [key in (typeof OF_LOCAL)[number]]: number | undefined },
  at: (key: 'consistency' | (typeof OF_LOCAL)[number]) => string,
): void {
  if (options.consistency === 'local') {
    if (options.localSteps !== undefined) return;
    throw new UserError(
      `${at('consistency')}: local needs the number of steps between two exchanges, got none; give for example --local-steps 20`,
    );
  }
  for (const key of OF_LOCAL)
    if (options[key] !== undefined)
      throw new UserError(
        `${at(key)}: expected consistency local beside it, got ${options.consistency}; add --consistency local, or leave it out`,
      );
}

/** Whether codec, optimizer and consistency go together; of the job's own optimizer the worker asks again. */
export function checkCodec(
  options: {
    codec: CodecName;
    optimizer: string | undefined;
    consistency: string;
    topKPercent: number | undefined;
    topKWarmupSteps: number | undefined;
    rounding: string | undefined;
  },
  at: (key: 'codec' | 'topKPercent' | 'topKWarmupSteps' | 'rounding') => string,
): void {
  for (const key of ['topKPercent', 'topKWarmupSteps'] as const)
    if (options[key] !== undefined && options.codec !== 'topk')
      throw new UserError(
        `${at(key)}: expected codec topk with it, got ${options.codec}; add --codec topk, or leave it out`,
      );
  if (options.rounding !== undefined && options.codec !== 'int8')
    throw new UserError(
      `${at('rounding')}: expected codec int8 with it, got ${options.codec}; add --codec int8, or leave it out`,
    );
  // Every codec goes with sgd: without an optimizer only the consistency is asked about.
  const fault = pairFault(options.codec, options.optimizer ?? 'sgd', options.consistency);
  if (fault) throw new UserError(`${at('codec')}: ${fault}`);
}

/** Whether snapshots have a folder, and a run that can be cut between two steps. */
export function checkSnapshots(
  options: {
    consistency: ConsistencyName;
    backupWorkers: number | undefined;
    snapshots: string | undefined;
    snapshotSteps: number | undefined;
    snapshotMinutes: number | undefined;
    snapshotKeep: number | undefined;
    resume: string | undefined;
  },
  at: (
    key: 'snapshots' | 'snapshotSteps' | 'snapshotMinutes' | 'snapshotKeep' | 'resume' | 'consistency',
  ) => string,
): void {
  if (options.snapshots === undefined)
    for (const key of ['snapshotSteps', 'snapshotMinutes', 'snapshotKeep'] as const)
      if (options[key] !== undefined)
        throw new UserError(
          `${at(key)}: expected a folder for snapshots beside it, got none; add --snapshots DIR, or leave it out`,
        );
  const asked = options.snapshots !== undefined ? 'snapshots' : 'resume';
  const fault = options[asked] === undefined ? undefined : snapshotsFault(options);
  if (fault) throw new UserError(`${at(asked)}: ${fault}`);
}

export function checkElastic(
  options: { elastic: boolean; refusalsLimit: number | undefined },
  at: (key: 'refusalsLimit') => string,
): void {
  if (options.elastic || options.refusalsLimit === undefined) return;
  throw new UserError(
    `${at('refusalsLimit')}: expected --elastic with it, got it without; add it, or leave this out`,
  );
}
