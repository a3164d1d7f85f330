// How long an exchange takes: pushPull of 64 MiB of fp32 gradients (64 blocks), Adam on the server (momentum where the
// codec does not go with Adam), 1 server and 1 worker (stub-node.ts) as processes, one codec after another, each in turn
// with what it is compared with: processes that only wait collect garbage in the others' time. All have warmed up first:
// before V8 has compiled what runs, a round takes half as long again; the first rounds of a turn are not counted.
// `round` is what the training thread waits; `encode`, `wait` and `decode` are the exchange thread's parts of it, `check`
// the rest (are all gradients finite, and the way between the threads). `server…` are the parts of the server's work,
// which overlap with the worker's; `serverCpu` and `workerCpu` all that the processes computed, transport included. `push` is one stream of contributions that are checked and dropped (push.ts): of 1 MiB in fp32.
import { pairFault } from '../../shared/codec/allowed-pairs.js';
import type { CodecName } from '../../shared/codec/codec.js';
import { codecNames, codecs } from '../../shared/codec/registry.js';
import { BLOCK_ELEMENTS_MAX } from '../../shared/limits.js';
import { fillUniform } from './fill.js';
import {
  byLabel,
  cpuSeconds,
  growth,
  SETTLING_ROUNDS,
  type Started,
  StubNodes,
  scrape,
  startProcess,
  startServerProcess,
  warmUpRounds,
} from './processes.js';
import { measurePush } from './push.js';
import { type BenchOptions, type Result, Series } from './result.js';

/** Messages of one push stream: small ones need no 2 GB to be measured. */
const PUSH_MESSAGES_MAX = 20_000;
const SERVER_PHASES = ['decode', 'aggregate', 'optimizer', 'encode'];

interface Mesh {
  codec: CodecName;
  server: Started;
  worker: StubNodes;
}

/** A server and a worker, warm. */
async function startMesh(codec: CodecName, shape: readonly string[]): Promise<Mesh> {
  const server = await startServerProcess();
  const worker = new StubNodes();
  const optimizer = pairFault(codec, 'adam', 'bsp') ? 'momentum' : 'adam';
  const flags = [`--join=${server.ready.address}`, '--workers=1', `--codec=${codec}`];
  flags.push(`--optimizer=${optimizer}`, ...shape);
  try {
    await worker.start(flags);
    await worker.warm();
  } catch (error) {
    await Promise.all([worker.stop(), server.child.stop()]);
    throw error;
  }
  return { codec, server, worker };
}

/** Some rounds; adds the means of a round. */
async function measureRounds({ codec, server, worker }: Mesh, rounds: number, series: Series): Promise<void> {
  const metrics = server.ready.metrics as string;
  const phasesOf = (samples: Awaited<ReturnType<typeof scrape>>) =>
    byLabel(samples, 'gradloom_apply_seconds_total', 'phase');
  await worker.rounds(SETTLING_ROUNDS);
  const before = await scrape(metrics);
  const [said] = (await worker.rounds(rounds)) as unknown as Record<string, number>[];
  const after = await scrape(metrics);
  const add = (metric: string, ms: number) => series.add(codec, metric, 'ms', ms);
  add('round', said.ms);
  add('check', said.ms - said.encodeMs - said.waitMs - said.decodeMs);
  add('encode', said.encodeMs);
  add('wait', said.waitMs);
  add('decode', said.decodeMs);
  const phases = growth(phasesOf(before), phasesOf(after));
  for (const phase of SERVER_PHASES)
    add(`server${phase[0].toUpperCase()}${phase.slice(1)}`, (1000 * (phases.get(phase) ?? 0)) / rounds);
  add('serverCpu', (1000 * (cpuSeconds(after) - cpuSeconds(before))) / rounds);
  add('workerCpu', said.cpuMs);
}

export interface ExchangeBenchOptions extends BenchOptions {
  /** Only this one; all by default. */
  codec?: CodecName;
}

/** Runs the bench; `small` only shows that it works. */
export async function run(options: ExchangeBenchOptions): Promise<Result[]> {
  const measured = options.codec ? [options.codec] : codecNames;
  const blocks = options.small ? 2 : 64;
  const rounds = options.small ? 1 : 12;
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
  const shape = [
    `--elements=${blocks * BLOCK_ELEMENTS_MAX}`,
    `--warm-up=${warmUpRounds(blocks, options.small)}`,
  ];
  for (const codec of measured) {
    const mesh = await startMesh(codec, shape);
    try {
      for (let repeat = 0; repeat < options.repeats; repeat++) {
        await options.between?.();
        await measureRounds(mesh, rounds, series);
      }
    } finally {
      await mesh.worker.stop();
      await mesh.server.child.stop();
    }
  }
  const sink = await startProcess('sink', 'test/bench/push-sink.js', []);
  try {
    for (let repeat = 0; repeat < options.repeats; repeat++)
      for (const codec of measured) {
        const payload = payloads[codec];
        const count = Math.min(PUSH_MESSAGES_MAX, Math.ceil(pushBytes / payload.byteLength));
        const rate = await measurePush(sink.ready.address as string, payload, count);
        series.add(codec, 'push', 'GB/s', rate / 1e9);
      }
    return series.results();
  } finally {
    await sink.child.stop();
  }
}
