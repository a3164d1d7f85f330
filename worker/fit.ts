// `import { fit } from 'gradloom/worker'`: trains an ordinary tf.js model on the mesh, the way model.fit does in one
// process. Loss and optimizer are those that the model was compiled with; the optimizer runs on the servers.
import { createHash } from 'node:crypto';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { codecFault } from '../shared/codec/allowed-pairs.js';
import type { CodecName } from '../shared/codec/codec.js';
import { type CodecOptions, codecOptionsFault } from '../shared/codec/codec-options.js';
import { parseAddress } from '../shared/config/address.js';
import { normalPlace } from '../shared/config/place.js';
import { UserError } from '../shared/errors.js';
import {
  ACCUMULATE_MAX,
  EVALUATION_BATCH,
  FIT_DATASET_MAX_BYTES,
  LOCAL_STEPS_MAX,
} from '../shared/limits.js';
import { type OptimizerSpec, optimizerFault, optimizerSpec } from '../shared/optimizer/spec.js';
import {
  backupWorkersFault,
  consistencyFault,
  gradientLimitFault,
  normsFault,
} from '../shared/run/faults.js';
import type { ConsistencyName } from '../shared/run/spec.js';
import { createDealer, equalShares, evaluationShare, stepsPerEpoch } from './data/dealer.js';
import type { Loss } from './job.js';
import type { TrainEvent } from './training/events.js';
import { train } from './training/train.js';
import type { LocalOptions, TrainingData } from './training/train-options.js';

export { chooseBackend } from './backend/ladder.js';
export type { Job, Loss } from './job.js';
export { SparseEmbedding, type SparseEmbeddingOptions } from './rows/sparse-embedding.js';
export type { TrainEvent } from './training/events.js';

/** Records and labels, first dimension the record. */
export interface FitTensors {
  xs: tf.Tensor;
  ys: tf.Tensor;
}

/** A tf.data dataset of batches: read once, before training. */
export interface FitDataset {
  forEachAsync(visit: (batch: FitTensors) => void): Promise<void>;
}

export interface FitOptions extends CodecOptions {
  /** HOST:PORT of the first server, or etcd://HOST:PORT,…/MESH. */
  join: string;
  epochs?: number;
  /** Global: divided over the workers. */
  batchSize?: number;
  /** Workers of the run; each calls fit with the same model and data. */
  workers?: number;
  /** Evaluated after each epoch, divided over the workers. */
  validationData?: FitTensors;
  codec?: CodecName;
  /** Largest magnitude of an element of a contribution that servers take; by default any. */
  gradientLimit?: number;
  /** Servers that hold each part of the model; default two, where there are as many and the run can be replicated. */
  replicas?: number;
  /** Micro-batches in which this worker computes its part of a batch, to save memory; by default one. */
  accumulate?: number;
  /** In place of the one that the model was compiled with: for what TensorFlow.js does not have. */
  optimizer?: OptimizerSpec;
  /**
   * Which workers a step waits for. Default bsp: for all. `local`: each worker takes `localSteps` steps with the
   * optimizer between two exchanges.
   */
  consistency?: ConsistencyName;
  /** With ssp: steps that a worker may be ahead of the slowest. */
  staleness?: number;
  /** With bsp: workers that a step goes on without, the last ones; what they have for it is dropped. Default 0. */
  backupWorkers?: number;
  localSteps?: number;
  /** With `local`: SGD with Nesterov momentum, which the servers run on the differences. Default 0.7. */
  outerLearningRate?: number;
  /** Default 0.9. */
  outerMomentum?: number;
  seed?: number;
  /** Id of the run; by default any run of this job that waits for workers. */
  run?: string;
  /** Name of what is trained; by default the model's. */
  job?: string;
  peerDeadlineMs?: number;
  /** HOST:PORT of the Prometheus endpoint; by default a free port on loopback. */
  metrics?: string;
  callbacks?: { onEpochEnd?(epoch: number, logs: Record<string, number>): void };
  onEvent?(event: TrainEvent): void;
  signal?: AbortSignal;
  /** Where the first worker saves the rows of embedding tables (SparseEmbedding): a safetensors file. */
  tablesFile?: string;
}

/** As tf.js's History: the epochs, and by name one value an epoch. */
export interface FitHistory {
  epoch: number[];
  history: Record<string, number[]>;
  /** SHA-256 of the trained weights: equal on every worker. */
  weightsSha256: string;
  run: string;
  rank: number;
}

/** The servers' optimizer for the one that a model was compiled with. Throws UserError for one that they do not have. */
function optimizerOf(model: LayersModel): OptimizerSpec {
  if (!model.optimizer)
    throw new UserError(
      'fit: expected a compiled model, got one without an optimizer; call model.compile({optimizer, loss}) first',
    );
  const config = model.optimizer.getConfig() as {
    learningRate: number;
    beta1?: number;
    beta2?: number;
    epsilon?: number | null;
    momentum?: number;
    useNesterov?: boolean;
    initialAccumulatorValue?: number;
    decay?: number;
    centered?: boolean;
  };
  const name = model.optimizer.getClassName();
  switch (name) {
    case 'Adam':
      return {
        ...optimizerSpec('adam', config.learningRate),
        ...pick({ beta1: config.beta1, beta2: config.beta2, epsilon: config.epsilon }),
      } as OptimizerSpec;
    case 'Momentum':
      return {
        kind: 'momentum',
        learningRate: config.learningRate,
        momentum: config.momentum ?? 0.9,
        nesterov: config.useNesterov ?? false,
      };
    case 'SGD':
      return { kind: 'sgd', learningRate: config.learningRate };
    case 'Adagrad': {
      const { initialAccumulatorValue: initialAccumulator } = config;
      return {
        ...optimizerSpec('adagrad', config.learningRate),
        ...pick({ initialAccumulator }),
      } as OptimizerSpec;
    }
    case 'RMSProp': {
      const { learningRate, decay, momentum, epsilon, centered } = config;
      return {
        ...optimizerSpec('rmsprop', learningRate),
        ...pick({ decay, momentum, epsilon }),
        centered: centered ?? false,
      } as OptimizerSpec;
    }
    default:
      throw new UserError(
        `fit: expected an optimizer of adam, momentum, sgd, adagrad or rmsprop, got ${name}; compile the model with one of them, or give fit an optimizer of its own`,
      );
  }
}

/** What is a number: tf.js has null and undefined where it takes its default. */
const pick = (numbers: Record<string, number | null | undefined>): object =>
  Object.fromEntries(Object.entries(numbers).filter(([, value]) => typeof value === 'number'));

/** Throws UserError where options of `local` stand beside another consistency, lack, or are out of range. */
function localOf(options: FitOptions): LocalOptions | undefined {
  const { consistency = 'bsp', localSteps: steps, outerLearningRate, outerMomentum } = options;
  if (consistency !== 'local') {
    if (steps === undefined && outerLearningRate === undefined && outerMomentum === undefined)
      return undefined;
    throw new UserError(
      "fit: expected localSteps, outerLearningRate and outerMomentum with consistency local alone; add consistency: 'local', or leave them out",
    );
  }
  if (steps === undefined || !Number.isInteger(steps) || steps < 1 || steps > LOCAL_STEPS_MAX)
    throw new UserError(
      `fit: expected localSteps of 1 to ${LOCAL_STEPS_MAX} with consistency local, got ${steps}`,
    );
  if (outerLearningRate !== undefined && !(outerLearningRate > 0 && Number.isFinite(outerLearningRate)))
    throw new UserError(`fit: expected an outerLearningRate above 0, got ${outerLearningRate}`);
  if (outerMomentum !== undefined && !(outerMomentum >= 0 && outerMomentum < 1))
    throw new UserError(`fit: expected an outerMomentum from 0 to below 1, got ${outerMomentum}`);
  return { steps, outerLearningRate, outerMomentum };
}

async function gather(dataset: FitDataset): Promise<FitTensors> {
  const parts: FitTensors[] = [];
  let bytes = 0;
  await dataset.forEachAsync(({ xs, ys }) => {
    bytes += 4 * (xs.size + ys.size);
    if (bytes > FIT_DATASET_MAX_BYTES)
      throw new UserError(
        `fit: expected a dataset of at most ${FIT_DATASET_MAX_BYTES} bytes in memory, got more; write a job that reads it with --data`,
      );
    parts.push({ xs: tf.keep(xs.clone()), ys: tf.keep(ys.clone()) });
  });
  if (parts.length === 0) throw new UserError('fit: expected a dataset with at least one batch, got none');
  const whole = { xs: tf.concat(parts.map(({ xs }) => xs)), ys: tf.concat(parts.map(({ ys }) => ys)) };
  tf.dispose(parts as unknown as tf.TensorContainer);
  return whole;
}

const rows = (source: tf.Tensor, indices: Uint32Array): tf.Tensor =>
  tf.tidy(() => tf.gather(source, tf.tensor1d(Int32Array.from(indices), 'int32')));

async function tensorData(
  training: FitTensors,
  test: FitTensors | undefined,
  globalBatch: number,
  seed: number,
): Promise<TrainingData> {
  const hash = createHash('sha256');
  for (const part of [training.xs, training.ys]) {
    const values = await part.data();
    hash
      .update(JSON.stringify(part.shape))
      .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  const records = training.xs.shape[0];
  const dealer = createDealer(records, globalBatch, seed);
  return {
    fingerprint: hash.digest('hex'),
    hasTest: test !== undefined,
    stepsPerEpoch: (batch) => stepsPerEpoch(records, batch),
    batch(epoch, step, rank, workers, departed = []) {
      const view = { ...equalShares(workers), departed };
      const indices = dealer.batch(epoch, step, view, rank);
      return { xs: rows(training.xs, indices), ys: rows(training.ys, indices) };
    },
    *evaluation(rank, workers) {
      if (!test) return;
      const share = evaluationShare(test.xs.shape[0], equalShares(workers), rank);
      for (let at = 0; at < share.length; at += EVALUATION_BATCH) {
        const indices = share.subarray(at, at + EVALUATION_BATCH);
        yield { xs: rows(test.xs, indices), ys: rows(test.ys, indices) };
      }
    },
  };
}

/**
 * Trains a compiled model on the mesh, as one worker of a run; the model ends up with the fp32 masters. Where
 * several workers take part, the first one's weights are everybody's initial ones.
 * Throws UserError, Refused or RunError, or the signal's reason.
 */
export async function fit(
  model: LayersModel,
  data: FitTensors | FitDataset,
  options: FitOptions,
): Promise<FitHistory> {
  const { epochs = 1, batchSize = 32, workers = 1, seed = 1, validationData } = options;
  const optimizer = options.optimizer ?? optimizerOf(model);
  const fault = optimizerFault(optimizer);
  if (fault) throw new UserError(`fit: the optimizer ${optimizer.kind}: ${fault}`);
  const { accumulate = 1 } = options;
  if (!Number.isInteger(accumulate) || accumulate < 1 || accumulate > ACCUMULATE_MAX)
    throw new UserError(
      `fit: expected to accumulate 1 to ${ACCUMULATE_MAX} micro-batches, got ${accumulate}`,
    );
  const limit = gradientLimitFault(options.gradientLimit);
  if (limit) throw new UserError(`fit: ${limit}`);
  const { consistency = 'bsp' } = options;
  const unfit = normsFault(consistency, optimizer);
  if (unfit) throw new UserError(`fit: ${unfit}`);
  const bound = consistencyFault(consistency, options.staleness);
  if (bound) throw new UserError(`fit: ${bound}`);
  const pair = codecFault(options.codec ?? 'fp16', optimizer, consistency);
  if (pair) throw new UserError(`fit: ${pair}`);
  const ofCodec = codecOptionsFault(options.codec ?? 'fp16', options);
  if (ofCodec) throw new UserError(`fit: ${ofCodec}`);
  const backups = backupWorkersFault(options.backupWorkers, {
    workers,
    consistency,
    codec: options.codec ?? 'fp16',
  });
  if (backups) throw new UserError(`fit: ${backups}`);
  const loss = model.loss as Loss;
  if (typeof loss !== 'string' && typeof loss !== 'function')
    throw new UserError(
      'fit: expected one loss, a name or a function; a model with several outputs needs one of its own over all of them',
    );
  const own = 'forEachAsync' in data;
  const tensors = own ? await gather(data) : data;
  if (tensors.xs.shape[0] !== tensors.ys.shape[0])
    throw new UserError(
      `fit: expected as many labels as records, got ${tensors.ys.shape[0]} for ${tensors.xs.shape[0]}`,
    );
  const history: FitHistory['history'] = {};
  const epochsSeen: number[] = [];
  const log = (name: string, value: number) => {
    history[name] ??= [];
    history[name].push(value);
  };
  try {
    const source = await tensorData(tensors, validationData, batchSize, seed);
    let lossSum = 0;
    let hits = 0;
    let samples = 0;
    const result = await train({
      job: options.job ?? model.name,
      model,
      loss,
      optimizer,
      data: source,
      epochs,
      globalBatch: batchSize,
      workers,
      codec: options.codec ?? 'fp16',
      topKPercent: options.topKPercent,
      topKWarmupSteps: options.topKWarmupSteps,
      rounding: options.rounding,
      gradientLimit: options.gradientLimit,
      replicas: options.replicas,
      accumulate,
      consistency,
      staleness: options.staleness,
      backupWorkers: options.backupWorkers,
      local: localOf(options),
      seed,
      join: normalPlace(options.join),
      run: options.run ?? '',
      peerDeadlineMs: options.peerDeadlineMs ?? 20_000,
      metrics: options.metrics ? parseAddress(options.metrics) : { host: '127.0.0.1', port: 0 },
      signal: options.signal,
      tablesFile: () => options.tablesFile,
      onEvent(event) {
        if (event.event === 'step' && !event.skipped) {
          lossSum += event.loss * event.samples;
          hits += event.accuracy * event.samples;
          samples += event.samples;
        } else if (event.event === 'epoch') {
          const logs: Record<string, number> = { loss: lossSum / samples, acc: hits / samples };
          if (validationData) Object.assign(logs, { val_loss: event.loss, val_acc: event.accuracy });
          for (const [name, value] of Object.entries(logs)) log(name, value);
          epochsSeen.push(event.epoch - 1);
          options.callbacks?.onEpochEnd?.(event.epoch - 1, logs);
          [lossSum, hits, samples] = [0, 0, 0];
        }
        options.onEvent?.(event);
      },
    });
    return {
      epoch: epochsSeen,
      history,
      weightsSha256: result.weightsSha256,
      run: result.run,
      rank: result.rank,
    };
  } finally {
    if (own) tf.dispose([tensors.xs, tensors.ys]);
  }
}
