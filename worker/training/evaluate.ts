// The evaluator: a worker that computes no gradients. It pulls one version of the fp32 masters now and then, evaluates
// it on the whole test set, and says and exports what comes of it. Training does not wait for it: servers copy what
// it has asked for before they change it.
import { hostname } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { elementsOf, manifestDifference } from '../../shared/blocks/manifest.js';
import { Exchange } from '../../shared/client/exchange.js';
import { observe } from '../../shared/client/observe.js';
import { RowsClient } from '../../shared/client/rows.js';
import { RunError, UserError } from '../../shared/errors.js';
import { Arena } from '../../shared/kernels/arena.js';
import { loadKernels } from '../../shared/kernels/load.js';
import { BLOCK_PAYLOAD_MAX_BYTES, EVALUATION_AHEAD_MAX, RUN_POLL_MS } from '../../shared/limits.js';
import { serveMetrics } from '../../shared/metrics/http.js';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { freezeGroups } from '../../shared/optimizer/groups.js';
import type { OptimizerSpec } from '../../shared/optimizer/spec.js';
import { describeTables } from '../../shared/rows/tables.js';
import { STAGE_SPARE_BYTES } from '../../shared/rpc/frame.js';
import { RefusalCode, Refused } from '../../shared/rpc/refusal.js';
import { isClocked, layoutOf } from '../../shared/run/spec.js';
import { fromWire } from '../../shared/run/wire.js';
import type { Loss } from '../job.js';
import { roundsOf } from '../local/rounds.js';
import { Compute } from '../model/compute.js';
import { assignTensors, tensorsOf } from '../model/model-tensors.js';
import { ModelRows } from '../rows/model-rows.js';
import { compileModelTables } from '../rows/model-tables.js';
import { evaluateShare } from './evaluation-share.js';
import type { TrainEvent } from './events.js';
import type { TrainingData } from './train-options.js';

export interface EvaluateOptions {
  model: LayersModel;
  loss: Loss;
  /** The job's: some freeze tensors, and tables may follow it. */
  optimizer: OptimizerSpec;
  data: TrainingData;
  /** HOST:PORT of the keeper. */
  join: string;
  /** Empty: the only run there is. */
  run: string;
  /** Steps from one evaluation to the next, at least. */
  everySteps: number;
  peerDeadlineMs: number;
  metrics: { host: string; port: number };
  onEvent(event: TrainEvent): void;
  signal?: AbortSignal;
}

/** The run once it goes on; before, whoever waits is told once. */
async function running({ join, run, peerDeadlineMs, onEvent, signal }: EvaluateOptions) {
  for (let told = false; ; told = true) {
    signal?.throwIfAborted();
    try {
      return await observe(join, run, peerDeadlineMs);
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== RefusalCode.REFUSAL_CODE_UNKNOWN_RUN) throw error;
      if (!told) onEvent({ event: 'awaiting-run', keeper: join, run });
    }
    await pause(RUN_POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** Evaluates until the run ends. Throws UserError, Refused or RunError, or the signal's reason. */
export async function evaluate(options: EvaluateOptions): Promise<void> {
  const { model, data, onEvent, signal } = options;
  if (!data.hasTest)
    throw new UserError('--evaluate: expected data with a test set, got none; add one, or leave it out');
  const metrics = createMetrics('worker');
  let attached = false;
  const endpoint = await serveMetrics([metrics.registry], options.metrics, () =>
    attached ? { healthy: true } : { healthy: false, reason: 'the run has not started' },
  );
  onEvent({ event: 'ready', role: 'evaluator', metrics: endpoint.url });
  const found = await running(options);
  const spec = fromWire(found.spec);
  const { run, view } = found;
  const tensors = freezeGroups(tensorsOf(model), options.optimizer.groups);
  const difference = manifestDifference(spec.tensors, tensors);
  if (difference)
    throw new UserError(`the model differs from the run's: ${difference}; give --job as its workers have it`);
  const rows = ModelRows.of(model);
  const tables = describeTables(
    rows ? compileModelTables(rows.tables, { ...spec, optimizer: options.optimizer }) : [],
  );
  const agreed = describeTables(spec.tables ?? []);
  for (const table of Object.keys({ ...agreed, ...tables }))
    if (agreed[table] !== tables[table])
      throw new UserError(
        `the model differs from the run's: ${table} is ${tables[table] ?? 'none'}, expected ${agreed[table] ?? 'none'}; give --job and its options as the run's workers have them`,
      );
  if (data.fingerprint !== spec.dataFingerprint)
    throw new UserError(
      "--data: expected the data of the run, got another; give --data and --batch as the run's workers have them",
    );

  const layout = layoutOf(spec);
  const rounds = roundsOf(spec);
  const modelBytes = 4 * layout.elementsPadded;
  const scratchBytes = BLOCK_PAYLOAD_MAX_BYTES + STAGE_SPARE_BYTES;
  const kernels = loadKernels({ bytes: modelBytes + scratchBytes + 4096 });
  const arena = new Arena(kernels);
  const parameters = arena.alloc(modelBytes);
  const scratch = arena.alloc(scratchBytes);
  const memory = { kernels, gradients: parameters, parameters, scratch };
  const compute = new Compute(model, tensors, options.loss, rows);
  /** The step that was evaluated last. */
  let evaluated = rounds.firstStep(spec.resume?.step ?? 0);
  const exchange = await Exchange.open({
    run,
    rank: undefined,
    spec,
    layout,
    view,
    memory,
    peerDeadlineMs: options.peerDeadlineMs,
    findView: async () => (await observe(options.join, run, options.peerDeadlineMs)).view,
    onTakeover: ({ shard, from, to }) => onEvent({ event: 'takeover', shard, step: evaluated, from, to }),
    onWaiting: (waiting) => onEvent({ event: 'waiting', ...waiting, step: evaluated }),
  });
  const client =
    rows &&
    (await RowsClient.open({
      run,
      rank: undefined,
      spec,
      view,
      peerDeadlineMs: options.peerDeadlineMs,
      onWaiting: () => undefined,
    }).catch((error) => {
      exchange.close();
      throw error;
    }));
  const leave = () => {
    exchange.close();
    client?.close();
  };
  signal?.addEventListener('abort', leave, { once: true });
  attached = true;
  metrics.runInfo.set(1, { run, training_job: spec.job, codec: spec.codec, consistency: spec.consistency });
  onEvent({ event: 'observing', run, label: `${hostname()}:${process.pid}`, everySteps: options.everySteps });
  try {
    let next = 0;
    let ahead = 1;
    for (;;) {
      // Of a step that is yet to come all servers copy the same version; of one that is past each has another by now.
      const now = await exchange.fetch(0, 'fp32', parameters, layout.blocks.slice(0, 1));
      const wanted = Math.max(next, now.step + now.skew + ahead);
      const started = performance.now();
      const { step: round, skew } = await exchange.fetch(wanted, 'fp32', parameters);
      // Some server was past it when it was asked.
      if (skew > 0 && ahead < EVALUATION_AHEAD_MAX && (await hasOneClock(options, run))) {
        ahead *= 2;
        continue;
      }
      const step = rounds.firstStep(round);
      assignTensors(tensors, (index) =>
        kernels.f32(parameters + 4 * layout.tensorOffsets[index], elementsOf(tensors[index].shape)),
      );
      // Training goes on while rows are read, batch after batch: they are as new as the rest, or newer.
      let newest = round + skew;
      const sums = await evaluateShare(compute, data, 0, 1, {
        signal,
        pull:
          client &&
          ((wanted) =>
            Promise.all(
              wanted.map(async ({ table, ids }) => {
                const pulled = await client.pull(table, ids, { exact: true, step: round });
                newest = Math.max(newest, pulled.step + pulled.skew);
                return pulled.values;
              }),
            )),
      });
      const loss = sums.lossSum / sums.records;
      const accuracy = sums.correct / sums.records;
      metrics.loss.set(loss, { run, split: 'test' });
      metrics.accuracy.set(accuracy, { run, split: 'test' });
      const seconds = (performance.now() - started) / 1000;
      onEvent({
        event: 'evaluation',
        step,
        skew: newest - round,
        loss,
        accuracy,
        records: sums.records,
        seconds,
      });
      evaluated = step;
      next = rounds.endedWith(rounds.firstStep(newest) + options.everySteps);
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof RunError) || (await isRunning(options, run))) throw error;
    onEvent({ event: 'finished-observing', run });
  } finally {
    signal?.removeEventListener('abort', leave);
    leave();
    rows?.release();
    await endpoint.close();
  }
}

/** Whether under the rules in force all workers take the same step, so that there is one version to be read. */
async function hasOneClock({ join, peerDeadlineMs }: EvaluateOptions, run: string): Promise<boolean> {
  return !isClocked(fromWire((await observe(join, run, peerDeadlineMs)).spec));
}

/** Whether a run whose servers have ended its streams goes on all the same; a keeper that is gone has ended it. */
async function isRunning({ join, peerDeadlineMs }: EvaluateOptions, run: string): Promise<boolean> {
  try {
    await observe(join, run, peerDeadlineMs);
    return true;
  } catch {
    return false;
  }
}
