// Faults of a run that has copies of its shards, and what follows from them: it goes on, unless the plan itself took all
// copies of a shard, a worker, or, before there was a run, so many servers that fewer are left than it wants copies. What excuses its end is judged here when a fault
// comes, by what the keeper says of the copies and by which nodes and connections the plan has taken.
import type { KeyedRandom } from '../../../shared/random.js';
import { holders } from './checkers.js';
import { type Cluster, PEER_DEADLINE_MS } from './cluster.js';

const PAUSE_MOST_MS = 5_000;
/** A connection between two servers may be away for longer than the deadline: then the copy is given up. */
const PARTED_MOST_MS = 30_000;
/** One between a worker and a server heals before the worker gives up. */
const PARTED_WORKER_MOST_MS = 12_000;
/** How long a server that the keeper has given up may not know it. */
const UNAWARE_MOST_MS = 3_000;
/** From when a copy that was cut off can be taken for whole again: after the streams were told and opened anew. */
const RESYNC_MS = 3_000;
const POLL_MS = 20;
const FAULTS_MOST = 3;
const DATA = ['Push', 'Pull', 'Replicate'];

const KINDS = [
  ...['kill-server', 'kill-server', 'kill-server', 'fenced', 'fenced', 'long-pause'],
  ...['pause', 'pause', 'cut', 'cut', 'cut', 'part', 'part', 'drain', 'drain', 'kill-worker'],
  ...['flip', 'flip', 'flip'],
] as const;

const pick = <T>(random: KeyedRandom, items: readonly T[]): T => items[random.below(items.length)];

export class ServerFaults {
  readonly injected: Record<string, number> = {};
  /** Why the run may end, in words. */
  readonly excuses: string[] = [];
  /** Whether it may end because all copies of a shard are gone. */
  isShardLost = false;
  /** Simulated time from which nothing disturbs any more. */
  quietFromMs = 0;
  /** Servers that are killed, given up, or will be. */
  readonly #gone = new Set<string>();
  /** Pairs of servers whose stream broke, and until when. */
  readonly #cutUntilMs = new Map<string, number>();

  constructor(
    readonly cluster: Cluster,
    readonly random: KeyedRandom,
  ) {
    for (let count = random.below(FAULTS_MOST + 1); count > 0; count--) this.#plan(pick(random, KINDS));
  }

  #plan(kind: string): void {
    const { cluster, random } = this;
    const { scheduler, serverNames, workerNames } = cluster;
    const [, ...others] = serverNames;
    const server = pick(random, others);
    const worker = pick(random, workerNames);
    const client = pick(random, [...workerNames, ...cluster.readerNames]);
    const [one, other] = [pick(random, serverNames), pick(random, serverNames)];
    const node = pick(random, [...serverNames, ...workerNames]);
    const towards = random.below(2) === 0 ? other : client;
    const which = pick(random, [DATA, DATA, ['Push'], ['Pull'], ['Replicate']]);
    const forMs = random.float();
    const again = random.below(2) === 0;
    const slow = cluster.network.delays.mostMs > 10;
    const againMs = random.below(slow ? 800 : 100);
    const isWaitedFor = random.below(3) > 0;
    const [copy, block, array, element] = [1, 2, 3, 4].map(() => random.below(2 ** 20));
    const bit = random.below(32);
    // The plan is nobody's: it goes on whatever happens to the nodes.
    const at = (ms: number, work: () => void) => scheduler.after(ms, 'plan', work);
    // Most fall into the run, some into its preparation.
    const isEarly = random.below(6) === 0;
    const atMs = isEarly ? 195 + random.below(slow ? 600 : 30) : 150 + random.below(slow ? 3000 : 700);
    at(atMs, () => {
      if (cluster.isOver) return;
      switch (kind) {
        case 'kill-server':
          if (!this.#kill(server, kind)) return;
          if (!again) return;
          if (!isWaitedFor) return at(againMs, () => void this.#kill(this.#next(server), 'kill-again'));
          return this.#whenWhole(() => at(againMs, () => void this.#kill(this.#next(server), 'kill-again')));
        case 'fenced':
          return this.#fence(server, forMs * UNAWARE_MOST_MS);
        case 'long-pause':
          return this.#replace(server, forMs * PAUSE_MOST_MS);
        case 'pause':
          return this.#pause(node, forMs * PAUSE_MOST_MS);
        case 'cut':
          return this.#cut(one, towards, which);
        case 'part': {
          const most = towards === client ? PARTED_WORKER_MOST_MS : PARTED_MOST_MS;
          return this.#part(one, towards, which, forMs ** 2 * most);
        }
        case 'drain':
          return this.#drain(server);
        case 'flip':
          if (cluster.flip(copy, { block, array, element, bit })) this.#count('flip');
          return;
        case 'kill-worker': {
          if (scheduler.isCrashed(worker)) return;
          this.#excuse(`${worker} is killed`);
          this.#count(kind);
          return cluster.crash(worker);
        }
      }
    });
  }

  #kill(server: string, kind: string): boolean {
    const { cluster } = this;
    if (cluster.scheduler.isCrashed(server) || cluster.isOver) return false;
    this.#goes(server);
    this.#count(kind);
    cluster.crash(server);
    return true;
  }

  /** The keeper loses a server, which learns of it only later, and believes itself the primary until then. */
  #fence(server: string, unawareMs: number): void {
    const { network, serverNames, scheduler } = this.cluster;
    if (scheduler.isCrashed(server)) return;
    this.#goes(server);
    const late = { node: server, ms: unawareMs };
    if (network.cut(server, serverNames[0], ['Serve'], late) === 0) return;
    this.cluster.note(`the keeper loses ${server}, which does not know it for ${unawareMs.toFixed(0)} ms`);
    this.#count('fenced');
  }

  /** A server stands still for so long that it is given up; then it wakes up. */
  #replace(server: string, furtherMs: number): void {
    const { network, scheduler } = this.cluster;
    if (scheduler.isCrashed(server) || scheduler.isPaused(server)) return;
    this.cluster.note(`${server} is stopped for so long that it is given up`);
    const isParted = (worker: string) => (this.#cutUntilMs.get(`${server} ${worker}`) ?? 0) > scheduler.nowMs;
    const worker = this.cluster.workerNames.find(isParted);
    if (worker) this.#excuse(`${worker} lost ${server} before it stood still`);
    this.#goes(server);
    // When it wakes up again must not matter.
    this.#count('long-pause', PEER_DEADLINE_MS);
    scheduler.pause(server);
    scheduler.after(PEER_DEADLINE_MS, 'plan', () => network.isolate(server));
    scheduler.after(PEER_DEADLINE_MS + furtherMs, 'plan', () => scheduler.wake(server));
  }

  /** A server is emptied while the run goes on, and then stopped. */
  #drain(server: string): void {
    const { cluster } = this;
    if (cluster.scheduler.isCrashed(server) || cluster.scheduler.isPaused(server)) return;
    cluster.keeper.drain(server, () => {
      this.#count('drain');
      cluster.scheduler.after(0, 'plan', () => {
        if (cluster.scheduler.isCrashed(server)) return;
        this.#goes(server);
        cluster.crash(server);
      });
    });
  }

  #pause(node: string, forMs: number): void {
    const { scheduler } = this.cluster;
    if (scheduler.isCrashed(node) || scheduler.isPaused(node)) return;
    this.cluster.note(`${node} is stopped for ${forMs.toFixed(0)} ms`);
    this.#count('pause', forMs);
    scheduler.pause(node);
    scheduler.after(forMs, 'plan', () => scheduler.wake(node));
  }

  #cut(one: string, other: string, which: readonly string[]): void {
    if (this.cluster.network.cut(one, other, which) === 0) return;
    this.cluster.note(`${which.join(', ')} between ${one} and ${other} break`);
    this.#isCut(one, other, 0);
    this.#count('cut');
  }

  #part(one: string, other: string, which: readonly string[], forMs: number): void {
    const { network, scheduler } = this.cluster;
    if (one === other) return;
    this.cluster.note(`${one} and ${other} are parted (${which.join(', ')}) for ${forMs.toFixed(0)} ms`);
    network.part(one, other, which);
    this.#isCut(one, other, forMs);
    // For longer than the deadline nobody waits: the copy is given up, also where the run has yet to begin.
    this.#count('part', Math.min(forMs, PEER_DEADLINE_MS));
    scheduler.after(forMs, 'plan', () => network.heal(one, other));
  }

  /** What a copy lacks that was cut off comes anew: until then it is none. */
  #isCut(one: string, other: string, forMs: number): void {
    const { scheduler, network } = this.cluster;
    // Who has lost it before the keeper does waits as long as that, and not for what comes then.
    if ([one, other].some((node) => scheduler.isPaused(node) && this.#gone.has(node)))
      this.#excuse(`${one} and ${other} lost each other while one stood still`);
    const until = scheduler.nowMs + forMs + 2 * network.delays.noticeMs + RESYNC_MS;
    for (const pair of [`${one} ${other}`, `${other} ${one}`])
      this.#cutUntilMs.set(pair, Math.max(until, this.#cutUntilMs.get(pair) ?? 0));
    this.#judge();
  }

  #count(kind: string, forMs = 0): void {
    this.injected[kind] = (this.injected[kind] ?? 0) + 1;
    const { scheduler, network } = this.cluster;
    this.quietFromMs = Math.max(this.quietFromMs, scheduler.nowMs + forMs + network.delays.noticeMs);
  }

  #excuse(why: string): void {
    this.excuses.push(why);
  }

  /** A server is on its way out. */
  #goes(server: string): void {
    this.#gone.add(server);
    const { spec, coordinator } = this.cluster;
    const [run = this.cluster.run] = coordinator.runs.values();
    const left = [...coordinator.servers.values()].filter(({ address }) => !this.#gone.has(address));
    if (!run?.view && left.length < (spec.replicas ?? 1))
      this.#excuse(`${server} goes before there is a run`);
    this.#judge();
  }

  /** Whether each shard has a copy that is whole. */
  #judge(): void {
    const { scheduler, coordinator } = this.cluster;
    const [run = this.cluster.run] = coordinator.runs.values();
    if (this.#gone.size === 0 || !run?.view) return;
    const nameOf = (id: number) => run.view?.servers?.find((server) => server.id === id)?.address ?? '';
    const isPreparing = run.state === 'preparing';
    // Before there are copies there is nothing to lose; while they are made the run may begin before anybody knows.
    if (isPreparing && run.view.shards.every((copies) => holders(copies).length === 1)) return;
    for (const [shard, { primary, backups, joining }] of run.view.shards.entries()) {
      const from = nameOf(primary);
      const isWhole = (backup: string) => (this.#cutUntilMs.get(`${from} ${backup}`) ?? 0) < scheduler.nowMs;
      const copies = isPreparing ? [...backups, ...joining].map(nameOf) : backups.map(nameOf).filter(isWhole);
      const left = [from, ...copies].filter((name) => !this.#gone.has(name));
      if (left.length > 0) continue;
      this.#excuse(`no copy of shard ${shard} is left`);
      this.isShardLost = true;
    }
  }

  /** Another server that is not the keeper and lives. */
  #next(than: string): string {
    const [, ...others] = this.cluster.serverNames;
    const { scheduler } = this.cluster;
    return others.find((name) => name !== than && !scheduler.isCrashed(name)) ?? than;
  }

  /** Waits until lost copies are made again. */
  #whenWhole(then: () => void): void {
    const { cluster } = this;
    if (cluster.isOver) return;
    const { view } = cluster.run ?? {};
    const live = cluster.serverNames.filter((name) => !cluster.scheduler.isCrashed(name)).length;
    const wanted = Math.min(cluster.spec.replicas ?? 1, live);
    const gone = (id: number) =>
      this.#gone.has(view?.servers?.find((server) => server.id === id)?.address ?? '');
    const isWhole = view?.shards.every(
      (copies) => holders(copies).length >= wanted && !holders(copies).some(gone),
    );
    if (isWhole) then();
    else cluster.scheduler.after(POLL_MS, 'plan', () => this.#whenWhole(then));
  }
}
