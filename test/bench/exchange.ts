// How long an exchange takes: pushPull of 64 MiB of fp32 gradients (64 blocks), Adam on the server (momentum where the
// codec does not go with Adam), 1 server process and 1 worker (this process with its exchange thread), per codec. The
// codecs take turns, so that a slow moment hits all of them. `round` is what the training thread waits; `encode`,
// `wait` and `decode` are the exchange thread's parts of it, `check` the rest (are all gradients finite, and the way
// between the threads). `server…` are the parts of the server's work, which overlap with the worker's; `serverCpu` and
// `workerCpu` all that the processes computed, transport included. `push` is one stream of contributions that are
// checked and dropped (push.ts): of 1 MiB in fp32.
import { performance } from 'node:perf_hooks';
import { pairFault } from '../../shared/codec/allowed-pairs.js';
import type { CodecName } from '../../shared/codec/codec.js';
import { codecNames, codecs } from '../../shared/codec/registry.js';
import { BLOCK_ELEMENTS_MAX } from '../../shared/limits.js';
import { optimizerSpec, type RunSpec } from '../../shared/run-spec.js';
import { ExchangeClient } from '../../worker/exchange/exchange-client.js';
import { fillUniform } from './fill.js';
import {
  byLabel,
  cpuSeconds,
  growth,
  type Started,
  scrape,
  startProcess,
  startServerProcess,
} from './processes.js';
import { measurePush } from './push.js';
import { type BenchOptions, type Result, Series } from './result.js';

const PEER_DEADLINE_MS = 60_000;
/** Messages of one push stream: small ones need no 2 GB to be measured. */
const PUSH_MESSAGES_MAX = 20_000;
const SERVER_PHASES = ['decode', 'aggregate', 'optimizer', 'encode'];

interface Mesh {
  codec: CodecName;
  server: Started;
  client: ExchangeClient;
}

async function startMesh(codec: CodecName, elements: number): Promise<Mesh> {
  const server = await startServerProcess();
  const spec: RunSpec = {
    job: 'bench-exchange',
    tensors: [{ name: 'weights', shape: [elements], kind: 'trainable' }],
    optimizer: optimizerSpec(pairFault(codec, 'adam', 'bsp') ? 'momentum' : 'adam', 1e-4),
    consistency: 'bsp',
    codec,
    workers: 1,
    globalBatch: 1,
    epochs: 1,
    stepsPerEpoch: 1,
    seed: 1,
    dataFingerprint: 'none',
  };
  const { client } = await ExchangeClient.start({
    spec,
    join: server.ready.address as string,
    run: '',
    label: 'bench',
    peerDeadlineMs: PEER_DEADLINE_MS,
    metrics: { host: '127.0.0.1', port: 0 },
    onReady: () => undefined,
    onWelcome: () => undefined,
    onWaiting: () => undefined,
  });
  fillUniform(client.parameters(0), 1, 1);
  await client.initialize();
  fillUniform(client.gradients(0), 2, 1e-2);
  return { codec, server, client };
}

/** Some rounds; adds the means of a round. */
async function measureRounds({ codec, server, client }: Mesh, rounds: number, series: Series): Promise<void> {
  const metrics = server.ready.metrics as string;
  const phasesOf = (samples: Awaited<ReturnType<typeof scrape>>) =>
    byLabel(samples, 'gradloom_apply_seconds_total', 'phase');
  const before = await scrape(metrics);
  const cpuBefore = process.cpuUsage();
  const sums = { encode: 0, wait: 0, decode: 0 };
  const started = performance.now();
  for (let round = 0; round < rounds; round++) {
    const { exchanged } = await client.step({
      epoch: 1,
      samples: 1,
      lossSum: 1,
      correct: 0,
      phases: { dataSeconds: 0, computeSeconds: 0 },
    });
    sums.encode += (exchanged?.encodeSeconds ?? 0) * 1000;
    sums.wait += (exchanged?.waitSeconds ?? 0) * 1000;
    sums.decode += (exchanged?.decodeSeconds ?? 0) * 1000;
  }
  const totalMs = performance.now() - started;
  const cpu = process.cpuUsage(cpuBefore);
  const after = await scrape(metrics);
  const add = (metric: string, ms: number) => series.add(codec, metric, 'ms', ms / rounds);
  add('round', totalMs);
  add('check', totalMs - sums.encode - sums.wait - sums.decode);
  for (const [phase, ms] of Object.entries(sums)) add(phase, ms);
  const phases = growth(phasesOf(before), phasesOf(after));
  for (const phase of SERVER_PHASES)
    add(`server${phase[0].toUpperCase()}${phase.slice(1)}`, 1000 * (phases.get(phase) ?? 0));
  add('serverCpu', 1000 * (cpuSeconds(after) - cpuSeconds(before)));
  add('workerCpu', (cpu.user + cpu.system) / 1000);
}

export interface ExchangeBenchOptions extends BenchOptions {
  /** Only this one; all by default. */
  codec?: CodecName;
}

/** Runs the bench; `small` only shows that it works. */
export async function run(options: ExchangeBenchOptions): Promise<Result[]> {
  const measured = options.codec ? [options.codec] : codecNames;
  const blocks = options.small ? 2 : 64;
  const rounds = options.small ? 1 : 6;
  const pushBytes = options.small ? 8e6 : 2e9;
  const series = new Series('exchange');
  const payloads = Object.fromEntries(
    measured.map((codec) => {
      const bytes = codecs[codec].payloadBytes(BLOCK_ELEMENTS_MAX);
      const payload = new Float32Array(Math.ceil(bytes / 4));
      fillUniform(payload, 3, 1);
      return [codec, new Uint8Array(payload.buffer, 0, bytes)];
    }),
  );
  const meshes: Mesh[] = [];
  const sink = await startProcess('sink', 'test/bench/push-sink.js', []);
  try {
    for (const codec of measured) meshes.push(await startMesh(codec, blocks * BLOCK_ELEMENTS_MAX));
    for (const mesh of meshes) await measureRounds(mesh, Math.min(3, rounds), new Series('warm-up'));
    for (let repeat = 0; repeat < options.repeats; repeat++) {
      await options.between?.();
      for (const mesh of meshes) await measureRounds(mesh, rounds, series);
      for (const codec of measured) {
        const payload = payloads[codec];
        const count = Math.min(PUSH_MESSAGES_MAX, Math.ceil(pushBytes / payload.byteLength));
        const rate = await measurePush(sink.ready.address as string, payload, count);
        series.add(codec, 'push', 'GB/s', rate / 1e9);
      }
    }
    return series.results();
  } finally {
    for (const { client } of meshes) await client.stop();
    await Promise.all([sink, ...meshes.map(({ server }) => server)].map(({ child }) => child.stop()));
  }
}
