// The training loop of one worker: data → compute → exchange, step after step; evaluation by all workers after
// each epoch, on the fp32 masters. Says what happens as events; writes no files and shows nothing.
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { CodecName } from '../../shared/codec/codec.js';
import { type CodecOptions, codecOptionsOfRun } from '../../shared/codec/codec-options.js';
import { UserError } from '../../shared/errors.js';
import { freezeGroups, groupsFault } from '../../shared/optimizer/groups.js';
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
import { ExchangeClient, type Peer } from '../exchange/exchange-client.js';
import type { Loss } from '../job.js';
import { roundsOf } from '../local/rounds.js';
import { Accumulation } from '../model/accumulate.js';
import { type Batch, Compute } from '../model/compute.js';
import { assignTensors, readTensors, tensorsOf } from '../model/model-tensors.js';
import { ModelRows } from '../rows/model-rows.js';
import { compileModelTables } from '../rows/model-tables.js';
import { evaluateShare } from './evaluation-share.js';
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

const PHASE_NAMES = ['data', 'compute', 'encode', 'wait', 'decode', 'apply', 'optimizer', 'rows'] as const;

/** Trains; the model ends up with the fp32 masters. Throws UserError, Refused or RunError, or the signal's reason. */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { model, data, globalBatch, workers, epochs, seed, onEvent, signal } = options;
  const tensors = freezeGroups(tensorsOf(model), options.optimizer.groups);
  const fault = groupsFault(options.optimizer, tensors);
  if (fault) throw new UserError(`optimizer.groups: ${fault}`);
  const stepsPerEpoch = data.stepsPerEpoch(globalBatch);
  if (stepsPerEpoch < 1)
    throw new UserError(
      `expected at least one batch of ${globalBatch} records, the training set has fewer; use a smaller --batch`,
    );
  if (globalBatch < workers)
    throw new UserError(
      `expected a batch of at least ${workers} samples for ${workers} workers, got ${globalBatch}; use a larger --batch`,
    );
  const { local } = options;
  const rows = ModelRows.of(model);
  const tables = rows && compileModelTables(rows.tables, options);
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
    dataFingerprint: data.fingerprint,
    ...(local && { local: { steps: local.steps, optimizer: options.optimizer } }),
    ...(tables && { tables }),
    ...snapshotsOf(options),
  };
  const uncut = (spec.snapshots ?? spec.resume) && snapshotsFault(spec);
  if (uncut) throw new UserError(`--${spec.snapshots ? 'snapshots' : 'resume'}: ${uncut}`);
  const { resume } = options;
  if (resume) checkFits(resume, spec);
  const fromStep = resume?.manifest.step ?? 0;
  const rounds = roundsOf(spec);
  const compute = new Compute(model, tensors, options.loss, rows);
  const { accumulate = 1 } = options;
  const accumulation = new Accumulation(compute, tensors, accumulate);
  let inForce = spec.consistency;
  let view = 1;
  let members = Array.from({ length: workers }, (_, rank) => rank);
  const departed: Departed[] = [];
  const { client, started } = await ExchangeClient.start(
    {
      spec,
      join: options.join,
      peer: options.peer,
      onServing: (address) => onEvent({ event: 'serving', address }),
      snapshots: options.snapshots?.folder,
      resume: resume?.store.path,
      onSnapshot: onEvent,
      run: options.run,
      label: `${hostname()}:${process.pid}`,
      peerDeadlineMs: options.peerDeadlineMs,
      metrics: options.metrics,
      onReady: (metrics) => onEvent({ event: 'ready', role: 'worker', metrics }),
      onWelcome: ({ run, rank, workersJoined, workersExpected, servers }) =>
        onEvent({ event: 'joined', run, rank, workersJoined, workersExpected, servers }),
      onTakeover: ({ shard, step, from, to }) => onEvent({ event: 'takeover', shard, step, from, to }),
      onView: ({ number, fromStep, consistency, staleness, ...change }) => {
        inForce = consistency;
        view = number;
        members = change.members;
        const { departed: gone } = change;
        // Decided once more, where a server died meanwhile: the last word counts.
        const before = departed.findIndex((each) => each.rank === gone?.rank);
        if (before >= 0) departed.splice(before, 1);
        if (gone) departed.push(gone);
        const left = gone && { departed: gone.rank, reason: gone.reason };
        onEvent({ event: 'view', number, fromStep, consistency, staleness, members, ...left });
      },
      onWaiting: (waiting) => onEvent({ event: 'waiting', ...waiting }),
    },
    signal,
  );
  const { run, rank, servers } = started;
  try {
    onEvent({
      event: 'start',
      run,
      rank,
      servers,
      replicas: started.replicas,
      workers: started.workers,
      epochs,
      stepsPerEpoch,
      globalBatch,
      accumulate,
      parameters: client.layout.elements,
      fromStep,
    });
    await options.onStart?.(started);
    const exchanged = (tensor: { kind: string }) => tensor.kind !== 'frozen';
    if (rank === 0 && !resume) {
      await readTensors(tensors, (index) => client.parameters(index));
      await client.initialize();
    }
    const begun = await client.pull(fromStep);
    assignTensors(tensors, (index) => client.parameters(index));

    const seconds = Object.fromEntries(PHASE_NAMES.map((name) => [name, 0])) as Record<
      (typeof PHASE_NAMES)[number],
      number
    >;
    const totals = {
      steps: 0,
      samples: 0,
      pushed: 0,
      pulled: 0,
      retried: 0,
      elementsPushed: 0,
      trainSeconds: 0,
    };
    /** What came of steps that all workers took together; else each update is one worker's, with its share. */
    const common = { steps: 0, samples: 0 };
    let clocked = false;
    const late = new Array<number>(workers).fill(0);
    const lateSoFar = () => (spec.backupWorkers ? { lateContributions: [...late] } : {});
    /** The next step of the run. With backup workers others may have done some before this one begins, or in between. */
    let next = spec.backupWorkers ? begun.step : fromStep;
    let last = { loss: Number.NaN, accuracy: Number.NaN, records: 0 };
    for (let epoch = 1 + Math.floor(fromStep / stepsPerEpoch); epoch <= epochs; epoch++) {
      let epochStarted = performance.now();
      const samplesBefore = totals.samples;
      while (next < epoch * stepsPerEpoch) {
        const step = next;
        const index = step - (epoch - 1) * stepsPerEpoch;
        signal?.throwIfAborted();
        client.progress(step, 'data');
        const t0 = performance.now();
        const batch = await data.batch(epoch, index, rank, workers, departed);
        const samples = batch.xs.shape[0];
        const fetched = performance.now();
        if (rows) {
          client.progress(step, 'rows');
          await rows.load(batch.xs, (wanted) => client.pullRows(wanted, false));
        }
        client.progress(step, 'compute');
        const t1 = performance.now();
        const result = await accumulation.step(batch, seed, [rank, step], (tensor) =>
          client.gradients(tensor),
        );
        batch.xs.dispose();
        batch.ys.dispose();
        await readTensors(
          tensors,
          (tensor) => client.gradients(tensor),
          ({ kind }) => kind === 'state',
        );
        if (rounds.endsWith(step)) client.progress(step, 'exchange');
        const t2 = performance.now();
        const phases = {
          dataSeconds: (fetched - t0) / 1000,
          computeSeconds: (t2 - t1) / 1000,
          ...(rows && { rowsSeconds: (t1 - fetched) / 1000 }),
        };
        const stepped = await client.step({
          epoch,
          samples,
          lossSum: result.loss * samples,
          correct: result.correct,
          phases,
          rows: rows?.gradients(),
        });
        const t3 = performance.now();
        // Where the step was skipped these are the old ones: the forward pass has moved the model's state. With a
        // clock of its own a worker then reads all the same, so that what it has is never too old.
        assignTensors(tensors, (tensor) => client.parameters(tensor), exchanged);
        seconds.data += phases.dataSeconds;
        seconds.compute += phases.computeSeconds;
        seconds.rows += phases.rowsSeconds ?? 0;
        seconds.apply += (performance.now() - t3) / 1000;
        next = spec.backupWorkers && stepped.exchanged ? stepped.exchanged.step : step + 1;
        const at = { epoch, step: Math.min(next, epoch * stepsPerEpoch), steps: epochs * stepsPerEpoch };
        if (stepped.local) {
          seconds.optimizer += stepped.local.optimizerSeconds;
          onEvent({
            event: 'local-step',
            ...at,
            worker: rank,
            loss: Number.isFinite(result.loss) ? result.loss : null,
            accuracy: result.correct / samples,
            skipped: stepped.local.skipped,
          });
        }
        const round = stepped.exchanged;
        if (!round) continue;
        seconds.encode += round.encodeSeconds;
        seconds.wait += round.waitSeconds;
        seconds.decode += round.decodeSeconds;
        totals.pushed += round.bytesPushed;
        totals.pulled += round.bytesPulled;
        totals.retried += round.bytesRetried;
        totals.elementsPushed += round.elementsPushed;
        clocked ||= round.clocked;
        if (!round.clocked) common.steps += round.steps;
        if (!round.clocked && !round.skipped) common.samples += round.samples;
        for (const [at, steps] of round.late.entries()) late[at] += steps;
        if (!round.skipped) totals.samples += round.samples;
        const elapsed = totals.trainSeconds + (performance.now() - epochStarted) / 1000;
        onEvent({
          event: 'step',
          ...at,
          ...(round.clocked ? { worker: rank } : {}),
          samples: round.samples,
          loss: round.loss,
          accuracy: round.accuracy,
          skipped: round.skipped,
          notFinite: round.notFinite,
          ...lateSoFar(),
          samplesPerSecond: totals.samples / elapsed,
          seconds: elapsed,
          bytesPushed: totals.pushed,
          bytesPulled: totals.pulled,
          elementsPushed: totals.elementsPushed,
        });
      }
      totals.trainSeconds += (performance.now() - epochStarted) / 1000;
      epochStarted = performance.now();

      const step = epoch * stepsPerEpoch;
      client.progress(step, 'evaluate');
      // Between evaluations nobody waits at the end of an epoch, so one version is to be had only at the last one.
      // At an evaluation everybody does, also with clocks of their own: nobody goes on before all have given theirs.
      const isLast = epoch === epochs;
      if (data.hasTest || isLast) {
        const { updates } = await client.pullMasters(step);
        totals.steps = clocked ? updates : common.steps;
        assignTensors(tensors, (index) => client.masters(index));
      }
      for (let records = 0; records === 0; ) {
        const asked = view;
        const place = members.indexOf(rank);
        const share = await evaluateShare(compute, data, place, members.length, {
          signal,
          pull: (wanted) => client.pullRows(wanted, true),
        });
        if (!data.hasTest) break;
        last = await client.evaluate({ view: asked, step, ...share });
        // Somebody has left: the shares are those of the others now.
        ({ records } = last);
      }
      onEvent({
        event: 'epoch',
        epoch,
        epochs,
        step,
        loss: last.loss,
        accuracy: last.accuracy,
        ...(spec.backupWorkers ? { samples: totals.samples - samplesBefore, ...lateSoFar() } : {}),
        seconds: totals.trainSeconds,
      });
      if (data.hasTest && !isLast) assignTensors(tensors, (index) => client.parameters(index), exchanged);
      const counts = data.takeCacheCounts?.();
      if (counts) await client.countCache(counts.hits, counts.misses);
    }
    client.progress(epochs * stepsPerEpoch, 'save');
    const hash = createHash('sha256');
    for (const index of tensors.keys()) {
      const values = client.masters(index);
      hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
    if (rows) {
      const { digests } = await client.readTables(rank === 0 ? options.tablesFile?.() : undefined);
      for (const digest of digests) hash.update(digest);
    }
    const moved = await client.done({
      bytesPushed: totals.pushed,
      bytesPulled: totals.pulled,
      bytesRetried: totals.retried,
    });
    const count = epochs * stepsPerEpoch - fromStep;
    return {
      run,
      rank,
      servers,
      workers,
      steps: totals.steps,
      samples: common.samples + Math.round(((totals.steps - common.steps) * globalBatch) / workers),
      consistency: inForce,
      leads: members[0] === rank,
      ...lateSoFar(),
      accuracy: last.accuracy,
      loss: last.loss,
      trainSeconds: totals.trainSeconds,
      phaseSeconds: Object.fromEntries(
        PHASE_NAMES.filter((name) => (local || name !== 'optimizer') && (rows || name !== 'rows')).map(
          (name) => [name, seconds[name] / count],
        ),
      ),
      ...moved,
      weightsSha256: hash.digest('hex'),
    };
  } finally {
    rows?.release();
    await client.stop();
  }
}
