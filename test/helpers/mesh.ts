// Real servers on free ports, and workers that train on them through the client that everybody uses.
import type { ExecutionContext } from 'ava';
import { reportTo } from '../../server/metrics.js';
import { type RunningServer, type ServerOptions, startServer } from '../../server/server.js';
import { blockOffset } from '../../shared/blocks/blocks.js';
import { Exchange } from '../../shared/client/exchange.js';
import { joinRun, type Membership } from '../../shared/client/membership.js';
import { residualBytes } from '../../shared/client/residuals.js';
import type { RunError } from '../../shared/errors.js';
import { Arena } from '../../shared/kernels/arena.js';
import { loadKernels } from '../../shared/kernels/load.js';
import { BLOCK_PAYLOAD_MAX_BYTES } from '../../shared/limits.js';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { layoutOf, type RunSpec } from '../../shared/run/spec.js';
import { gradientOf, headerOf, normals } from './shards.js';

/** Long enough for a busy machine: nothing here waits for it unless something is broken. */
export const PEER_DEADLINE_MS = 120_000;

/** A server on a free port that is closed when the test has ended. */
export async function openServer(
  t: Pick<ExecutionContext, 'teardown'>,
  changes: Partial<ServerOptions> = {},
): Promise<RunningServer> {
  const server = await startServer({
    listen: '127.0.0.1:0',
    memoryBytes: 256 * 1024 ** 2,
    peerDeadlineMs: PEER_DEADLINE_MS,
    metrics: reportTo(createMetrics('server')),
    log: () => undefined,
    onLost: () => undefined,
    ...changes,
  });
  t.teardown(() => server.close('the test has ended'));
  return server;
}

/** A mesh of so many servers; the first keeps it. */
export async function openMesh(t: ExecutionContext, servers: number): Promise<RunningServer[]> {
  const keeper = await openServer(t);
  const others = [];
  for (let index = 1; index < servers; index++) others.push(await openServer(t, { join: keeper.address }));
  return [keeper, ...others];
}

export interface WorkerOptions {
  /** HOST:PORT of the keeper. */
  address: string;
  spec: RunSpec;
  run?: string;
  label?: string;
  /** Turns the addresses in the view into others, for instance a proxy's. */
  addressOf?: (address: string) => string;
  onLost?: (error: RunError) => void;
  onWaiting?: (waiting: { step: number; workers: string[] }) => void;
}

export interface TestWorker {
  readonly membership: Membership;
  readonly exchange: Exchange;
  /** One step with the gradients that `gradientOf` has for this rank. */
  step(step: number, allFinite?: boolean): ReturnType<Exchange['pushPull']>;
  /** The bits of all blocks in canonical order, as the servers have them after so many steps. */
  fetchBits(step: number): Promise<Uint32Array>;
  /** The parameters as they came in training. */
  parameters(): Float32Array[];
  leave(): void;
}

/** Joins, connects and gives or takes the initial values. */
export async function startWorker(options: WorkerOptions): Promise<TestWorker> {
  const { spec, addressOf = (address) => address } = options;
  const layout = layoutOf(spec);
  let opened: Exchange | undefined;
  const membership = await joinRun({
    address: options.address,
    run: options.run ?? '',
    spec,
    label: options.label ?? 'test worker',
    peerDeadlineMs: PEER_DEADLINE_MS,
    onWelcome: () => undefined,
    onPlaced: (placed) => opened?.place(placed),
    onLost: options.onLost ?? (() => undefined),
  });
  const { rank } = membership;
  const modelBytes = layout.elementsPadded * 4;
  const lossyBytes = residualBytes(spec, layout);
  const kernels = loadKernels({ bytes: 3 * modelBytes + lossyBytes + 2 * BLOCK_PAYLOAD_MAX_BYTES + 1024 });
  const arena = new Arena(kernels);
  const [gradients, parameters, masters] = [1, 2, 3].map(() => arena.alloc(modelBytes));
  const scratch = arena.alloc(2 * BLOCK_PAYLOAD_MAX_BYTES);
  const residuals = arena.alloc(lossyBytes);
  const blockAt = (base: number, index: number) =>
    kernels.f32(base + 4 * blockOffset(layout, layout.blocks[index]), layout.blocks[index].elements);
  const view = {
    ...membership.view,
    servers: membership.view.servers.map((server) => ({ ...server, address: addressOf(server.address) })),
  };
  const exchange = await Exchange.open({
    run: membership.run,
    rank,
    spec,
    layout,
    view,
    memory: { kernels, gradients, parameters, scratch, residuals },
    peerDeadlineMs: PEER_DEADLINE_MS,
    onWaiting: options.onWaiting ?? (() => undefined),
  });
  opened = exchange;
  if (rank === 0) {
    for (const { index, elements } of layout.blocks)
      blockAt(parameters, index).set(normals(elements, 'initial', spec.seed, index));
    await exchange.initialize();
  } else await exchange.fetch(0, 'fp32', parameters);
  return {
    membership,
    exchange,
    step(step, allFinite = true) {
      const header = { ...headerOf(step, rank), allFinite };
      for (const { index, kind } of layout.blocks) {
        if (kind === 'frozen') continue;
        const factor = kind === 'trainable' ? header.lossScale : 1;
        blockAt(gradients, index).set(gradientOf(spec, step, rank, index).map((x) => x * factor));
      }
      return exchange.pushPull(header);
    },
    async fetchBits(step) {
      await exchange.fetch(step, 'fp32', masters);
      const all = layout.blocks.flatMap(({ index }) => [...blockAt(masters, index)]);
      return new Uint32Array(Float32Array.from(all).buffer);
    },
    parameters: () => layout.blocks.map(({ index }) => blockAt(parameters, index).slice()),
    leave() {
      exchange.close();
      membership.leave();
    },
  };
}

/** Workers as many as the spec asks for, joined and ready. */
export function startWorkers(options: WorkerOptions): Promise<TestWorker[]> {
  return Promise.all(
    Array.from({ length: options.spec.workers }, (_, i) => startWorker({ label: `w${i}`, ...options })),
  );
}

/** A whole run of so many steps; the bits of its end. */
export async function wholeRun(options: WorkerOptions, steps: number): Promise<Uint32Array> {
  const workers = await startWorkers(options);
  for (let step = 0; step < steps; step++) await Promise.all(workers.map((worker) => worker.step(step)));
  const [bits] = await Promise.all(workers.map((worker) => worker.fetchBits(steps)));
  await Promise.all(
    workers.map((worker) =>
      worker.membership.done({ bytesPushed: 0, bytesPulled: 0, bytesRetried: 0, steps }),
    ),
  );
  for (const { exchange } of workers) exchange.close();
  return bits;
}
