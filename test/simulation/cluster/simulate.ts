// One seed: a cluster of a size, a network and a plan of faults that the seed alone decides; what became of it.
import { codecs } from '../../../shared/codec/registry.js';
import { optimizerSpec } from '../../../shared/optimizer/spec.js';
import { type KeyedRandom, keyedRandom } from '../../../shared/random.js';
import type { Bug } from './bugs.js';
import { faultsOf, livesAgain, namesShards } from './checkers.js';
import { Cluster, type ClusterOptions, PEER_DEADLINE_MS } from './cluster.js';
import { ServerFaults } from './server-faults.js';
import { LEARNING_RATE, MIXED_TENSORS } from './workload.js';

const PAUSE_MOST_MS = 5_000;
/** Simulated time by which every cluster must have come to an end. */
const UNTIL_MS = 600_000;

export interface Simulated {
  readonly seed: number;
  /** Faults that were injected, by kind. */
  readonly injected: Readonly<Record<string, number>>;
  /** What was wrong; nothing where all held. */
  readonly violations: readonly string[];
  readonly trace: readonly string[];
  readonly done: number;
  /** Changes of the consistency that came into force. */
  readonly changes: number;
  /** Shards that a backup took over, streams that were made again, and comparisons of a copy with its primary. */
  readonly takeovers: number;
  readonly healed: number;
  readonly compared: number;
  /** Pulls of those who only read, and shards that they followed to another server. */
  readonly reads: number;
  readonly followed: number;
  /** Times that the run was prepared again. */
  readonly placedAnew: number;
  /** Blocks of copies that were told to differ, and whether one took over before it was known to be mended. */
  readonly told: number;
  readonly spoilt: number;
}

const STEPS_MOST = 14;
const CODECS = ['fp32', 'fp32', 'fp16', 'bf16', 'int8', 'topk', 'sign'] as const;
const OPTIMIZERS = ['sgd', 'momentum', 'adam'] as const;
const LINEAR = ['sgd', 'momentum'] as const;

const KINDS = ['pause', 'long-pause', 'cut', 'kill-worker', 'kill-server'] as const;

const pick = <T>(random: KeyedRandom, items: readonly T[]): T => items[random.below(items.length)];

/** Asks for another consistency, now and then: no fault, but never to be felt in the parameters. */
function change(cluster: Cluster, random: KeyedRandom): void {
  for (let count = random.below(3); count > 0; count--) {
    const consistency = pick(random, ['bsp', 'ssp', 'asp'] as const);
    const staleness = consistency === 'ssp' ? random.below(4) : 0;
    const [keeper] = cluster.serverNames;
    cluster.scheduler.after(200 + random.below(800), keeper, () =>
      cluster.keeper.change(consistency, staleness),
    );
  }
}

/** Puts the faults of a seed into the cluster's time. */
function disturb(cluster: Cluster, random: KeyedRandom, injected: Record<string, number>): boolean {
  const { scheduler, network, serverNames, workerNames } = cluster;
  const nodes = [...serverNames, ...workerNames];
  const count = random.below(4);
  let disturbed = false;
  for (let fault = 0; fault < count; fault++) {
    const kind = pick(random, KINDS);
    const atMs = 150 + random.below(1500);
    if (kind !== 'pause') disturbed = true;
    const node = kind === 'kill-worker' ? pick(random, workerNames) : pick(random, serverNames);
    const anyNode = pick(random, nodes);
    const other = pick(random, nodes);
    const forMs = random.below(PAUSE_MOST_MS);
    // The plan is nobody's: it goes on whatever happens to the nodes.
    scheduler.after(atMs, 'plan', () => {
      if (kind === 'pause') {
        if (scheduler.isPaused(anyNode) || scheduler.isCrashed(anyNode)) return;
        cluster.note(`${anyNode} is stopped for ${forMs} ms`);
        scheduler.pause(anyNode);
        scheduler.after(forMs, 'plan', () => scheduler.wake(anyNode));
      } else if (kind === 'long-pause') {
        if (scheduler.isPaused(anyNode) || scheduler.isCrashed(anyNode)) return;
        cluster.note(`${anyNode} is stopped for so long that it is given up`);
        scheduler.pause(anyNode);
        scheduler.after(PEER_DEADLINE_MS, 'plan', () => network.isolate(anyNode));
        scheduler.after(PEER_DEADLINE_MS + forMs, 'plan', () => scheduler.wake(anyNode));
      } else if (kind === 'cut') {
        if (network.cut(anyNode, other) === 0) return;
        cluster.note(`the connections between ${anyNode} and ${other} break`);
      } else {
        if (scheduler.isCrashed(node)) return;
        cluster.crash(node);
      }
      injected[kind] = (injected[kind] ?? 0) + 1;
    });
  }
  return disturbed;
}

const CONSISTENCIES = ['bsp', 'bsp', 'bsp', 'ssp', 'asp'] as const;

const delaysOf = (random: KeyedRandom) =>
  random.below(2) === 0
    ? { leastMs: 0.1, mostMs: 2, noticeMs: 1 }
    : { leastMs: 1, mostMs: 80, noticeMs: 50 + random.below(2000) };

/** One copy of each shard: a server that is gone ends the run. */
async function simulateAlone(seed: number, random: KeyedRandom, bug?: Bug): Promise<Simulated> {
  const consistency = pick(random, CONSISTENCIES);
  const cluster = new Cluster({
    seed,
    servers: 1 + random.below(4),
    workers: 1 + random.below(4),
    steps: 3 + random.below(10),
    codec: 'fp32',
    consistency,
    readers: random.below(4) === 0 ? 1 : 0,
    ...(consistency === 'ssp' ? { staleness: random.below(4) } : {}),
    bug,
    delays: delaysOf(random),
  });
  const injected: Record<string, number> = {};
  const disturbed = disturb(cluster, random, injected);
  change(cluster, random);
  await runToEnd(cluster);
  return simulated(cluster, injected, faultsOf(cluster, disturbed));
}

/** Copies of each shard: what happens to servers and streams is not felt, unless all copies of a shard are gone. */
async function simulateCopied(seed: number, random: KeyedRandom, bug?: Bug): Promise<Simulated> {
  const servers = 2 + random.below(3);
  const codec = pick(random, CODECS);
  const isLarge = codecs[codec].lossy || random.below(4) === 0;
  const kinds = codec === 'topk' || codec === 'sign' ? LINEAR : OPTIMIZERS;
  const options = {
    workers: 1 + random.below(4),
    codec,
    consistency: 'bsp' as const,
    optimizer: optimizerSpec(pick(random, kinds), LEARNING_RATE),
    ...(isLarge ? { tensors: MIXED_TENSORS } : {}),
  };
  const cluster = new Cluster({
    ...options,
    seed,
    servers,
    readers: random.below(3),
    steps: 4 + random.below(STEPS_MOST - 3),
    replicas: Math.min(servers, random.below(6) === 0 ? 3 : 2),
    ...(random.below(6) === 0 ? { lateServerMs: 150 + random.below(800) } : {}),
    bug,
    delays: delaysOf(random),
  });
  const faults = new ServerFaults(cluster, random);
  if (random.below(4) === 0) change(cluster, random);
  await runToEnd(cluster);
  const isHit = Object.keys(faults.injected).some((kind) => kind !== 'pause' && kind !== 'flip');
  // Numbers that are not finite any more end a run.
  const { isSpoilt } = cluster.copies;
  const mayEnd = faults.excuses.length > 0 || isSpoilt || (cluster.keeper.hadClocks && isHit);
  return simulated(cluster, faults.injected, [
    ...faultsOf(cluster, mayEnd, await referenceOf(options)),
    ...namesShards(cluster, faults.isShardLost && faults.excuses.length === 1 && !cluster.keeper.hadClocks),
    ...livesAgain(cluster, faults.quietFromMs),
  ]);
}

async function runToEnd(cluster: Cluster): Promise<void> {
  cluster.start();
  await cluster.scheduler.run(() => cluster.isOver, UNTIL_MS);
}

function simulated(
  cluster: Cluster,
  injected: Record<string, number>,
  violations: readonly string[],
): Simulated {
  return {
    seed: cluster.options.seed,
    injected,
    violations,
    trace: cluster.trace,
    changes: cluster.keeper.changes,
    done: cluster.workers.filter(({ end }) => end && !end.failed).length,
    takeovers: cluster.takeovers,
    healed: cluster.healedLinks + cluster.copies.healed,
    compared: cluster.copies.compared,
    placedAnew: cluster.placedAnew,
    reads: cluster.readers.reduce((sum, { reads }) => sum + reads.length, 0),
    followed: cluster.readers.reduce((sum, { followed }) => sum + followed, 0),
    told: cluster.copies.told,
    spoilt: cluster.copies.isSpoilt ? 1 : 0,
  };
}

/** Bits that are read after each step in a cluster of one server to which nothing happens, by what they depend on. */
const references = new Map<string, Promise<ReadonlyMap<number, string>>>();

type Depending = Pick<ClusterOptions, 'workers' | 'codec' | 'consistency' | 'optimizer' | 'tensors'>;

function referenceOf(options: Depending): Promise<ReadonlyMap<number, string>> {
  const key = JSON.stringify(options);
  const known = references.get(key);
  if (known) return known;
  const delays = { leastMs: 0.1, mostMs: 2, noticeMs: 1 };
  const cluster = new Cluster({ ...options, seed: 1, servers: 1, steps: STEPS_MOST, delays });
  const bits = runToEnd(cluster).then(() => {
    const violations = faultsOf(cluster, false);
    if (violations.length > 0) throw new Error(`where nothing happens: ${violations.join('; ')}`);
    return new Map([...cluster.workers[0].reads].map(([step, read]) => [step, read.bits]));
  });
  references.set(key, bits);
  return bits;
}

/**
 * Runs the cluster of a seed to its end. The same seed gives the same, to the last message.
 * @param bug what is wrong with it on purpose
 */
export function simulate(seed: number, bug?: Bug): Promise<Simulated> {
  const random = keyedRandom(seed, 'cluster');
  return random.below(5) < 2 ? simulateAlone(seed, random, bug) : simulateCopied(seed, random, bug);
}
