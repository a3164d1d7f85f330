// The processes of one run: servers and workers as a person would start them, what the workers say of their progress, and
// what can be done to them. When this process ends, however it does, they end too.
import { createServer } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import type { Child, ChildEvent, Exit } from '../../deploy/children.js';
import { describe, drainServer } from '../../shared/client/membership.js';
import { isExpected, RunError } from '../../shared/errors.js';
import { DRAIN_DEADLINE_MS, REPLICAS_DEFAULT } from '../../shared/limits.js';
import type { DescribeReply__Output } from '../../shared/rpc/generated/gradloom/v1/DescribeReply.js';
import { scrape, startProcess } from '../bench/processes.js';
import type { Etcd } from '../helpers/etcd-process.js';
import { type Proxy as Link, openProxy } from '../helpers/proxy.js';
import type { Progress } from './figures.js';
import type { MemoryWatch } from './memory.js';
import type { Role } from './scenario.js';

const KEEPER_DEADLINE_MS = 10_000;
/** One that has died does not answer. */
const ETCD_KEEPER_MS = 1_000;
const POLL_MS = 50;
/** Its name in etcd. */
const MESH = 'chaos';

export interface MeshPlan {
  servers: number;
  workers: number;
  workerFlags: readonly string[];
  serverFlags: readonly string[];
  /** Server that is reached through a proxy. */
  proxied?: number;
  /** Where the mesh is coordinated; by default by its first server. */
  etcd?: Etcd;
}

interface Watcher {
  /** Whether it has seen enough. */
  seen(event: ChildEvent): boolean;
  resolve(event: ChildEvent): void;
  reject(error: Error): void;
}

/** A port that was free a moment ago, for a server that must know the proxy's address before it listens itself. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class MeshRun {
  /** What was said of the run, over all starts of the processes. */
  readonly progress: Progress[] = [];
  readonly events: ChildEvent[] = [];
  #servers: Child[] = [];
  /** Of each server, where its metrics are. */
  #metrics: string[] = [];
  /** By rank; until the run has begun, in the order of their start. */
  #workers: Child[] = [];
  #starts = 0;
  /** kill -9 of everything is under way: nobody is missed. */
  #killing = false;
  #proxy: Link | undefined;
  readonly #watchers = new Set<Watcher>();
  keeper = '';

  constructor(
    readonly plan: MeshPlan,
    readonly memory: MemoryWatch,
  ) {}

  /** Starts all processes; resolves when the run has begun. Throws RunError if one ends before. */
  async start(more: readonly string[] = []): Promise<void> {
    this.#servers = [];
    this.#metrics = [];
    this.#workers = [];
    this.#killing = false;
    this.#starts++;
    for (let index = 0; index < this.plan.servers; index++) await this.#startServer(index, more);
    const ranks: number[] = [];
    let begunWorkers = 0;
    const begun = this.#seen(({ event }) => event === 'start' && ++begunWorkers === this.plan.workers);
    begun.catch(() => undefined);
    const all = ['--json', ...this.#place(), `--workers=${this.plan.workers}`];
    const workers = await Promise.all(
      Array.from({ length: this.plan.workers }, async (_, index) => {
        const flags = [...all, ...this.plan.workerFlags, ...more];
        const { child } = await startProcess(
          `worker ${index}`,
          'deploy/gradloom-worker.js',
          flags,
          (event) => {
            if (event.event === 'start') ranks[index] = event.rank as number;
            this.#take(event);
          },
        );
        child.exited.then((exit) => this.#ended(exit));
        return child;
      }),
    );
    await begun;
    for (const [index, rank] of ranks.entries()) {
      this.#workers[rank] = workers[index];
      this.#watch('worker', rank, workers[index]);
    }
  }

  /** Flags of whoever joins. */
  #place(): string[] {
    const { etcd } = this.plan;
    return etcd ? [`--etcd=${etcd.host}`, `--mesh=${MESH}`] : [`--join=${this.keeper}`];
  }

  /** Spec and view of the run, from whoever keeps the mesh now. */
  async description(): Promise<DescribeReply__Output> {
    const { etcd } = this.plan;
    if (!etcd) return describe(this.keeper, '', KEEPER_DEADLINE_MS);
    for (;;) {
      try {
        return await describe(await etcd.keeper(MESH), '', ETCD_KEEPER_MS);
      } catch (error) {
        // It has died, or follows another and has not read yet what that one left.
        if (!isExpected(error)) throw error;
        await pause(POLL_MS);
      }
    }
  }

  /** Resolves when so many steps of the run are done, also if that was before. */
  async reached(step: number): Promise<void> {
    if (this.progress.some((each) => each.kind === 'step' && each.step >= step)) return;
    await this.#seen((event) => event.event === 'step' && (event.step as number) >= step);
  }

  /** Resolves when a step has ended that was begun after this; at once where there are no more. */
  async goesOn(): Promise<void> {
    const newest = Math.max(0, ...this.progress.map(({ step }) => step));
    // Of the next one all may be decided.
    await Promise.race([this.reached(newest + 2), ...this.#workers.map(({ exited }) => exited)]);
  }

  /** The first event to come of a name that meets a condition. Rejects when a worker ends before. */
  event(name: string, meets: (event: ChildEvent) => boolean = () => true): Promise<ChildEvent> {
    return this.#seen((event) => event.event === name && meets(event));
  }

  /** Resolves when the others have got over the death of a process that is about to be killed. */
  async recovery(role: Role, index: number): Promise<void> {
    if (role === 'worker') await this.event('view', ({ departed }) => departed === index);
    else await this.#copiedWithout(index);
  }

  /** Resolves when a server is out of the view and every shard has its copies again, on those that are left. */
  async #copiedWithout(index: number): Promise<void> {
    for (;;) {
      const { view, spec } = await this.description();
      const isOut = view?.servers.every(({ id }) => id !== index);
      const wanted = Math.min(spec?.replicas || REPLICAS_DEFAULT, view?.servers.length ?? 0);
      const isCopied = view?.shards.every(
        ({ backups, joining }) => 1 + backups.length >= wanted && joining.length === 0,
      );
      if (isOut && isCopied) return;
      await pause(POLL_MS);
    }
  }

  /** Starts one more server. */
  join(): Promise<void> {
    return this.#startServer(this.#servers.length, []);
  }

  /** Empties a server; resolves when it has ended. Throws Refused. */
  async drain(index: number): Promise<void> {
    await drainServer(this.keeper, index, DRAIN_DEADLINE_MS);
    await this.#servers[index].exited;
  }

  /** Bytes of all blocks that servers, but for one, have copied from each other so far. */
  async copiedBytes(without: number): Promise<number> {
    const living = this.#metrics.filter((_, index) => index !== without && this.#servers[index].running);
    const samples = (await Promise.all(living.map(scrape))).flat();
    return samples
      .filter(
        ({ name, labels }) =>
          name === 'gradloom_replication_bytes_total' &&
          labels.direction === 'received' &&
          labels.what === 'blocks',
      )
      .reduce((sum, { value }) => sum + value, 0);
  }

  child(role: Role, index: number): Child {
    return (role === 'server' ? this.#servers : this.#workers)[index];
  }

  /** How all processes have ended that are not spared. */
  exits(role: Role, spared: readonly number[] = []): Promise<Exit[]> {
    const all = role === 'server' ? this.#servers : this.#workers;
    return Promise.all(all.filter((_, index) => !spared.includes(index)).map(({ exited }) => exited));
  }

  /** kill -9 of everything at once. */
  async killAll(): Promise<void> {
    const all = [...this.#workers, ...this.#servers];
    this.#killing = true;
    for (const { process } of all) process.kill('SIGKILL');
    await Promise.all(all.map(({ exited }) => exited));
    this.#proxy?.close();
  }

  /** Sets delay and rate of the link to the server behind the proxy; by default as if there were none. */
  shape(delayMs = 0, bytesPerSecond = Infinity): void {
    this.#proxy?.shape({ delayMs, bytesPerSecond });
  }

  /** Ends what still runs, stopped processes too. */
  async close(): Promise<void> {
    const all = [...this.#workers, ...this.#servers];
    for (const { process } of all) process.kill('SIGCONT');
    await Promise.all(all.map((child) => child.stop()));
    this.#proxy?.close();
  }

  async #startServer(index: number, more: readonly string[]): Promise<void> {
    const flags = ['--json', '--log-level=warn', ...this.plan.serverFlags, ...more];
    if (index === this.plan.proxied) {
      const target = `127.0.0.1:${await freePort()}`;
      this.#proxy = await openProxy({ teardown: () => undefined }, { target });
      flags.push(`--listen=${target}`, `--advertise=${this.#proxy.address}`);
    } else flags.push('--listen=127.0.0.1:0');
    if (index > 0 || this.plan.etcd) flags.push(...this.#place());
    const { child, ready } = await startProcess(
      `server ${index}`,
      'server/gradloom-server.js',
      flags,
      (event) => this.#take(event),
    );
    if (index === 0) this.keeper = String(ready.address);
    this.#servers.push(child);
    this.#metrics.push(ready.metrics as string);
    this.#watch('server', index, child);
  }

  /** Each start has processes of its own. */
  #watch(role: Role, index: number, { process }: Child): void {
    const name = `${role} ${index}${this.#starts > 1 ? ` (start ${this.#starts})` : ''}`;
    this.memory.add(name, process.pid as number);
  }

  #take(event: ChildEvent): void {
    const { event: kind } = event;
    if (kind === 'step' || kind === 'epoch')
      this.progress.push({
        atMs: performance.now(),
        kind,
        step: event.step as number,
        samples: kind === 'step' ? (event.samples as number) : 0,
      });
    else this.events.push(event);
    for (const watcher of this.#watchers) {
      if (!watcher.seen(event)) continue;
      this.#watchers.delete(watcher);
      watcher.resolve(event);
    }
  }

  #seen(seen: (event: ChildEvent) => boolean): Promise<ChildEvent> {
    return new Promise((resolve, reject) => this.#watchers.add({ seen, resolve, reject }));
  }

  /** Whoever waits for a worker's event would wait for ever once all have ended. */
  #ended(exit: Exit): void {
    if (this.#killing || this.#workers.some(({ running }) => running)) return;
    const words = exit.lastWords.at(-1) ?? 'nothing';
    for (const { reject } of this.#watchers)
      reject(new RunError(`all workers have ended before the run was over; the last one said: ${words}`));
    this.#watchers.clear();
  }
}
