// The training loop of one worker: data → compute → exchange, step after step; evaluation by all workers after
// each epoch, on the fp32 masters. Says what happens as events; writes no files and shows nothing.
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { performance } from 'node:perf_hooks';
import { UserError } from '../../shared/errors.js';
import { freezeGroups, groupsFault } from '../../shared/optimizer/groups.js';
import type { RunSpec } from '../../shared/run/spec.js';
import { ExchangeClient, type Started } from '../exchange/exchange-client.js';
import type { Stepped } from '../exchange/messages.js';
import { roundsOf } from '../local/rounds.js';
import { Accumulation } from '../model/accumulate.js';
import { type BatchResult, Compute } from '../model/compute.js';
import { assignTensors, type ModelTensor, readTensors, tensorsOf } from '../model/model-tensors.js';
import { ModelRows } from '../rows/model-rows.js';
import { compileModelTables } from '../rows/model-tables.js';
import { evaluateShare } from './evaluation-share.js';
import { Standing } from './standing.js';
import { Tally } from './tally.js';
import { specOf, type TrainOptions, type TrainResult } from './train-options.js';

/** Trains; the model ends up with the fp32 masters. Throws UserError, Refused or RunError, or the signal's reason. */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { model } = options;
  const tensors = freezeGroups(tensorsOf(model), options.optimizer.groups);
  const fault = groupsFault(options.optimizer, tensors);
  if (fault) throw new UserError(`optimizer.groups: ${fault}`);
  const rows = ModelRows.of(model);
  const tables = rows && compileModelTables(rows.tables, options);
  const spec = specOf(options, tensors, tables);
  const standing = new Standing(spec);
  const { client, started } = await join(options, spec, standing);
  const training = new Training({ options, spec, tensors, rows, standing, client, started });
  try {
    await training.begin();
    while (training.epoch < options.epochs) await training.runEpoch();
    return await training.end();
  } finally {
    rows?.release();
    await client.stop();
  }
}

function join(options: TrainOptions, spec: RunSpec, standing: Standing) {
  const { onEvent, signal } = options;
  return ExchangeClient.start(
    {
      spec,
      join: options.join,
      peer: options.peer,
      onServing: (address) => onEvent({ event: 'serving', address }),
      snapshots: options.snapshots?.folder,
      resume: options.resume?.store.path,
      onSnapshot: onEvent,
      run: options.run,
      label: `${hostname()}:${process.pid}`,
      peerDeadlineMs: options.peerDeadlineMs,
      metrics: options.metrics,
      onReady: (metrics) => onEvent({ event: 'ready', role: 'worker', metrics }),
      onWelcome: ({ run, rank, workersJoined, workersExpected, servers }) =>
        onEvent({ event: 'joined', run, rank, workersJoined, workersExpected, servers }),
      onTakeover: ({ shard, step, from, to }) => onEvent({ event: 'takeover', shard, step, from, to }),
      onView: (view) => onEvent(standing.follow(view)),
      onWaiting: (waiting) => onEvent({ event: 'waiting', ...waiting }),
    },
    signal,
  );
}

interface TrainingParts {
  options: TrainOptions;
  spec: RunSpec;
  tensors: ModelTensor[];
  /** Where the model has embedding tables. */
  rows: ModelRows | undefined;
  standing: Standing;
  client: ExchangeClient;
  started: Started;
}

/** What travels in training. */
const isExchanged = (tensor: { kind: string }) => tensor.kind !== 'frozen';

class Training {
  readonly #parts: TrainingParts;
  readonly #compute: Compute;
  readonly #accumulation: Accumulation;
  readonly #rounds: ReturnType<typeof roundsOf>;
  readonly #tally: Tally;
  /** Steps that were done before, in the snapshot that the run goes on from. */
  readonly #fromStep: number;
  /** Steps go on without the last workers. */
  readonly #isBacked: boolean;
  /** The next step of the run. With backup workers others may have done some before this one begins, or in between. */
  #next: number;
  #last = { loss: Number.NaN, accuracy: Number.NaN, records: 0 };
  /** Epochs that are over. */
  epoch: number;

  constructor(parts: TrainingParts) {
    const { options, spec, tensors, rows } = parts;
    this.#parts = parts;
    this.#compute = new Compute(options.model, tensors, options.loss, rows);
    this.#accumulation = new Accumulation(this.#compute, tensors, options.accumulate ?? 1);
    this.#rounds = roundsOf(spec);
    this.#isBacked = (spec.backupWorkers ?? 0) > 0;
    this.#tally = new Tally({ workers: spec.workers, backed: this.#isBacked });
    this.#fromStep = spec.resume?.step ?? 0;
    this.#next = this.#fromStep;
    this.epoch = Math.floor(this.#fromStep / spec.stepsPerEpoch);
  }

  /** The model gets the run's parameters; the first worker of a new run gives them. */
  async begin(): Promise<void> {
    const { options, spec, started, client, tensors } = this.#parts;
    const { run, rank, servers, replicas, workers } = started;
    const { epochs, stepsPerEpoch, globalBatch } = spec;
    options.onEvent({
      event: 'start',
      ...{ run, rank, servers, replicas, workers, epochs, stepsPerEpoch, globalBatch },
      accumulate: options.accumulate ?? 1,
      parameters: client.layout.elements,
      fromStep: this.#fromStep,
    });
    await options.onStart?.(started);
    if (rank === 0 && !options.resume) {
      await readTensors(tensors, (index) => client.parameters(index));
      await client.initialize();
    }
    const begun = await client.pull(this.#fromStep);
    assignTensors(tensors, (index) => client.parameters(index));
    if (this.#isBacked) this.#next = begun.step;
  }

  /** The next epoch: its steps, or what a snapshot left of them, and the evaluation after it. */
  async runEpoch(): Promise<void> {
    const { options, spec, client } = this.#parts;
    const tally = this.#tally;
    const epoch = this.epoch + 1;
    const end = epoch * spec.stepsPerEpoch;
    const samplesBefore = tally.samples;
    const begun = performance.now();
    while (this.#next < end) await this.#step(epoch, begun);
    tally.trainSeconds += (performance.now() - begun) / 1000;

    await this.#evaluate(end, epoch === spec.epochs);
    const { loss, accuracy } = this.#last;
    options.onEvent({
      event: 'epoch',
      epoch,
      epochs: spec.epochs,
      step: end,
      loss,
      accuracy,
      ...(this.#isBacked ? { samples: tally.samples - samplesBefore, ...tally.late } : {}),
      seconds: tally.trainSeconds,
    });
    if (options.data.hasTest && epoch < spec.epochs) this.#assign();
    const counts = options.data.takeCacheCounts?.();
    if (counts) await client.countCache(counts.hits, counts.misses);
    this.epoch = epoch;
  }

  /** The model gets what the last exchange brought. */
  #assign(): void {
    const { tensors, client } = this.#parts;
    assignTensors(tensors, (tensor) => client.parameters(tensor), isExchanged);
  }

  /** @param begun when the epoch began, in milliseconds */
  async #step(epoch: number, begun: number): Promise<void> {
    const { options, spec, tensors, rows, started, standing, client } = this.#parts;
    const { rank } = started;
    const step = this.#next;
    options.signal?.throwIfAborted();
    client.progress(step, 'data');
    const t0 = performance.now();
    const index = step - (epoch - 1) * spec.stepsPerEpoch;
    const batch = await options.data.batch(epoch, index, rank, spec.workers, standing.departed);
    const samples = batch.xs.shape[0];
    const t1 = performance.now();
    if (rows) {
      client.progress(step, 'rows');
      await rows.load(batch.xs, (wanted) => client.pullRows(wanted, false));
    }
    client.progress(step, 'compute');
    const t2 = performance.now();
    const result = await this.#accumulation.step(batch, spec.seed, [rank, step], (tensor) =>
      client.gradients(tensor),
    );
    batch.xs.dispose();
    batch.ys.dispose();
    await readTensors(
      tensors,
      (tensor) => client.gradients(tensor),
      ({ kind }) => kind === 'state',
    );
    if (this.#rounds.endsWith(step)) client.progress(step, 'exchange');
    const phases = {
      dataSeconds: (t1 - t0) / 1000,
      computeSeconds: (performance.now() - t2) / 1000,
      ...(rows && { rowsSeconds: (t2 - t1) / 1000 }),
    };
    const { loss, correct } = result;
    const gradients = rows?.gradients();
    const done = { epoch, samples, lossSum: loss * samples, correct, phases, rows: gradients };
    const stepped = await client.step(done);
    const t3 = performance.now();
    // Where the step was skipped these are the old ones: the forward pass has moved the model's state. With a
    // clock of its own a worker then reads all the same, so that what it has is never too old.
    this.#assign();
    const tally = this.#tally;
    tally.took('data', phases.dataSeconds);
    tally.took('compute', phases.computeSeconds);
    tally.took('rows', phases.rowsSeconds ?? 0);
    tally.took('apply', (performance.now() - t3) / 1000);
    tally.add(stepped);
    this.#next = this.#isBacked && stepped.exchanged ? stepped.exchanged.step : step + 1;
    this.#tell(epoch, begun, samples, result, stepped);
  }

  /** Says what came of a step. */
  #tell(epoch: number, begun: number, samples: number, own: BatchResult, stepped: Stepped): void {
    const { options, spec, started } = this.#parts;
    const { stepsPerEpoch, epochs } = spec;
    const tally = this.#tally;
    const step = Math.min(this.#next, epoch * stepsPerEpoch);
    const at = { epoch, step, steps: epochs * stepsPerEpoch };
    if (stepped.local)
      options.onEvent({
        event: 'local-step',
        ...at,
        worker: started.rank,
        loss: Number.isFinite(own.loss) ? own.loss : null,
        accuracy: own.correct / samples,
        skipped: stepped.local.skipped,
      });
    const round = stepped.exchanged;
    if (!round) return;
    const seconds = tally.trainSeconds + (performance.now() - begun) / 1000;
    const { bytesPushed, bytesPulled } = tally.bytes;
    options.onEvent({
      event: 'step',
      ...at,
      ...(round.clocked ? { worker: started.rank } : {}),
      samples: round.samples,
      loss: round.loss,
      accuracy: round.accuracy,
      skipped: round.skipped,
      notFinite: round.notFinite,
      ...tally.late,
      samplesPerSecond: tally.samples / seconds,
      seconds,
      bytesPushed,
      bytesPulled,
      elementsPushed: tally.elementsPushed,
    });
  }

  /** This worker's part of the evaluation after `step`, on the masters; the last leaves the model with them. */
  async #evaluate(step: number, isLast: boolean): Promise<void> {
    const { options, tensors, started, standing, client } = this.#parts;
    const { data, signal } = options;
    client.progress(step, 'evaluate');
    // Between evaluations nobody waits at the end of an epoch, so one version is to be had only at the last one.
    // At an evaluation everybody does, also with clocks of their own: nobody goes on before all have given theirs.
    if (data.hasTest || isLast) {
      const { updates } = await client.pullMasters(step);
      this.#tally.met(updates);
      assignTensors(tensors, (index) => client.masters(index));
    }
    for (let records = 0; records === 0; ) {
      const { view, members } = standing;
      const place = members.indexOf(started.rank);
      const share = await evaluateShare(this.#compute, data, place, members.length, {
        signal,
        pull: (wanted) => client.pullRows(wanted, true),
      });
      if (!data.hasTest) break;
      this.#last = await client.evaluate({ view, step, ...share });
      // Somebody has left: the shares are those of the others now.
      ({ records } = this.#last);
    }
  }

  /** SHA-256 of all parameters as the servers have them, tensor after tensor in fp32, and of the rows of tables. */
  async #weightsSha256(): Promise<string> {
    const { options, tensors, rows, started, client } = this.#parts;
    const hash = createHash('sha256');
    for (const index of tensors.keys()) {
      const values = client.masters(index);
      hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
    if (rows) {
      const { digests } = await client.readTables(started.rank === 0 ? options.tablesFile?.() : undefined);
      for (const digest of digests) hash.update(digest);
    }
    return hash.digest('hex');
  }

  /** What it came to, over all workers. */
  async end(): Promise<TrainResult> {
    const { spec, rows, started, standing, client } = this.#parts;
    const { run, rank, servers } = started;
    const { workers } = spec;
    const tally = this.#tally;
    const steps = spec.epochs * spec.stepsPerEpoch;
    client.progress(steps, 'save');
    const weightsSha256 = await this.#weightsSha256();
    const moved = await client.done(tally.bytes);
    return {
      ...{ run, rank, servers, workers },
      steps: tally.updates,
      samples: tally.samplesOfAll(spec.globalBatch / workers),
      consistency: standing.consistency,
      leads: standing.members[0] === rank,
      ...tally.late,
      accuracy: this.#last.accuracy,
      loss: this.#last.loss,
      trainSeconds: tally.trainSeconds,
      phaseSeconds: tally.phaseSeconds(steps - this.#fromStep, {
        optimizer: spec.local !== undefined,
        rows: rows !== undefined,
      }),
      ...moved,
      weightsSha256,
    };
  }
}
