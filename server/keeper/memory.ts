// Whether a run fits onto the servers that are there, beside the runs that they have. Pure: reads, changes nothing.
import { SHARD_MEMORY_MAX_BYTES } from '../../shared/limits.js';
import type { Refused } from '../../shared/rpc/refusal.js';
import { replicasOf } from '../../shared/run/faults.js';
import { layoutOf, type RunSpec } from '../../shared/run/spec.js';
import { memoryRefusal, shareBytes } from '../memory-budget.js';
import { holdersOf } from '../replication/placement.js';
import { rowsBytes, rowsRefusal } from '../rows/rows-budget.js';
import type { Members } from './members.js';
import { type ServerEntry, shardBytesOf } from './run.js';

/** Bytes that a server has for another run. */
export function freeBytes(members: Members, server: ServerEntry): number {
  let free = server.memoryBytes;
  for (const run of members.runs.values()) {
    const { spec, servers, view } = run;
    if (!servers.includes(server)) continue;
    for (const [shard, copies] of (view?.shards ?? []).entries())
      if (holdersOf(copies).includes(server.id)) free -= shardBytesOf(run, shard);
    free -= rowsBytes(spec.tables ?? [], servers.length);
  }
  return free;
}

/** Why a run does not fit with so many copies of each shard; undefined where it does. */
export function memoryFault(
  members: Members,
  spec: RunSpec,
  copies = spec.replicas ?? 1,
): Refused | undefined {
  const free = [...members.servers.values()].map((server) => freeBytes(members, server));
  const peers = [...members.servers.values()].some(({ peer }) => peer);
  const replicas = replicasOf({ ...spec, replicas: copies }, free.length, peers);
  return (
    memoryRefusal(
      spec,
      free.map((bytes) => Math.min(bytes, replicas * SHARD_MEMORY_MAX_BYTES)),
      replicas,
    ) ?? rowsRefusal(spec.tables ?? [], free, (servers) => shareBytes(spec, servers))
  );
}

/** Throws Refused where a run does not fit; before there is a server nobody knows. */
export function checkMemory(members: Members, spec: RunSpec): void {
  layoutOf(spec);
  const refusal = members.servers.size > 0 ? memoryFault(members, spec) : undefined;
  if (refusal) throw refusal;
}
