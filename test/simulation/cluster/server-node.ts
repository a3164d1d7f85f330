// A server of a simulated cluster: the real shards, their streams' handlers and the membership, over the simulated network
// and clock. Only gRPC's sockets, snapshots and metrics are left out.
import { HostedShards } from '../../../server/hosted-shards.js';
import { joinMesh, type Mesh } from '../../../server/mesh.js';
import type { ServerMetrics } from '../../../server/metrics.js';
import { parametersHandlers } from '../../../server/parameters-service.js';
import { replicationHandlers } from '../../../server/replication/replication-service.js';
import { oneKeeper } from '../../../shared/client/keepers.js';
import { sentence } from '../../../shared/errors.js';
import { membershipService, replicationService } from '../../../shared/rpc/proto.js';
import type { MembershipStreams, ReplicationStreams } from '../../../shared/rpc/transport.js';
import type { Cluster } from './cluster.js';

const MEMORY_BYTES = 2 ** 26;

const noMetrics: ServerMetrics = {
  probe: { now: () => 0, phase: () => undefined },
  moved: () => undefined,
  rows: () => undefined,
  tables: () => undefined,
  contribution: () => undefined,
  refused: () => undefined,
  held: () => undefined,
  blockApplied: () => undefined,
  step: () => undefined,
  waitedFor: () => undefined,
  read: () => undefined,
  waiting: () => undefined,
  usual: () => undefined,
  stragglers: () => undefined,
  runs: () => undefined,
  viewEntered: () => undefined,
  departed: () => undefined,
  tookOver: () => undefined,
  diverged: () => undefined,
  replicated: () => undefined,
  copies: () => undefined,
  snapshot: () => undefined,
  snapshotWritten: () => undefined,
  snapshotCopies: () => undefined,
};

/** Starts a server; it joins the mesh, or dies where it cannot. */
export function startServer(cluster: Cluster, name: string): void {
  const log = (message: string) => cluster.note(`${name}: ${message}`);
  let tell: Mesh | undefined;
  const { network, copies } = cluster;
  const { bug } = cluster.options;
  const shards = makeShards(cluster, name, log, () => tell);
  const { runs } = shards;
  cluster.hosted.set(name, runs);
  network.listen(name, parametersHandlers(runs, noMetrics, log) as never);
  const holder = copies.holder(name, bug?.holder?.(shards) ?? shards);
  network.listen(name, replicationHandlers(holder, noMetrics, log) as never);
  const end = (id: string, reason: string) => {
    for (const { shard } of reason === 'done' ? (runs.get(id)?.values() ?? []) : [])
      for (const block of shard.blockIndices)
        cluster.finals.set(block, new Float32Array(shard.encode(block, 'fp32').payload.slice().buffer)[0]);
    if (shards.end(id)) log(`run ${id} ended: ${reason}`);
  };
  const { keeper } = cluster;
  joinMesh({
    keepers: oneKeeper(keeper.name),
    address: name,
    label: name,
    memoryBytes: MEMORY_BYTES,
    peerDeadlineMs: network.deadlineMs,
    streams: network.connect<MembershipStreams>(name, keeper.name, membershipService as never),
    prepare: (id, spec, view, serverId) => {
      copies.toldView(name, view);
      if (view.term > 1 && name === keeper.name) cluster.placedAnew++;
      shards.prepare(id, spec, view, serverId);
      return undefined;
    },
    place: (id, spec, view, serverId) => {
      copies.toldView(name, view);
      shards.place(id, spec, view, serverId);
      if (tell) bug?.placed?.(view, tell, id);
    },
    snapshot: () => undefined,
    drained: () => undefined,
    change: (id, view) => shards.change(id, view),
    fence: (id, rank) => shards.fence(id, rank),
    end,
    held: () => [...runs.keys()],
    lost: (error) => {
      for (const id of [...runs.keys()]) end(id, error.message);
      cluster.crash(name);
    },
  }).then(
    (mesh) => {
      tell = mesh;
    },
    (error: Error) => {
      log(sentence(error));
      cluster.crash(name);
    },
  );
}

/** @param mesh how it tells the keeper, once it has joined */
function makeShards(
  cluster: Cluster,
  name: string,
  log: (message: string) => void,
  mesh: () => Mesh | undefined,
): HostedShards {
  const { network, scheduler, copies, options } = cluster;
  return new HostedShards({
    metrics: { ...noMetrics, tookOver: () => void cluster.takeovers++ },
    open: (address) => network.connect<ReplicationStreams>(name, address, replicationService as never),
    after: (ms, work) => scheduler.after(ms, name, work),
    now: () => scheduler.nowMs,
    peerDeadlineMs: network.deadlineMs,
    equip: (run) => options.bug?.hosted?.(run, run.index),
    onReplicated: (run, shard, server) => mesh()?.replicated(run, shard, server),
    onBackupLost: (run, shard, server, reason) => mesh()?.backupLost(run, shard, server, reason),
    onDiverged: (event) => {
      log(event.text);
      copies.diverged(event, name);
    },
    log,
  });
}
