// One seed: a cluster of a size, a network and a plan of faults that the seed alone decides; what became of it.
import { type KeyedRandom, keyedRandom } from '../../../shared/random.js';
import type { Bug } from './bugs.js';
import { faultsOf } from './checkers.js';
import { Cluster, PEER_DEADLINE_MS } from './cluster.js';

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
}

const KINDS = ['pause', 'long-pause', 'cut', 'kill-worker', 'kill-server'] as const;

const pick = <T>(random: KeyedRandom, items: readonly T[]): T => items[random.below(items.length)];

/** Asks for another consistency, now and then: no fault, but never to be felt in the parameters. */
function change(cluster: Cluster, random: KeyedRandom): void {
  for (let count = random.below(3); count > 0; count--) {
    const consistency = pick(random, ['bsp', 'ssp', 'asp'] as const);
    const staleness = consistency === 'ssp' ? random.below(4) : 0;
    const [keeper] = cluster.serverNames;
    cluster.scheduler.after(200 + random.below(800), keeper, () => cluster.change(consistency, staleness));
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

/**
 * Runs the cluster of a seed to its end. The same seed gives the same, to the last message.
 * @param bug what is wrong with it on purpose
 */
export async function simulate(seed: number, bug?: Bug): Promise<Simulated> {
  const random = keyedRandom(seed, 'cluster');
  const fast = random.below(2) === 0;
  const consistency = pick(random, CONSISTENCIES);
  const cluster = new Cluster({
    seed,
    servers: 1 + random.below(4),
    workers: 1 + random.below(4),
    steps: 3 + random.below(10),
    codec: 'fp32',
    consistency,
    ...(consistency === 'ssp' ? { staleness: random.below(4) } : {}),
    bug,
    delays: fast
      ? { leastMs: 0.1, mostMs: 2, noticeMs: 1 }
      : { leastMs: 1, mostMs: 80, noticeMs: 50 + random.below(2000) },
  });
  const injected: Record<string, number> = {};
  const disturbed = disturb(cluster, random, injected);
  change(cluster, random);
  cluster.start();
  await cluster.scheduler.run(() => cluster.isOver, UNTIL_MS);
  return {
    seed,
    injected,
    violations: faultsOf(cluster, disturbed),
    trace: cluster.trace,
    changes: cluster.changes,
    done: cluster.workers.filter(({ end }) => end && !end.failed).length,
  };
}
