// The exchange thread: everything of a worker that talks. Membership, the exchange itself, the heartbeat with
// the compute thread's progress, and the metrics. So a long computation delays no acknowledgement, and a slow
// network no computation.
import { createHash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { parentPort, workerData } from 'node:worker_threads';
import type { Registry } from 'prom-client';
import { Exchange } from '../../shared/client/exchange.js';
import { Maxima } from '../../shared/client/maxima.js';
import { joinRun, type Membership } from '../../shared/client/membership.js';
import { type MovedRows, type RowGradients, RowsClient } from '../../shared/client/rows.js';
import { rowsFinite } from '../../shared/client/sdk-tables.js';
import { EXIT, isExpected, RunError, sentence } from '../../shared/errors.js';
import { loadKernels } from '../../shared/kernels/load.js';
import { HEARTBEAT_MS } from '../../shared/limits.js';
import { serveMetrics } from '../../shared/metrics/http.js';
import { createMetrics } from '../../shared/metrics/metrics.js';
import type { ParametersStreams } from '../../shared/rpc/in-process.js';
import { isClocked, layoutOf, type RunSpec } from '../../shared/run/spec.js';
import { readManifest } from '../../shared/snapshot/manifest.js';
import { storeAt } from '../../shared/snapshot/store.js';
import { Usual, usually } from '../../shared/usual.js';
import { shardsOf } from '../../shared/view.js';
import { LocalSteps, type RoundSums } from '../local/local-steps.js';
import { roundsOf } from '../local/rounds.js';
import { TablesFile } from '../results/tables-file.js';
import {
  type Exchanged,
  type FromThread,
  PHASES,
  type ReadTables,
  type Stepped,
  type ThreadData,
  type ToThread,
} from './messages.js';
import { StepTimes } from './step-times.js';
import { restoreResiduals, WorkerParts } from './worker-part.js';

const port = parentPort as NonNullable<typeof parentPort>;
const data = workerData as ThreadData;
const { spec } = data;
const say = (message: FromThread) => port.postMessage(message);

/** What a node with both roles adds to the thread: its server runs here too. */
export interface OwnServer {
  /** Its registry is served beside the worker's. */
  readonly registry: Registry;
  /** The keeper's address. */
  readonly join: string;
  /** Streams to the shard of this process; undefined for the address of another. */
  streamsTo(address: string): ParametersStreams | undefined;
  close(): Promise<void>;
}

const layout = layoutOf(spec);
const kernels = loadKernels({ memory: data.memory });
const clock = new Float64Array(data.clock);
const metrics = createMetrics('worker');
const rounds = roundsOf(spec);
const local = spec.local && new LocalSteps(layout, spec.local.optimizer, { kernels, ...data });

let membership: Membership | undefined;
let exchange: Exchange | undefined;
/** Where the run has tables. */
let rows: RowsClient | undefined;
/** Payload and numbers of rows that training has moved since the last step. */
const rowsMoved = { sent: 0, received: 0, elementsSent: 0 };
let isCreated = (_exchange: Exchange): void => undefined;
/** What the keeper says of views reaches it from the beginning, in order: also while it connects. */
const created = new Promise<Exchange>((resolve) => {
  isCreated = resolve;
});
let failed = false;
let finished = false;
let own: OwnServer | undefined;
/** There from the start of the run. */
let parts: WorkerParts | undefined;
/** Steps (rounds) whose exchange has begun. */
let begunSteps = 0;
let stepsDone = 0;
/** What the last steps took, for the heartbeat. */
const times = new StepTimes();
/** What its steps usually take. */
const usualStep = new Usual();

function fail(error: unknown): void {
  if (failed) return;
  failed = true;
  if (!isExpected(error)) throw error;
  say({ kind: 'failed', message: sentence(error), mistake: error.exitStatus === EXIT.mistake });
}

async function step(message: Extract<ToThread, { kind: 'step' }>): Promise<Stepped> {
  const { samples, lossSum, correct, phases, epoch } = message;
  metrics.epoch.set(epoch);
  const started = performance.now();
  const batch = { samples, lossSum, correct };
  const applied = local?.step(batch) ?? true;
  const isEnd = rounds.endsWith(stepsDone++);
  const sums: RoundSums | undefined = !local
    ? { ...batch, steps: 1, skipped: 0, usable: Number.isFinite(lossSum) }
    : isEnd
      ? local.contribution()
      : undefined;
  const optimizerSeconds = (performance.now() - started) / 1000;
  const exchanged = sums && (await exchangeRound(sums, message.rows ?? []));
  const seconds = {
    data: phases.dataSeconds,
    compute: phases.computeSeconds,
    ...(phases.rowsSeconds !== undefined && { rows: phases.rowsSeconds }),
    ...(local && { optimizer: optimizerSeconds }),
    ...(exchanged && {
      encode: exchanged.encodeSeconds,
      wait: exchanged.waitSeconds,
      decode: exchanged.decodeSeconds,
    }),
  };
  times.add(seconds);
  for (const [phase, value] of Object.entries(seconds))
    metrics.stepPhaseSeconds.observe(value, { phase: phase as keyof typeof seconds });
  const total = Object.values(seconds).reduce((sum, value) => sum + value, 0);
  metrics.stepPhaseSeconds.observe(total, { phase: 'step' });
  usualStep.observe(1000 * total);
  return { ...(local && { local: { skipped: !applied, optimizerSeconds } }), exchanged };
}

/** Pushes the gradients of a step, or the differences of a round, and takes the new parameters. */
async function exchangeRound(
  { samples, lossSum, correct, steps, skipped, usable }: RoundSums,
  gradients: readonly RowGradients[],
): Promise<Exchanged> {
  const current = exchange as Exchange;
  const finite = current.measure() && rowsFinite(spec.tables ?? [], gradients);
  const exchangingSince = performance.now();
  begunSteps = current.step + 1;
  parts?.stepBegins(current.step, () => current.residuals);
  const header = {
    samples,
    allFinite: finite && usable,
    lossScale: 1,
    lossSum: Number.isFinite(lossSum) ? lossSum : 0,
    correct,
  };
  // The same header goes to both, so a step is skipped, or applied, in both.
  const [result] = await Promise.all([
    (exchange as Exchange).pushPull(header),
    rows?.push(header, gradients),
  ]);
  const exchangeSeconds = (performance.now() - exchangingSince) / 1000;
  const moved = { ...rowsMoved };
  Object.assign(rowsMoved, { sent: 0, received: 0, elementsSent: 0 });
  const { outcome, taken, passed } = result;
  local?.end(outcome.skipped, finite);
  const run = (membership as Membership).run;
  const isApplied = taken && !outcome.skipped;
  // Only now is it known what has become of the steps of the round.
  metrics.steps.add(isApplied ? steps : 0, { outcome: 'applied' });
  metrics.steps.add(taken && outcome.skipped ? steps + skipped : skipped, { outcome: 'skipped' });
  if (passed) metrics.steps.add(passed.late[(membership as Membership).rank], { outcome: 'late' });
  count('sent', result.bytesPushed, result.elementsPushed);
  count('received', result.bytesPulled, result.elementsPulled);
  metrics.inFlightBytes.set((exchange as Exchange).inFlightBytes);
  if (isApplied) metrics.samples.add(samples);
  if (!outcome.skipped) {
    metrics.loss.set(outcome.loss, { run, split: 'train' });
    metrics.accuracy.set(outcome.accuracy, { run, split: 'train' });
  }
  const isPassed = passed !== undefined && passed.applied > 0;
  return {
    step: result.step,
    late: passed?.late ?? [],
    steps: passed?.applied ?? (outcome.skipped ? 0 : steps),
    skipped: passed ? !isPassed : outcome.skipped,
    notFinite: outcome.notFinite,
    samples: isPassed ? passed.samples : outcome.samples,
    loss: isPassed ? passed.lossSum / passed.samples : outcome.loss,
    accuracy: isPassed ? passed.correct / passed.samples : outcome.accuracy,
    encodeSeconds: result.encodeSeconds,
    // Also for the rows, where they take longer than the blocks.
    waitSeconds: Math.max(result.waitSeconds, exchangeSeconds - result.encodeSeconds - result.decodeSeconds),
    decodeSeconds: result.decodeSeconds,
    bytesPushed: result.bytesPushed + moved.sent,
    bytesPulled: result.bytesPulled + moved.received,
    bytesRetried: result.bytesRetried,
    elementsPushed: result.elementsPushed + moved.elementsSent,
    clocked: result.clocked,
  };
}

/** Reads all rows that some step has updated, a message of each server at a time. */
async function readTables(client: RowsClient, file: string | undefined): Promise<ReadTables> {
  const tables = spec.tables ?? [];
  const { run } = membership as Membership;
  const saved =
    file === undefined
      ? undefined
      : await TablesFile.open(file, tables, {
          run,
          job: spec.job,
          // What a row that is not in the file is: its initial values.
          seed: String(spec.seed),
          tables: JSON.stringify(tables),
        });
  const digests: Uint8Array[] = [];
  try {
    for (const table of tables.keys()) {
      const ids = createHash('sha256');
      const values = createHash('sha256');
      await client.scan(
        table,
        (updated) => saved?.begin(updated),
        async (someIds, someValues) => {
          ids.update(someIds);
          values.update(someValues);
          await saved?.write(someIds, someValues);
        },
      );
      digests.push(ids.digest(), values.digest());
    }
    await saved?.close();
  } catch (error) {
    await saved?.abandon();
    throw error;
  }
  return { digests };
}

function describe(run: string, consistency: RunSpec['consistency']): void {
  metrics.runInfo.forget({ run });
  metrics.runInfo.set(1, { run, training_job: spec.job, codec: spec.codec, consistency });
}

function count(direction: 'sent' | 'received', bytes: number, elements: number): void {
  metrics.bytes.add(bytes, { direction, codec: spec.codec });
  metrics.elements.add(elements, { direction });
}

function countRows({ direction, table, rows: moved, codec, payloadBytes, exact }: MovedRows): void {
  const elements = moved * table.width;
  metrics.rows.add(moved, { direction, table: table.name });
  metrics.rowBytes.add(payloadBytes, { direction, table: table.name });
  metrics.bytes.add(payloadBytes, { direction, codec });
  metrics.elements.add(elements, { direction });
  // What an evaluation reads is no part of training, as the masters of the other parameters.
  if (!exact) rowsMoved[direction] += payloadBytes;
  if (direction === 'sent') rowsMoved.elementsSent += elements;
}

async function handle(message: ToThread): Promise<Extract<FromThread, { kind: 'answer' }>['answer']> {
  switch (message.kind) {
    case 'initialize':
      await exchange?.initialize();
      return undefined;
    case 'pull':
    case 'masters': {
      const masters = message.kind === 'masters';
      if (!masters && spec.backupWorkers) {
        // Others need not wait for this one to begin.
        await (exchange as Exchange).catchUp('all');
        const { step } = exchange as Exchange;
        return { updates: step, step };
      }
      const round = rounds.endedAfter(message.step);
      const pulled = await (exchange as Exchange).fetch(
        round,
        masters ? 'fp32' : undefined,
        masters ? data.gradients : data.parameters,
      );
      // Where workers have clocks of their own, others may be ahead of one that only begins.
      const exact = masters || !isClocked(spec);
      if (exact && (pulled.skew > 0 || pulled.step !== round))
        throw new RunError(
          `expected parameters of step ${round} from every server, got steps ${pulled.step} to ${pulled.step + pulled.skew}`,
        );
      if (!masters) local?.begin();
      return { updates: pulled.updates, step: pulled.step };
    }
    case 'step':
      return step(message);
    case 'rows': {
      const client = rows as RowsClient;
      const pulled = await Promise.all(
        message.wanted.map(({ table, ids }) => client.pull(table, ids, { exact: message.exact })),
      );
      return pulled.map(({ values }) => values);
    }
    case 'tables':
      return readTables(rows as RowsClient, message.file);
    case 'evaluation': {
      const whole = await (membership as Membership).evaluate(message);
      const run = (membership as Membership).run;
      metrics.loss.set(whole.loss, { run, split: 'test' });
      metrics.accuracy.set(whole.accuracy, { run, split: 'test' });
      return { loss: whole.loss, accuracy: whole.accuracy, records: whole.records };
    }
    case 'cache':
      metrics.cacheRequests.add(message.hits, { result: 'hit' });
      metrics.cacheRequests.add(message.misses, { result: 'miss' });
      return undefined;
    case 'done':
      exchange?.close();
      rows?.close();
      finished = true;
      return (membership as Membership).done({ ...message, steps: exchange?.step ?? 0 });
    case 'leave':
      finished = true;
      exchange?.close();
      rows?.close();
      membership?.leave();
      await own?.close();
      return undefined;
  }
}

/** Step, phase, and since when, as the compute thread last told them. */
function progress() {
  const [step, phase, since] = clock;
  return { step, phase: PHASES[phase], secondsInPhase: Math.max(0, (Date.now() - since) / 1000) };
}

/** What the worker is in the midst of, compared with what is usual. */
function doing(): string {
  const { step, phase, secondsInPhase } = progress();
  return `was at step ${step}, in ${phase} for ${secondsInPhase.toFixed(1)} s; ${usually('a step', usualStep)}`;
}

async function main(serve?: (lost: (error: Error) => void) => Promise<OwnServer>): Promise<void> {
  // With its work done, a worker needs no keeper any more.
  own = await serve?.((error) => void (finished || fail(error)));
  const registries = own ? [metrics.registry, own.registry] : [metrics.registry];
  const server = await serveMetrics(registries, data.metrics, () =>
    exchange && !failed
      ? { healthy: true }
      : { healthy: false, reason: failed ? 'the run has failed' : 'the run has not started' },
  );
  say({ kind: 'ready', metrics: server.url });
  const snapshots = data.snapshots === undefined ? undefined : await storeAt(data.snapshots);
  membership = await joinRun({
    address: own?.join ?? data.join,
    run: data.run,
    spec,
    label: data.label,
    peerDeadlineMs: data.peerDeadlineMs,
    onWelcome: (welcome) => say({ kind: 'welcome', welcome }),
    onSnapshot: (order) => parts?.order(order, begunSteps),
    onHold: async () => (await created).hold(),
    onView: (view) => void created.then((exchange) => exchange.change(view)),
    onPlaced: (view) => void created.then((exchange) => exchange.place(view)),
    onWaiting: (waiting) => say({ kind: 'waiting', ...waiting }),
    doing,
    onLost: fail,
  });
  const { run, rank, view } = membership;
  if (snapshots)
    parts = new WorkerParts({
      run,
      rank,
      store: snapshots,
      report: (part) => membership?.snapshot(part),
      onWritten: (bytes) => metrics.snapshotBytes.add(bytes),
      now: () => performance.now(),
    });
  exchange = Exchange.create({
    run,
    rank,
    spec,
    layout,
    view,
    memory: {
      kernels,
      gradients: data.gradients,
      parameters: data.parameters,
      scratch: data.scratch,
      residuals: data.residuals,
      maxima: data.maxima && new Maxima({ kernels, gradients: data.gradients }, layout, data.maxima),
    },
    peerDeadlineMs: data.peerDeadlineMs,
    streamsTo: own?.streamsTo,
    onTakeover: (takeover) => say({ ...takeover, kind: 'takeover', step: rounds.firstStep(takeover.step) }),
    onView(view, { consistency, staleness }) {
      describe(run, consistency);
      metrics.viewNumber.set(view.number);
      membership?.entered(view.number);
      const { number, fromStep, departed } = view;
      const members = view.workers.map(({ rank }) => rank);
      metrics.viewMembers.set(members.length, { member: 'worker' });
      say({
        ...{ kind: 'view', number, fromStep: rounds.firstStep(fromStep), consistency, staleness, members },
        ...(departed ? { departed } : {}),
      });
    },
    onWaiting(waiting) {
      say({ kind: 'waiting', ...waiting, step: rounds.firstStep(waiting.step) });
    },
  });
  isCreated(exchange);
  await exchange.connect();
  if (spec.tables)
    rows = await RowsClient.open({
      run,
      rank,
      spec,
      view,
      peerDeadlineMs: data.peerDeadlineMs,
      onWaiting: (waiting) => say({ kind: 'waiting', ...waiting }),
      onMoved: countRows,
    });
  if (data.resume !== undefined) {
    const snapshot = await readManifest(await storeAt(data.resume));
    if (snapshot?.sha256 !== spec.resume?.sha256)
      throw new RunError(`the snapshot in ${data.resume} has changed since this worker began; start again`);
    if (snapshot) await restoreResiduals(snapshot, rank, view.workers.length, exchange.residuals);
    exchange.residualsRestored();
  }
  describe(run, spec.consistency);
  metrics.viewNumber.set(view.number);
  metrics.viewMembers.set(view.servers.length, { member: 'server' });
  metrics.viewMembers.set(view.workers.length, { member: 'worker' });
  setInterval(() => {
    membership?.progress({
      ...progress(),
      times: { ...times.means(), servers: exchange?.serverSeconds(), missing: exchange?.missing() },
    });
  }, HEARTBEAT_MS).unref();
  const copies = shardsOf(view).map(({ backups }) => 1 + backups.length);
  say({
    ...{ kind: 'started', run, rank, servers: view.servers.length, workers: view.workers.length },
    replicas: Math.min(...copies),
  });
}

/**
 * Runs the exchange thread of this process; called once, by the module that the thread was started with.
 * @param serve starts the server of a node with both roles
 */
export function runExchangeThread(serve?: (lost: (error: Error) => void) => Promise<OwnServer>): void {
  port.on('message', (message: ToThread) => {
    handle(message).then((answer) => say({ kind: 'answer', answer }), fail);
  });
  main(serve).catch(fail);
}
