// A node of a simulated cluster that only reads, as an evaluator does: it asks the keeper where the shards are, pulls the
// exact parameters again and again, and ends with the run. What it saw is for the checkers.
import { createHash } from 'node:crypto';
import { blockOffset } from '../../../shared/blocks/blocks.js';
import { Exchange } from '../../../shared/client/exchange.js';
import { isExpected, RunError, sentence } from '../../../shared/errors.js';
import { Arena } from '../../../shared/kernels/arena.js';
import { loadKernels } from '../../../shared/kernels/load.js';
import { BLOCK_PAYLOAD_MAX_BYTES, RUN_POLL_MS } from '../../../shared/limits.js';
import { keyedRandom } from '../../../shared/random.js';
import type { DescribeReply__Output } from '../../../shared/rpc/generated/gradloom/v1/DescribeReply.js';
import type { ParametersStreams } from '../../../shared/rpc/in-process.js';
import { parametersService } from '../../../shared/rpc/proto.js';
import { layoutOf, type RunSpec } from '../../../shared/run/spec.js';
import type { KeeperNode } from './keeper-node.js';
import type { SimulatedNetwork } from './network.js';
import type { Scheduler } from './scheduler.js';

const PAUSE_MOST_MS = 60;
/** Steps that some reads ask ahead of the last one. */
const AHEAD_MOST = 3;

/** What a reader knows of its cluster. */
export interface Surroundings {
  readonly options: { readonly seed: number };
  readonly spec: RunSpec;
  readonly scheduler: Scheduler;
  readonly network: SimulatedNetwork;
  readonly coordinator: { readonly runs: ReadonlyMap<string, unknown> };
  readonly haveWorkersEnded: boolean;
  readonly keeper: Pick<KeeperNode, 'isLive' | 'describe'>;
  sleep(node: string, ms: number): Promise<void>;
  note(text: string): void;
}

/** One pull of everything. */
export interface Read {
  readonly step: number;
  readonly skew: number;
  /** First element of each tensor, and a code of all bits. */
  readonly values: readonly number[];
  readonly bits: string;
}

export interface ReaderHistory {
  readonly name: string;
  readonly reads: Read[];
  /** Shards that it has followed to another server. */
  followed: number;
  /** How it ended; undefined where it has not. */
  end?: { readonly reason: string; readonly runGoesOn: boolean };
}

/** Reads until the run is over. */
export async function readRun(cluster: Surroundings, history: ReaderHistory): Promise<void> {
  const { name } = history;
  const end = (reason: string, runGoesOn: boolean) => {
    history.end = { reason, runGoesOn };
    cluster.note(`${name} ended: ${reason}`);
    cluster.network.crash(name);
  };
  let exchange: Exchange | undefined;
  try {
    const found = await whenRunning(cluster, name);
    if (!found?.view) return end('there was nothing to read', false);
    exchange = await pullAll(cluster, history, found.run, found.view);
  } catch (error) {
    if (!isExpected(error)) throw error;
    exchange?.close();
    end(sentence(error), cluster.coordinator.runs.size > 0 && cluster.keeper.isLive);
  }
}

/** Asks until there is a run; undefined: there will be none. */
async function whenRunning(cluster: Surroundings, name: string): Promise<DescribeReply__Output | undefined> {
  for (;;) {
    const reply = await cluster.keeper.describe(name, '');
    if (!reply.refusal) return reply;
    if (cluster.haveWorkersEnded) return undefined;
    await cluster.sleep(name, RUN_POLL_MS);
  }
}

/** Never resolves: it ends with the exchange. */
async function pullAll(
  cluster: Surroundings,
  history: ReaderHistory,
  run: string,
  view: NonNullable<DescribeReply__Output['view']>,
): Promise<never> {
  const { name } = history;
  const { spec, scheduler, network, options } = cluster;
  const layout = layoutOf(spec);
  const modelBytes = 4 * layout.elementsPadded;
  const kernels = loadKernels({ bytes: modelBytes + BLOCK_PAYLOAD_MAX_BYTES + 8192 });
  const arena = new Arena(kernels);
  const parameters = arena.alloc(modelBytes);
  const scratch = arena.alloc(BLOCK_PAYLOAD_MAX_BYTES + 64);
  const exchange = await Exchange.open({
    ...{ run, spec, layout, view, rank: undefined, peerDeadlineMs: network.deadlineMs },
    memory: { kernels, gradients: parameters, parameters, scratch },
    clock: { now: () => scheduler.nowMs, sleep: (ms) => cluster.sleep(name, ms) },
    streamsTo: (address) => network.connect<ParametersStreams>(name, address, parametersService as never),
    async findView() {
      const { view: now, refusal } = await cluster.keeper.describe(name, run);
      if (!now) throw new RunError(refusal?.sentence ?? 'the keeper described the run without a view');
      return now;
    },
    onTakeover: () => void history.followed++,
    onWaiting: () => undefined,
  });
  const random = keyedRandom(options.seed, 'reads', name);
  for (;;) {
    await cluster.sleep(name, random.float() * PAUSE_MOST_MS);
    const last = history.reads.at(-1)?.step ?? 0;
    const wanted = random.below(2) === 0 ? 0 : last + random.below(AHEAD_MOST);
    const { step, skew } = await exchange.fetch(wanted, 'fp32', parameters);
    const values = layout.blocks.map((block) =>
      kernels.f32(parameters + 4 * blockOffset(layout, block), block.elements),
    );
    const bits = createHash('sha1');
    for (const array of values) bits.update(new Uint8Array(array.slice().buffer));
    history.reads.push({ step, skew, values: values.map(([first]) => first), bits: bits.digest('hex') });
  }
}
