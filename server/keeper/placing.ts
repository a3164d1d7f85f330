// Which servers hold the shards of a run: each decision has a new term, all servers of the run are told of it, and
// copies are made where there are too few. What moves where is computed in replication/placement.ts.
import { replicasOf, replicationFault } from '../../shared/run/faults.js';
import { toWire } from '../../shared/run/wire.js';
import type { ShardCopies } from '../../shared/view.js';
import { type Copy, filled, holdersOf } from '../replication/placement.js';
import type { Members } from './members.js';
import { freeBytes } from './memory.js';
import {
  infoOf,
  isBetweenViews,
  type Order,
  type Run,
  type ServerEntry,
  shardBytesOf,
  toWorkers,
} from './run.js';

/**
 * The keeper has decided who holds the shards of a run: tells all, and has copies made where there are too few.
 * @param lost a copy that was just given up, since its server could not be reached
 */
export function placed(members: Members, run: Run, shards: readonly ShardCopies[], lost?: Copy): Order[] {
  const view = { ...(run.view as NonNullable<Run['view']>) };
  // A run that is prepared waits for its first copies, and for no more: one that cannot be made now is made while it trains.
  const isWaiting = run.state === 'preparing' && isCopying(shards);
  const wanted = isWaiting || isBetweenViews(run) ? 1 : replicasWanted(members, run);
  const needed = wanted > 1 || run.servers.some(({ id }) => members.drains.has(id));
  // A server that has come since may hold copies, too.
  for (const server of members.servers.values())
    if (needed && !run.servers.includes(server) && !members.drains.has(server.id)) {
      run.servers.push(server);
      view.servers = [...(view.servers ?? []), infoOf(server)];
    }
  const entries = new Map(run.servers.map((server) => [server.id, server]));
  run.view = view;
  const fits = (id: number, shard: number) =>
    freeBytes(members, entries.get(id) as ServerEntry) >= shardBytesOf(run, shard);
  view.shards = filled(shards, [...entries.keys()], wanted, fits, members.drains.servers, lost);
  view.term++;
  const told = run.state === 'running' ? toWorkers(run, { placed: view }) : [];
  return [...run.servers.map(({ connection }) => placeOrder(run, connection)), ...told];
}

/** Whether copies are on their way. */
export const isCopying = (shards: readonly ShardCopies[]): boolean =>
  shards.some(({ joining }) => joining.length > 0);

/** What a server is told of who holds the shards of a run. */
export function placeOrder({ id, spec, view }: Run, connection: number): Order {
  return { to: 'server', connection, order: { place: { run: id, spec: toWire(spec), view } } };
}

/** Has copies made where a run has too few. */
export function fill(members: Members, run: Run): Order[] {
  const { view } = run;
  const wanted = replicasWanted(members, run);
  const isShort = view?.shards.some((copies) => holdersOf(copies).length < wanted);
  return view && isShort && !isBetweenViews(run) ? placed(members, run, view.shards) : [];
}

/** Under other rules a run may have copies of its shards, or none: the change is decided here, before it holds. */
export function recopied(members: Members, run: Run): Order[] {
  const shards = run.view?.shards ?? [];
  // Fewer may be wanted, or to be had, for other reasons: these copies stay.
  if (replicationFault(run.spec) && shards.some((copies) => holdersOf(copies).length > 1))
    return placed(
      members,
      run,
      shards.map(({ primary }) => ({ primary, backups: [], joining: [] })),
    );
  return fill(members, run);
}

/** How many servers are to hold each shard of a run. */
export function replicasWanted(members: Members, { spec, servers, wanted }: Run): number {
  const count = members.takers.length;
  const peers = servers.some(({ peer }) => peer);
  return replicasOf({ ...spec, replicas: wanted }, count, peers);
}
