// A server is gone: the backups of its shards take over in the middle of the step, lost copies are made again, and a
// run that has lost the only copy of a shard ends. And of single copies: a server has become one, or is out of reach.
import { refuse } from '../../shared/rpc/refusal.js';
import type { ShardCopies } from '../../shared/view.js';
import { type Copy, dropped, replicated, without } from '../replication/placement.js';
import { afresh, allTaken, cancel, leftBefore } from './changes.js';
import { emptied } from './draining.js';
import { end } from './ending.js';
import { gathered, prepareAgain, start } from './joining.js';
import type { Members } from './members.js';
import { isCopying, placed } from './placing.js';
import { type Order, type PlacedRun, type Run, type ServerEntry, stepOf } from './run.js';
import { whereabouts } from './waiting.js';

/** A server is gone for good: who waits for it to be emptied is told, and each run goes on without it or ends. */
export function serverGone(members: Members, connection: number, reason: string): Order[] {
  const entry = members.servers.get(connection);
  if (!entry) return [];
  members.servers.delete(connection);
  const gone = refuse('NOT_NOW', `server ${entry.id} is gone: ${reason}`).toMessage();
  const orders: Order[] = members.drains
    .end(entry.id)
    .map((call) => ({ to: 'caller', connection: call, order: { refusal: gone } }));
  for (const run of [...members.runs.values()])
    if (run.state === 'gathering') orders.push(...gathered(members, run));
    else if (run.servers.includes(entry)) orders.push(...failOver(members, run, entry, reason));
  return orders;
}

/** It was a server of this run: its backups take over in the middle of the step, and lost copies are made again. */
export function failOver(
  members: Members,
  run: Run,
  { connection, id, address, label }: ServerEntry,
  reason: string,
): Order[] {
  const { view } = run;
  const others = run.servers.filter((server) => server.connection !== connection);
  if (run.state === 'preparing') {
    run.servers = others;
    return prepareAgain(members, run, `server ${id} (${address}) is gone: ${reason}`);
  }
  const { shards, lost } = without(view?.shards ?? [], id);
  if (lost.length > 0 || !view)
    return end(
      members,
      run,
      true,
      `server ${id} (${address}, ${label}) is gone at step ${stepOf(run)}: ${reason}; shard ${lost.join(', ')} had no other copy${whereabouts(run.workers)}, so the run cannot go on${run.spec.snapshots ? '; --resume takes it up from its last snapshot' : ''}`,
    );
  run.servers = others;
  run.view = { ...view, servers: view.servers?.filter((server) => server.id !== id) };
  const orders = placed(members, run, shards);
  orders.push(...emptied(members));
  const { change } = run;
  const left = change?.leaving ?? (run.decided?.departed ? run.lastLeaving : leftBefore(run));
  if (left && members.recovering) {
    // As soon as all are back.
    run.proposed = Math.max(run.proposed ?? 0, run.decided?.number ?? 0);
    run.decided = undefined;
    run.afresh = left;
    return orders;
  }
  if (left) return [...orders, ...afresh(run, left)];
  if (!change) return orders;
  // Whoever takes over is told of the change by its own server, which has it or gets it.
  if (!change.view && !change.leaving)
    return [...orders, ...cancel(members, run, change, `server ${id} is gone; try again`)];
  return change.gone(connection) ? [...orders, ...allTaken(members, run, change)] : orders;
}

/** A server has become a copy of a shard. */
export function shardReplicated(
  members: Members,
  connection: number,
  runId: string,
  { shard, server }: { shard: number; server: number },
): Order[] {
  const run = primaryOf(members, connection, runId, shard);
  const shards = run && replicated(run.view.shards, shard, server);
  return shards ? [...copiesAre(members, run, shards), ...emptied(members)] : [];
}

/** The primary of a shard cannot reach a copy, whose server may live: the run goes on without it, or begins without it. */
export function backupLost(members: Members, connection: number, runId: string, lost: Copy): Order[] {
  const { shard, server } = lost;
  const run = primaryOf(members, connection, runId, shard);
  const shards = run && dropped(run.view.shards, shard, server);
  return shards ? copiesAre(members, run, shards, lost) : [];
}

/** The run of a shard, where a server's word on its copies counts: that of its primary. */
function primaryOf(
  members: Members,
  connection: number,
  runId: string,
  shard: number,
): PlacedRun | undefined {
  const run = members.runs.get(runId);
  const entry = run?.servers.find((server) => server.connection === connection);
  return entry && entry.id === run?.view?.shards[shard]?.primary ? (run as PlacedRun) : undefined;
}

/** Others hold the shards of a run; one that is prepared starts when it waits for no copy any more. */
function copiesAre(members: Members, run: PlacedRun, shards: readonly ShardCopies[], lost?: Copy): Order[] {
  const orders = placed(members, run, shards, lost);
  return run.state === 'preparing' && !isCopying(shards) ? [...orders, ...start(run)] : orders;
}
