// The exchange thread: everything of a worker that talks. Membership, the exchange itself, the heartbeat with
// the compute thread's progress, and the metrics. So a long computation delays no acknowledgement, and a slow
// network no computation.
import { parentPort, workerData } from 'node:worker_threads';
import type { Registry } from 'prom-client';
import { Exchange } from '../../shared/client/exchange.js';
import { joinRun, type Membership } from '../../shared/client/membership.js';
import { EXIT, isExpected, RunError, sentence } from '../../shared/errors.js';
import { loadKernels } from '../../shared/kernels/load.js';
import { HEARTBEAT_MS } from '../../shared/limits.js';
import { serveMetrics } from '../../shared/metrics/http.js';
import { createMetrics } from '../../shared/metrics/metrics.js';
import type { ParametersStreams } from '../../shared/rpc/in-process.js';
import { isClocked, layoutOf } from '../../shared/run-spec.js';
import { type FromThread, PHASES, type Stepped, type ThreadData, type ToThread } from './messages.js';

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

let membership: Membership | undefined;
let exchange: Exchange | undefined;
let failed = false;
let finished = false;
let own: OwnServer | undefined;

function fail(error: unknown): void {
  if (failed) return;
  failed = true;
  if (!isExpected(error)) throw error;
  say({ kind: 'failed', message: sentence(error), mistake: error.exitStatus === EXIT.mistake });
}

async function step(message: Extract<ToThread, { kind: 'step' }>): Promise<Stepped> {
  const { samples, lossSum, correct, phases, epoch } = message;
  const at = (exchange as Exchange).step;
  const allFinite = (exchange as Exchange).measure() && Number.isFinite(lossSum);
  const result = await (exchange as Exchange).pushPull({
    samples,
    allFinite,
    lossScale: 1,
    lossSum: Number.isFinite(lossSum) ? lossSum : 0,
    correct,
  });
  const { outcome } = result;
  const run = (membership as Membership).run;
  const total =
    phases.dataSeconds +
    phases.computeSeconds +
    result.encodeSeconds +
    result.waitSeconds +
    result.decodeSeconds;
  metrics.stepPhaseSeconds.observe(phases.dataSeconds, { phase: 'data' });
  metrics.stepPhaseSeconds.observe(phases.computeSeconds, { phase: 'compute' });
  metrics.stepPhaseSeconds.observe(result.encodeSeconds, { phase: 'encode' });
  metrics.stepPhaseSeconds.observe(result.waitSeconds, { phase: 'wait' });
  metrics.stepPhaseSeconds.observe(result.decodeSeconds, { phase: 'decode' });
  metrics.stepPhaseSeconds.observe(total, { phase: 'step' });
  metrics.steps.add(1, { outcome: outcome.skipped ? 'skipped' : 'applied' });
  metrics.epoch.set(epoch);
  count('sent', result.bytesPushed, result.elementsPushed);
  count('received', result.bytesPulled, result.elementsPulled);
  metrics.inFlightBytes.set((exchange as Exchange).inFlightBytes);
  if (!outcome.skipped) {
    metrics.samples.add(samples);
    metrics.loss.set(outcome.loss, { run, split: 'train' });
    metrics.accuracy.set(outcome.accuracy, { run, split: 'train' });
  }
  return {
    step: at,
    skipped: outcome.skipped,
    notFinite: outcome.notFinite,
    samples: outcome.samples,
    loss: outcome.loss,
    accuracy: outcome.accuracy,
    encodeSeconds: result.encodeSeconds,
    waitSeconds: result.waitSeconds,
    decodeSeconds: result.decodeSeconds,
    bytesPushed: result.bytesPushed,
    bytesPulled: result.bytesPulled,
    elementsPushed: result.elementsPushed,
  };
}

function count(direction: 'sent' | 'received', bytes: number, elements: number): void {
  metrics.bytes.add(bytes, { direction, codec: spec.codec });
  metrics.elements.add(elements, { direction });
}

async function handle(message: ToThread): Promise<Extract<FromThread, { kind: 'answer' }>['answer']> {
  switch (message.kind) {
    case 'initialize':
      await exchange?.initialize();
      return undefined;
    case 'pull':
    case 'masters': {
      const masters = message.kind === 'masters';
      const pulled = await (exchange as Exchange).fetch(
        message.step,
        masters ? 'fp32' : undefined,
        masters ? data.gradients : data.parameters,
      );
      // Where workers have clocks of their own, others may be ahead of one that only begins.
      const exact = masters || !isClocked(spec);
      if (exact && (pulled.skew > 0 || pulled.step !== message.step))
        throw new RunError(
          `expected parameters of step ${message.step} from every server, got steps ${pulled.step} to ${pulled.step + pulled.skew}`,
        );
      return { updates: pulled.updates };
    }
    case 'step':
      return step(message);
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
      finished = true;
      return (membership as Membership).done(message);
    case 'leave':
      finished = true;
      exchange?.close();
      membership?.leave();
      await own?.close();
      return undefined;
  }
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
  membership = await joinRun({
    address: own?.join ?? data.join,
    run: data.run,
    spec,
    label: data.label,
    peerDeadlineMs: data.peerDeadlineMs,
    onWelcome: (welcome) => say({ kind: 'welcome', welcome }),
    onLost: fail,
  });
  const { run, rank, view } = membership;
  exchange = await Exchange.open({
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
    },
    peerDeadlineMs: data.peerDeadlineMs,
    streamsTo: own?.streamsTo,
    onWaiting: (waiting) => say({ kind: 'waiting', ...waiting }),
  });
  metrics.runInfo.set(1, { run, training_job: spec.job, codec: spec.codec, consistency: spec.consistency });
  metrics.viewNumber.set(view.number);
  metrics.viewMembers.set(view.servers.length, { member: 'server' });
  metrics.viewMembers.set(view.workers.length, { member: 'worker' });
  setInterval(() => {
    const [atStep, phase, since] = clock;
    membership?.progress({
      step: atStep,
      phase: PHASES[phase],
      secondsInPhase: Math.max(0, (Date.now() - since) / 1000),
    });
  }, HEARTBEAT_MS).unref();
  say({ kind: 'started', run, rank, servers: view.servers.length, workers: view.workers.length });
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
