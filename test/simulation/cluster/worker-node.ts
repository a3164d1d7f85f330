// A worker of a simulated cluster: the real membership and exchange over the simulated network and clock. What it computes
// is known beforehand (workload.ts); what it reads, leaves out and is told is kept for the checkers.
import { createHash } from 'node:crypto';
import { type BlockLayout, blockOffset } from '../../../shared/blocks/blocks.js';
import { Exchange } from '../../../shared/client/exchange.js';
import type { ExchangeMemory } from '../../../shared/client/exchange-options.js';
import { joinRun } from '../../../shared/client/membership.js';
import { residualBytes } from '../../../shared/client/residuals.js';
import { isExpected, sentence } from '../../../shared/errors.js';
import { Arena } from '../../../shared/kernels/arena.js';
import { loadKernels } from '../../../shared/kernels/load.js';
import { BLOCK_PAYLOAD_MAX_BYTES } from '../../../shared/limits.js';
import { keyedRandom } from '../../../shared/random.js';
import type { ParametersStreams } from '../../../shared/rpc/in-process.js';
import { membershipService, parametersService } from '../../../shared/rpc/proto.js';
import type { MembershipStreams } from '../../../shared/rpc/transport.js';
import { layoutOf, type RunSpec } from '../../../shared/run/spec.js';
import type { Cluster } from './cluster.js';
import { gradientOf, samplesOf, shareOf } from './workload.js';

const MEAN_COMPUTE_MS = 20;
const HEARTBEAT_MS = 250;

/** What was seen of a worker, for the checkers. */
export interface WorkerHistory {
  readonly name: string;
  rank: number;
  /** After so many steps: the first element of each tensor, and a code of all bits. */
  readonly reads: Map<number, { values: number[]; bits: string; skew: number }>;
  /** The consistency under which it did each step. */
  readonly rules: Map<number, RunSpec['consistency']>;
  /** What its contributions have left out after each step: first element of each tensor. */
  readonly leftOut: number[][];
  /** When it had the values of each step (simulated ms). */
  readonly readMs: number[];
  /** There once it is connected to every server. */
  exchange?: Exchange;
  /** How it ended: undefined where it has not. */
  end?: { failed: boolean; reason: string };
}

/** Joins a run and trains to its end; what becomes of it is in its history. */
export async function runWorker(cluster: Cluster, history: WorkerHistory): Promise<void> {
  const { name } = history;
  const finish = (failed: boolean, reason: string) => {
    if (history.end) return;
    history.end = { failed, reason };
    cluster.note(`${name} ended: ${reason}`);
    // The process is gone, and with it its connections.
    cluster.network.crash(name);
  };
  try {
    await train(cluster, history, (error) => finish(true, sentence(error)));
    finish(false, 'done');
  } catch (error) {
    if (!isExpected(error)) throw error;
    finish(true, sentence(error));
  }
}

/** Where a worker's tensors lie. */
interface Tensors {
  readonly layout: BlockLayout;
  readonly memory: ExchangeMemory;
}

function tensorsOf({ spec }: Cluster): Tensors {
  const layout = layoutOf(spec);
  const modelBytes = 4 * layout.elementsPadded;
  const leftOutBytes = residualBytes(spec, layout);
  const kernels = loadKernels({ bytes: 2 * modelBytes + leftOutBytes + BLOCK_PAYLOAD_MAX_BYTES + 8192 });
  const arena = new Arena(kernels);
  const residuals = leftOutBytes > 0 ? arena.alloc(leftOutBytes) : undefined;
  const gradients = arena.alloc(modelBytes);
  const parameters = arena.alloc(modelBytes);
  const scratch = arena.alloc(BLOCK_PAYLOAD_MAX_BYTES + 64);
  return { layout, memory: { kernels, gradients, parameters, residuals, scratch } };
}

async function train(
  cluster: Cluster,
  history: WorkerHistory,
  onLost: (error: Error) => void,
): Promise<void> {
  const { name } = history;
  const { spec, scheduler, network, keeper } = cluster;
  const { deadlineMs: peerDeadlineMs } = network;
  let isCreated: (exchange: Exchange) => void = () => undefined;
  const created = new Promise<Exchange>((resolve) => {
    isCreated = resolve;
  });
  const membership = await joinRun({
    ...{ address: keeper.name, run: '', spec, label: name, peerDeadlineMs },
    streams: network.connect<MembershipStreams>(name, keeper.name, membershipService as never),
    onWelcome: () => undefined,
    onHold: async () => (await created).hold(),
    onView: (view) => void created.then((exchange) => exchange.change(view)),
    onPlaced: (view) => void created.then((exchange) => exchange.place(view)),
    onLost,
  });
  const { rank, run, view } = membership;
  history.rank = rank;
  cluster.note(`${name} has rank ${rank}`);
  const tensors = tensorsOf(cluster);
  const { layout, memory } = tensors;
  const exchange = Exchange.create({
    ...{ run, rank, spec, layout, view, memory, peerDeadlineMs },
    clock: { now: () => scheduler.nowMs, sleep: (ms) => cluster.sleep(name, ms) },
    streamsTo: (address) => streamsTo(cluster, history, address),
    onView: ({ number, fromStep, departed }) => {
      membership.entered(number);
      if (departed) cluster.departures.set(departed.rank, fromStep);
    },
    onWaiting: () => undefined,
  });
  isCreated(exchange);
  await exchange.connect();
  history.exchange = exchange;
  const read = (skew: number) => {
    history.readMs.push(scheduler.nowMs);
    history.reads.set(exchange.step, { ...parametersIn(tensors), skew });
  };
  if (rank === 0) await exchange.initialize();
  const { skew } = await exchange.fetch(0, undefined, memory.parameters);
  read(skew);
  const random = keyedRandom(cluster.options.seed, 'compute', rank);
  const beat = () => {
    membership.progress({ step: exchange.step, phase: 'compute', secondsInPhase: 0 });
    scheduler.after(HEARTBEAT_MS, name, beat);
  };
  beat();
  for (let step = 0; step < spec.stepsPerEpoch; step++) {
    await cluster.sleep(name, -MEAN_COMPUTE_MS * Math.log(1 - random.float()));
    compute(tensors, rank, step);
    history.rules.set(step, exchange.spec.consistency);
    const stepped = await exchange.pushPull({
      samples: samplesOf(rank),
      allFinite: exchange.measure(),
      lossScale: 1,
      lossSum: 0,
      correct: 0,
    });
    read(stepped.read.skew);
    const { residuals: left } = exchange;
    history.leftOut.push(layout.blocks.map(({ index }) => left.get(`${index}.residual`)?.[0] ?? 0));
  }
  exchange.close();
  await membership.done({ bytesPushed: 0, bytesPulled: 0, bytesRetried: 0, steps: exchange.step });
}

/** The first element of each tensor, and a code of all bits. */
function parametersIn({ layout, memory }: Tensors): { values: number[]; bits: string } {
  const values = layout.blocks.map((block) =>
    memory.kernels.f32(memory.parameters + 4 * blockOffset(layout, block), block.elements),
  );
  const bits = createHash('sha1');
  for (const array of values) bits.update(new Uint8Array(array.slice().buffer));
  return { values: values.map(([first]) => first), bits: bits.digest('hex') };
}

/** A worker's gradients of a step. */
function compute({ layout, memory }: Tensors, rank: number, step: number): void {
  for (const block of layout.blocks) {
    const first = gradientOf(rank, step, block.tensor);
    const all = memory.kernels.f32(memory.gradients + 4 * blockOffset(layout, block), block.elements);
    for (let element = 0; element < block.elements; element++) all[element] = first * shareOf(element);
  }
}

/** A worker's streams to a server, over which it is seen what it is told of its contributions. */
function streamsTo(cluster: Cluster, history: WorkerHistory, address: string): ParametersStreams {
  const { network, copies, options } = cluster;
  const real = network.connect<ParametersStreams>(history.name, address, parametersService as never);
  const isAgain = history.exchange !== undefined;
  const streams = {
    ...real,
    Push: () => {
      const call = real.Push();
      let isReady = false;
      call.on('data', ({ ack, ready }) => {
        if (isAgain && ready && !isReady) cluster.healedLinks++;
        isReady ||= Boolean(ready);
        // Before the first read it is initial values that are acknowledged.
        if (ack && history.reads.size > 0)
          for (const block of ack.blocks) copies.acknowledged(block, ack.step);
      });
      return call;
    },
    Pull: () => {
      const call = real.Pull();
      call.on('data', ({ block }) => {
        if (block && block.step > 0) copies.acknowledged(block.block, block.step - 1);
      });
      return call;
    },
  } as ParametersStreams;
  return (isAgain && options.bug?.again?.(streams, history)) || streams;
}
