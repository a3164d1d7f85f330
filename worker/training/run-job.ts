// A job from options to results: backend, data, model, training, and (rank 0) what is saved. What the worker
// binary does between its options and its exit status.
import { setBackend } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { codecFault, pairFault } from '../../shared/codec/allowed-pairs.js';
import { formatAddress } from '../../shared/config/address.js';
import { metricsAddress, placeOf } from '../../shared/config/check-place.js';
import type { WorkerOptions } from '../../shared/config/commands.js';
import { sentence, UserError } from '../../shared/errors.js';
import {
  REFUSALS_LIMIT_DEFAULT,
  SNAPSHOT_MINUTES_DEFAULT,
  SNAPSHOTS_KEPT_DEFAULT,
} from '../../shared/limits.js';
import { OUTER_DEFAULTS } from '../../shared/run/spec.js';
import { writeSafetensors } from '../../shared/safetensors.js';
import { chooseSnapshot } from '../../shared/snapshot/find.js';
import { chooseBackend } from '../backend/ladder.js';
import { openDataset } from '../data/dataset.js';
import type { ServeOptions } from '../exchange/messages.js';
import type { DataShape, Job, Loss } from '../job.js';
import { loadJob } from '../load-job.js';
import { withKeyedWeights } from '../model/keyed-math-random.js';
import { readTensors, tensorsOf } from '../model/model-tensors.js';
import { CurveFile } from '../results/curve-file.js';
import { drawCurve } from '../results/curve-picture.js';
import { saveLayersModel } from '../results/layers-model.js';
import { createRunFolder, type RunFolder, writeConfig, writeOptimizer } from '../results/run-folder.js';
import { type Summary, writeSummary } from '../results/summary.js';
import { compileOptimizer, optimizerFlags } from './compile-optimizer.js';
import type { TrainEvent } from './events.js';
import { imageData } from './image-data.js';
import { textData } from './text-data.js';
import { train } from './train.js';
import type { LocalOptions } from './train-options.js';

export interface RunJobOptions {
  options: WorkerOptions;
  /** What a config file would hold: recorded with the results. */
  plain: Readonly<Record<string, unknown>>;
  onEvent(event: TrainEvent): void;
  onNotice(sentence: string): void;
  signal: AbortSignal;
  /** Module of the exchange thread of a node with both roles, for --serve. */
  peerThread: URL;
}

function serveOptions(options: WorkerOptions): ServeOptions {
  const { listen, advertise, memoryBytes, snapshots, resume } = options;
  return {
    listen: formatAddress(listen),
    advertise: advertise && formatAddress(advertise),
    join: placeOf(options),
    memoryBytes,
    snapshots,
    resume,
  };
}

/** When snapshots are taken, where a folder for them is given. */
function snapshotsOf({ snapshots, snapshotSteps, snapshotMinutes, snapshotKeep }: WorkerOptions) {
  if (snapshots === undefined) return undefined;
  const minutes = snapshotMinutes ?? (snapshotSteps === undefined ? SNAPSHOT_MINUTES_DEFAULT : 0);
  return {
    folder: snapshots,
    everySteps: snapshotSteps ?? 0,
    everySeconds: 60 * minutes,
    keep: snapshotKeep ?? SNAPSHOTS_KEPT_DEFAULT,
  };
}

/** The job's model with its first weights. Throws UserError where the job's own code fails. */
function buildModel(job: Job, options: WorkerOptions, { shape, classes }: DataShape): LayersModel {
  let model: LayersModel;
  try {
    model = withKeyedWeights(options.seed, () => job.model({ shape, classes }));
  } catch (error) {
    throw new UserError(`--job: the model of ${options.job} cannot be built: ${sentence(error)}`);
  }
  if (!Array.isArray(model?.weights))
    throw new UserError(
      `--job: expected a LayersModel from the model() of ${options.job}, got something else; return what sequential() or model() of @tensorflow/tfjs-layers makes`,
    );
  return model;
}

/** The consistency with the number that belongs to it, for the title of the curve. */
function consistencyLabel({ consistency, staleness, localSteps, backupWorkers }: WorkerOptions): string {
  if (backupWorkers > 0) return `${consistency} (${backupWorkers} backup)`;
  if (staleness !== undefined) return `${consistency} (staleness ${staleness})`;
  return localSteps === undefined ? consistency : `${consistency} (${localSteps} steps)`;
}

/** The job's loss; what its own code throws is told as the job's. */
function lossOf({ loss }: Job, name: string): Loss {
  if (typeof loss === 'string') return loss;
  return (labels, predictions) => {
    try {
      return loss(labels, predictions);
    } catch (error) {
      throw new UserError(`--job: the loss of ${name} failed: ${sentence(error)}`);
    }
  };
}

/** Trains a job as one worker of a run. Throws UserError, Refused or RunError, or the signal's reason. */
export async function runJob(runOptions: RunJobOptions): Promise<void> {
  const { options, plain, onEvent, onNotice, signal } = runOptions;
  const job = await loadJob(options.job);
  const fault = pairFault(options.codec, options.optimizer ?? job.optimizer.kind, options.consistency);
  if (fault) throw new UserError(`--codec: ${fault}`);
  const resume = options.resume === undefined ? undefined : await chooseSnapshot(options.resume, onNotice);
  const backend = await chooseBackend(options.backend);
  await setBackend(backend.name === 'cuda' ? 'tensorflow' : backend.name);
  onEvent({ event: 'backend', backend: backend.name, why: backend.why });

  const dataset = await openDataset({
    data: options.data,
    cacheDir: options.cache,
    text: job.text,
    onProgress: (done, total, phase) => onEvent({ event: 'preparing', done, total, phase }),
    onNotice,
    signal,
  });
  const { warm, seconds } = dataset.cache;
  onEvent({
    event: 'data',
    name: dataset.name,
    warm,
    train: dataset.splits.train,
    test: dataset.splits.test,
    seconds,
  });

  const { localSteps, outerLearningRate, outerMomentum } = options;
  const local: LocalOptions | undefined =
    localSteps === undefined ? undefined : { steps: localSteps, outerLearningRate, outerMomentum };
  const epochs = options.epochs ?? job.epochs;
  const model = buildModel(job, options, dataset);
  const data = (job.text ? textData : imageData)(dataset, options.batch, options.seed);
  const optimizer = compileOptimizer(job.optimizer, options, epochs * data.stepsPerEpoch(options.batch));
  const whole = codecFault(options.codec, optimizer, options.consistency);
  if (whole) throw new UserError(`--codec: ${whole}`);
  let folder: RunFolder | undefined;
  let curve: CurveFile | undefined;
  /** Of those who go on the first tells and saves. */
  let leads = false;
  let rank = -1;
  /** Of the results; made again by whoever takes over from one that has left. */
  const openFolder = async (run: string) => {
    folder = await createRunFolder(options.out, run, new Date());
    await writeConfig(folder, {
      ...plain,
      epochs,
      ...optimizerFlags(optimizer),
      ...(local && {
        'outer-learning-rate': outerLearningRate ?? OUTER_DEFAULTS.learningRate,
        'outer-momentum': outerMomentum ?? OUTER_DEFAULTS.momentum,
      }),
      backend: backend.name,
    });
    await writeOptimizer(folder, optimizer);
    curve = await CurveFile.open(folder.curveCsv);
  };
  try {
    const record = (event: TrainEvent) => {
      if (event.event === 'start') {
        rank = event.rank;
        leads = rank === 0;
      }
      if (event.event === 'view') leads = event.members[0] === rank;
      if (!leads) {
        // Among JSON lines, one of all workers tells of the run's steps; a display of its own shows them.
        // Of a step that one worker alone has skipped nobody else knows.
        const isToldByRank0 =
          event.event === 'step' ||
          event.event === 'epoch' ||
          event.event === 'view' ||
          (event.event === 'local-step' && !event.skipped);
        if (!options.json || !isToldByRank0) onEvent(event);
        return;
      }
      onEvent(event);
      const { epoch, step, loss, accuracy } = event as Extract<TrainEvent, { event: 'step' }>;
      if (event.event === 'step' && !event.skipped)
        curve?.append({
          step,
          epoch,
          split: 'train',
          loss,
          accuracy,
          samplesPerSecond: event.samplesPerSecond,
          seconds: event.seconds,
        });
      if (event.event === 'epoch')
        curve?.append({ step, epoch, split: 'test', loss, accuracy, seconds: event.seconds });
    };
    if (options.evaluate) {
      // Of the roles, only this one talks on the compute thread: the others need no gRPC there.
      const { evaluate } = await import('./evaluate.js');
      return await evaluate({
        model,
        loss: lossOf(job, options.job),
        optimizer,
        data,
        join: placeOf(options) ?? '',
        run: options.run ?? '',
        everySteps: options.everySteps,
        peerDeadlineMs: options.peerDeadlineMs,
        metrics: metricsAddress({ metrics: options.metrics }),
        onEvent,
        signal,
      });
    }
    const result = await train({
      job: job.name,
      model,
      loss: lossOf(job, options.job),
      optimizer,
      data,
      epochs,
      globalBatch: options.batch,
      workers: options.workers,
      codec: options.codec,
      topKPercent: options.topKPercent,
      topKWarmupSteps: options.topKWarmupSteps,
      rounding: options.rounding,
      gradientLimit: options.gradientLimit,
      replicas: options.replicas,
      elastic: options.elastic,
      refusalsLimit: options.refusalsLimit ?? REFUSALS_LIMIT_DEFAULT,
      accumulate: options.accumulate,
      consistency: options.consistency,
      staleness: options.staleness,
      backupWorkers: options.backupWorkers,
      local,
      seed: options.seed,
      snapshots: snapshotsOf(options),
      resume,
      join: placeOf(options) ?? '',
      peer: options.serve ? { thread: runOptions.peerThread, serve: serveOptions(options) } : undefined,
      run: options.run ?? '',
      peerDeadlineMs: options.peerDeadlineMs,
      metrics: metricsAddress({
        metrics: options.metrics,
        listen: options.serve ? options.listen : undefined,
      }),
      onEvent: record,
      signal,
      tablesFile: () => folder?.tables,
      async onStart(started) {
        if (started.rank === 0) await openFolder(started.run);
      },
    });
    if (result.leads && !folder) await openFolder(result.run);
    if (!result.leads || !folder || !curve) {
      onEvent({ event: 'finished', run: result.run, rank: result.rank });
      return;
    }
    await curve.close();
    curve = undefined;
    const tensors = tensorsOf(model);
    const values = tensors.map(
      ({ shape }) => new Float32Array(shape.reduce((product, side) => product * side, 1)),
    );
    await readTensors(tensors, (index) => values[index]);
    await saveLayersModel(model, folder.model);
    await writeSafetensors(
      folder.safetensors,
      tensors.map(({ name, shape }, index) => ({ name, dtype: 'F32' as const, shape, data: values[index] })),
      { run: result.run, job: job.name },
    );
    const summary: Summary = {
      run: result.run,
      job: job.name,
      backend: backend.name,
      seed: options.seed,
      servers: result.servers,
      workers: result.workers,
      consistency: result.consistency,
      codec: options.codec,
      epochs,
      ...(resume && { resumedFromStep: resume.manifest.step }),
      steps: result.steps,
      samples: result.samples,
      ...(result.lateContributions && { lateContributions: result.lateContributions }),
      accuracy: result.accuracy,
      loss: result.loss,
      trainSeconds: result.trainSeconds,
      samplesPerSecond: result.samples / result.trainSeconds,
      phaseSeconds: result.phaseSeconds,
      bytesPushed: result.bytesPushed,
      bytesPulled: result.bytesPulled,
      bytesRetried: result.bytesRetried,
      weightsSha256: result.weightsSha256,
      modelPath: folder.model,
    };
    await writeSummary(summary, options.summary ? [folder.summary, options.summary] : [folder.summary]);
    await drawCurve(
      folder.curveCsv,
      folder.curveSvg,
      `${job.name}: loss and accuracy`,
      `${result.servers} servers, ${result.workers} workers, ${consistencyLabel(options)}, ${options.codec}, ${optimizer.kind} ${optimizer.learningRate}, seed ${options.seed}`,
    );
    onEvent({ event: 'done', summary, folder: folder.path });
  } finally {
    await curve?.close();
    data.close?.();
    await dataset.close();
  }
}
