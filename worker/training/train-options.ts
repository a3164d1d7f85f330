// What a training loop is given and what it returns, and the spec of the run that follows from it: the part on which all
// workers must agree.
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { CodecName } from '../../shared/codec/codec.js';
import { type CodecOptions, codecOptionsOfRun } from '../../shared/codec/codec-options.js';
import { UserError } from '../../shared/errors.js';
import type { OptimizerSpec } from '../../shared/optimizer/spec.js';
import { snapshotsFault } from '../../shared/run/faults.js';
import {
  type ConsistencyName,
  outerOptimizer,
  type RunSpec,
  type SnapshotsSpec,
} from '../../shared/run/spec.js';
import { checkFits } from '../../shared/snapshot/fits.js';
import type { Snapshot } from '../../shared/snapshot/manifest.js';
import type { Departed } from '../data/dealer.js';
import type { Peer } from '../exchange/exchange-client.js';
import type { Loss } from '../job.js';
import type { Batch } from '../model/compute.js';
import type { TrainEvent } from './events.js';

/** Where the batches of one worker come from. Batches are disposed by the caller. */
export interface TrainingData {
  /** Identity of the data; all workers must have the same. */
  readonly fingerprint: string;
  stepsPerEpoch(globalBatch: number): number;
  /**
   * This worker's part of a global batch. `step` counts within the epoch.
   * @param departed who has left the run; the others have their records
   */
  batch(
    epoch: number,
    step: number,
    rank: number,
    workers: number,
    departed?: readonly Departed[],
  ): Promise<Batch> | Batch;
  /** Whether there is a test set. */
  readonly hasTest: boolean;
  /** This worker's part of the test set, in batches. */
  evaluation(rank: number, workers: number): AsyncIterable<Batch> | Iterable<Batch>;
  /** Records found in the cache and records prepared anew, since the last call. */
  takeCacheCounts?(): { hits: number; misses: number };
  close?(): void;
}

export interface LocalOptions {
  steps: number;
  /** Undefined: DiLoCo's. */
  outerLearningRate?: number;
  outerMomentum?: number;
}

export interface TrainOptions extends CodecOptions {
  job: string;
  model: LayersModel;
  loss: Loss;
  /** The servers'; under `local` each worker's own. */
  optimizer: OptimizerSpec;
  data: TrainingData;
  epochs: number;
  globalBatch: number;
  workers: number;
  codec: CodecName;
  consistency: ConsistencyName;
  /** Only with ssp. */
  staleness?: number;
  /** Under bsp: workers that a step goes on without; by default none. */
  backupWorkers?: number;
  /** There under `local`: steps between two exchanges, and what the servers run on the differences. */
  local?: LocalOptions;
  /** Largest magnitude of an element of a contribution that servers take; by default any. */
  gradientLimit?: number;
  /** Servers that hold each shard; by default two, where there are as many and the run can be replicated. */
  replicas?: number;
  /** A worker that leaves does not end the run. */
  elastic?: boolean;
  /** With elastic: steps in a row that a worker may spoil before it is put out; by default any number. */
  refusalsLimit?: number;
  /** Micro-batches in which a worker computes its part of a batch; by default one. */
  accumulate?: number;
  seed: number;
  /** When snapshots are taken, and the folder for those of all runs; none: never. */
  snapshots?: SnapshotsSpec & { folder: string };
  /** What the run goes on from; none: it begins. */
  resume?: Snapshot;
  /** HOST:PORT of the keeper; empty where this node is the keeper itself. */
  join: string;
  /** A node with both roles. */
  peer?: Peer;
  run: string;
  peerDeadlineMs: number;
  metrics: { host: string; port: number };
  onEvent(event: TrainEvent): void;
  /** Awaited before the first step. */
  onStart?(started: { run: string; rank: number }): Promise<void>;
  /** Where rank 0 saves the rows of embedding tables that were updated; asked at the end, where there are tables. */
  tablesFile?(): string | undefined;
  /** Leaves after the step under way. */
  signal?: AbortSignal;
}

export interface TrainResult {
  run: string;
  rank: number;
  servers: number;
  workers: number;
  /**
   * Updates applied: under ssp and asp each worker's steps are updates of their own; under `local` this worker's,
   * in rounds that were applied.
   */
  steps: number;
  /** Whether it is the first of those who are there at the end: it saves the results. */
  leads: boolean;
  /** In force at the end. */
  consistency: ConsistencyName;
  /** Over all workers; under ssp and asp from the updates, a worker's share of the batch each. */
  samples: number;
  /** With backup workers: by rank, steps that went on without the worker. */
  lateContributions?: number[];
  accuracy: number;
  loss: number;
  trainSeconds: number;
  phaseSeconds: Record<string, number>;
  /** Of all workers. */
  bytesPushed: number;
  bytesPulled: number;
  /** Sent once more, after a stream had broken. */
  bytesRetried: number;
  weightsSha256: string;
}

/** What the spec has of snapshots. */
function snapshotsOf({ snapshots, resume }: TrainOptions): Pick<RunSpec, 'snapshots' | 'resume'> {
  const { everySteps = 0, everySeconds = 0, keep = 1 } = snapshots ?? {};
  return {
    ...(snapshots && { snapshots: { everySteps, everySeconds, keep } }),
    ...(resume && { resume: { step: resume.manifest.step, sha256: resume.sha256 } }),
  };
}

/** Steps of an epoch. Throws UserError where the data or the workers are too many or too few for the batch. */
function stepsPerEpochOf({ data, globalBatch, workers }: TrainOptions): number {
  const stepsPerEpoch = data.stepsPerEpoch(globalBatch);
  if (stepsPerEpoch < 1)
    throw new UserError(
      `expected at least one batch of ${globalBatch} records, the training set has fewer; use a smaller --batch`,
    );
  if (globalBatch < workers)
    throw new UserError(
      `expected a batch of at least ${workers} samples for ${workers} workers, got ${globalBatch}; use a larger --batch`,
    );
  return stepsPerEpoch;
}

/** The run that a worker with these options takes part in. Throws UserError. */
export function specOf(
  options: TrainOptions,
  tensors: RunSpec['tensors'],
  tables: RunSpec['tables'],
): RunSpec {
  const { local, workers, globalBatch, epochs, seed, resume } = options;
  const stepsPerEpoch = stepsPerEpochOf(options);
  const spec: RunSpec = {
    job: options.job,
    tensors: tensors.map(({ name, shape, kind }) => ({ name, shape, kind })),
    optimizer: local ? outerOptimizer(local.outerLearningRate, local.outerMomentum) : options.optimizer,
    consistency: options.consistency,
    ...(options.staleness === undefined ? {} : { staleness: options.staleness }),
    ...(options.backupWorkers ? { backupWorkers: options.backupWorkers } : {}),
    codec: options.codec,
    ...codecOptionsOfRun(options.codec, options),
    ...(options.gradientLimit === undefined ? {} : { gradientLimit: options.gradientLimit }),
    ...(options.replicas ? { replicas: options.replicas } : {}),
    ...(options.elastic ? { elastic: true, refusalsLimit: options.refusalsLimit } : {}),
    workers,
    globalBatch,
    epochs,
    stepsPerEpoch,
    seed,
    dataFingerprint: options.data.fingerprint,
    ...(local && { local: { steps: local.steps, optimizer: options.optimizer } }),
    ...(tables && { tables }),
    ...snapshotsOf(options),
  };
  const uncut = (spec.snapshots ?? spec.resume) && snapshotsFault(spec);
  if (uncut) throw new UserError(`--${spec.snapshots ? 'snapshots' : 'resume'}: ${uncut}`);
  if (resume) checkFits(resume, spec);
  return spec;
}
