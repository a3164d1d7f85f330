// Puts a server together: gRPC with health and reflection, the shards, its place in the mesh, and the keeper's
// role where it is the first, or where etcd gives it. What a binary or a test starts.
import { hostname } from 'node:os';
import { performance } from 'node:perf_hooks';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { schemaHash } from '../shared/blocks/manifest.js';
import type { Keepers } from '../shared/client/keepers.js';
import { parsePlace } from '../shared/config/place.js';
import { RunError } from '../shared/errors.js';
import { NOTICE_MIN_MS, SHUTDOWN_GRACE_MS, WAITING_NOTICE_MS } from '../shared/limits.js';
import { normRounds } from '../shared/optimizer/norms.js';
import type { ParametersHandlers } from '../shared/rpc/generated/gradloom/v1/Parameters.js';
import {
  membershipService,
  PROTOCOL_VERSION,
  parametersService,
  reflectedDefinition,
  replicationService,
  rowsService,
} from '../shared/rpc/proto.js';
import { refuse } from '../shared/rpc/refusal.js';
import { bind, connectReplication, createServer, shutDown } from '../shared/rpc/transport.js';
import { snapshotsFault } from '../shared/run/faults.js';
import { storeAt } from '../shared/snapshot/store.js';
import { primaryOf, shardsOf } from '../shared/view.js';
import { AgreeStreams } from './agree-streams.js';
import type { Coordination } from './coordination/coordination.js';
import { embedded } from './coordination/embedded.js';
import { keeperRole } from './coordination/keeper-role.js';
import type { HostedRun } from './hosted-run.js';
import { type DivergedEvent, HostedShards } from './hosted-shards.js';
import { MembershipService } from './membership-service.js';
import { joinMesh, type Mesh } from './mesh.js';
import type { ServerMetrics } from './metrics.js';
import { type HostedRuns, parametersHandlers } from './parameters-service.js';
import { replicationHandlers } from './replication/replication-service.js';
import { HostedRows, residentRows } from './rows/hosted-rows.js';
import { rowsHandlers } from './rows/rows-service.js';
import { ServerWaits, shardTimesOf } from './server-waits.js';
import { type SnapshotEvent, SnapshotKeeper } from './snapshot/keeper.js';
import { restoreShard } from './snapshot/restore.js';
import { RunSnapshots } from './snapshot/run-snapshots.js';

export interface ServerOptions {
  /** HOST:PORT to listen on; port 0 picks a free one. */
  listen: string;
  /** HOST:PORT under which others reach this server; by default where it listens. */
  advertise?: string;
  /** Where the mesh is found, as in shared/config/place.ts; without it this server is the keeper of a new one. */
  join?: string;
  memoryBytes: number;
  /** It is a worker, too, and goes with it. */
  peer?: boolean;
  /** Silence after which a peer is given up. */
  peerDeadlineMs: number;
  metrics: ServerMetrics;
  /** Folder or bucket into which snapshots of all runs are written; none: a run that wants some is refused. */
  snapshots?: string;
  /** Where a snapshot that a run resumes from is looked for, too. */
  resume?: string;
  /** On the keeper: a snapshot is whole, or there is none. */
  onSnapshot?(event: SnapshotEvent): void;
  /** A copy of a shard of which this is the primary was not equal to it, and has been mended. */
  onDiverged?(event: DivergedEvent): void;
  log(message: string): void;
  /** Somebody has emptied this server: it is of no use any more. */
  onDrained?(): void;
  /** The keeper is gone; the server is of no use any more. */
  onLost(error: RunError): void;
}

export interface RunningServer {
  readonly address: string;
  readonly serverId: number;
  /** Shards of which it is the primary, by run and by their index in the placement. */
  readonly runs: HostedRuns;
  /** The Parameters service, for a worker in the same process. */
  readonly parameters: ParametersHandlers;
  /** Asks for a snapshot of every run, where this is the keeper; returns of how many. */
  takeSnapshots(): number;
  /** Lets others take over what this server holds. Resolves to why that cannot be; undefined: it is done. */
  drain(): Promise<string | undefined>;
  /** Ends runs and streams, then stops. */
  close(reason: string): Promise<void>;
}

/** Starts a server; resolves when it is in the mesh. Throws UserError (port, snapshots), Refused or RunError (keeper). */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { metrics, log } = options;
  // A mistake is told at the start, not after hours.
  const snapshots = options.snapshots === undefined ? undefined : await storeAt(options.snapshots);
  await snapshots?.check();
  const resume = options.resume === undefined ? undefined : await storeAt(options.resume);
  await resume?.folders();
  const rows = new Map<string, HostedRows>();
  const grpcServer = createServer(options.peerDeadlineMs);
  const host = options.listen.slice(0, options.listen.lastIndexOf(':'));

  const now = () => performance.now();
  const shards: HostedShards = new HostedShards({
    ...{ metrics, now, log, peerDeadlineMs: options.peerDeadlineMs },
    open: (to) => connectReplication(to, options.peerDeadlineMs),
    after: (ms, work) => void setTimeout(work, ms).unref(),
    equip: (run) => equip(run),
    onReplicated: (run, shard, server) => mesh.replicated(run, shard, server),
    onBackupLost: (run, shard, server, reason) => mesh.backupLost(run, shard, server, reason),
    onDiverged(event) {
      const { run, shard, backup: server, block, version } = event;
      mesh.diverged(run, { shard, server, block, version });
      options.onDiverged?.(event);
    },
  });
  const { runs } = shards;
  const report = () => {
    metrics.runs(shards.all());
    metrics.copies([...shards.all()].length, shards.replicas().copies);
  };

  let keepers: Keepers | undefined;
  const membership = new MembershipService(
    () => (keepers?.follow ? keepers.name : (options.join ?? '')),
    log,
    metrics.refused,
  );
  const role = keeperRole({
    ...{ membership, peerDeadlineMs: options.peerDeadlineMs, log },
    snapshots: (coordinator) =>
      new SnapshotKeeper({
        coordinator,
        store: snapshots,
        dispatch: (orders) => membership.dispatch(orders),
        stepOf: (id) => Math.max(0, ...[...(runs.get(id)?.values() ?? [])].map(({ shard }) => shard.step)),
        onSnapshot(event) {
          metrics.snapshot(event);
          options.onSnapshot?.(event);
          const { run, step, path, failure } = event;
          log(
            `run ${run}: ${failure ? `no snapshot of step ${step}: ${failure}` : `snapshot of step ${step} in ${path}`}`,
          );
        },
        log,
        now,
      }),
  });
  const handled = grpcServer as unknown as { addService(service: unknown, handlers: unknown): void };
  const parameters = parametersHandlers(runs, metrics, log);
  handled.addService(parametersService, parameters);
  handled.addService(membershipService, membership.handlers());
  handled.addService(rowsService, rowsHandlers(runs, rows, metrics, log));
  handled.addService(replicationService, replicationHandlers(shards, metrics, log));
  const services = [
    '',
    ...['Parameters', 'Membership', 'Rows', 'Replication'].map((name) => `gradloom.v1.${name}`),
  ];
  const health = new HealthImplementation(
    Object.fromEntries(services.map((name) => [name, 'NOT_SERVING' as const])),
  );
  health.addToServer(grpcServer);
  new ReflectionService(reflectedDefinition).addToServer(grpcServer);

  const port = await bind(grpcServer, options.listen);
  const address = options.advertise ?? `${host}:${port}`;
  const closeRun = (id: string, reason: string) => {
    rows.get(id)?.close();
    rows.delete(id);
    if (shards.end(id)) log(`run ${id} ended: ${reason}`);
    report();
  };
  /** What a shard that is held from now on needs beside its memory. */
  const equip = (run: HostedRun) => {
    const { id, spec, view, index } = run;
    run.onOffence = (rank, sentence) => mesh.offends(id, rank, sentence);
    const others = shardsOf(view).flatMap((_, at) =>
      at === index ? [] : [[at, primaryOf(view, at).address] as const],
    );
    const agrees = normRounds(spec.optimizer).length > 0 || (spec.backupWorkers ?? 0) > 0;
    if (agrees && others.length > 0)
      run.agreeOver(
        new AgreeStreams({
          hello: {
            protocolVersion: PROTOCOL_VERSION,
            run: id,
            view: view.number,
            server: index,
            schemaHash: schemaHash(spec.tensors),
          },
          addresses: new Map(others),
          peerDeadlineMs: options.peerDeadlineMs,
          onLost(at, reason) {
            log(`run ${id}: server ${primaryOf(view, at).id} is out of reach: ${reason}`);
            run.serverLost();
          },
        }),
      );
    if (spec.snapshots && snapshots)
      run.snapshots = new RunSnapshots({
        ...{ run: id, shard: run.shard, workers: spec.workers, metrics, now, index },
        report: (part) => mesh.snapshot(id, { ...part, shard: index }),
        store: snapshots,
      });
    const { length: blocks } = [...run.shard.blockIndices];
    log(`run ${id}: shard ${index}, ${blocks} of ${view.placement.length} blocks, ${spec.workers} workers`);
    report();
  };

  /** There while others take over what this server holds. */
  let draining: ((refusal: string | undefined) => void) | undefined;
  const lost = (error: RunError) => {
    if (draining) return draining(error.message);
    const [run, ...more] = shards.all();
    const open = run
      ? `; run ${run.id}: ${run.pace()}${more.length > 0 ? `, and ${more.length} shards more` : ''}`
      : '';
    for (const id of [...runs.keys()]) closeRun(id, error.message);
    options.onLost(open ? new RunError(`${error.message}${open}`) : error);
  };
  let mesh: Mesh;
  let coordination: Coordination | undefined;
  try {
    coordination = await coordinationOf(options, lost);
    keepers = await coordination.start(options.join === undefined ? `${host}:${port}` : address, role);
    mesh = await joinMesh({
      keepers,
      address,
      label: `${hostname()}:${process.pid}`,
      memoryBytes: options.memoryBytes,
      peer: options.peer,
      peerDeadlineMs: options.peerDeadlineMs,
      async prepare(id, spec, view, serverId) {
        const uncut = (spec.snapshots ?? spec.resume) && snapshotsFault(spec);
        if (uncut) throw refuse('RUN_SPEC', uncut);
        if (spec.snapshots && !snapshots)
          throw refuse(
            'NOT_NOW',
            'expected a folder for the snapshots that the run wants, got none; start every server with --snapshots DIR, or the workers without',
          );
        if (spec.tables) {
          const index = view.servers.findIndex((server) => server.id === serverId);
          const partitions = view.rowPlacement.flatMap((owner, part) => (owner === index ? [part] : []));
          rows.set(id, new HostedRows(spec, partitions, metrics, now));
        }
        shards.prepare(id, spec, view, serverId);
        const stores = [resume, snapshots].filter((store) => store !== undefined);
        if (spec.resume)
          for (const { shard } of shards.of(id).values())
            await restoreShard(shard, spec, spec.resume, stores);
      },
      place(id, spec, view, serverId) {
        shards.place(id, spec, view, serverId);
        report();
      },
      change: (id, view) => shards.change(id, view),
      fence: (id, rank) => shards.fence(id, rank),
      drained(refusal) {
        if (draining) draining(refusal);
        else if (refusal === undefined) options.onDrained?.();
        draining = undefined;
      },
      snapshot(order) {
        for (const run of runs.get(order.run)?.values() ?? []) run.snapshots?.order(order);
      },
      end: closeRun,
      held: () => [...runs.keys()],
      suspect: (keeper) => coordination?.suspect?.(keeper),
      lost,
    });
  } catch (error) {
    await coordination?.close();
    grpcServer.forceShutdown();
    throw error;
  }
  if (membership.coordinator && !keepers.follow) membership.coordinator.keeper = mesh.serverId;
  for (const name of services) health.setStatus(name, 'SERVING');

  const waits = new ServerWaits({
    tell: (run, wait) => mesh.waits(run, wait),
    onWorkers: metrics.waiting,
  });
  const looks = setInterval(() => {
    waits.look(shards.runs);
    for (const hosted of rows.values()) hosted.announceWaiting();
  }, NOTICE_MIN_MS);
  const reports = setInterval(() => {
    // A run that is held goes from waiting to training without a word.
    report();
    const late = membership.coordinator?.evaluationWaits() ?? [];
    if (late.length > 0) membership.dispatch(late);
    for (const [id, hosted] of runs)
      if (hosted.size > 0) mesh.shardTimes(id, shardTimesOf([...hosted.values()]));
    metrics.tables(residentRows(rows.values()));
    metrics.usual(shards.all());
    metrics.stragglers(membership.stragglers());
  }, WAITING_NOTICE_MS);

  return {
    address,
    serverId: mesh.serverId,
    runs,
    parameters,
    async drain() {
      const isLast = membership.coordinator && !keepers?.follow;
      if (isLast || shards.all().next().done) return undefined;
      return new Promise((resolve) => {
        draining = resolve;
        mesh.drain();
      });
    },
    takeSnapshots: () => membership.snapshots?.ask() ?? 0,
    async close(reason) {
      clearInterval(looks);
      clearInterval(reports);
      for (const name of services) health.setStatus(name, 'NOT_SERVING');
      const { coordinator } = membership;
      if (coordinator && keepers?.follow)
        membership.dispatch(coordinator.serverStopped(mesh.serverId, reason));
      else if (coordinator) membership.dispatch(coordinator.shutDown(reason));
      mesh.leave();
      await coordination.close();
      membership.snapshots?.close();
      membership.close();
      for (const id of [...runs.keys()]) closeRun(id, reason);
      await shutDown(grpcServer, SHUTDOWN_GRACE_MS);
    },
  };
}

/** Throws RunError where etcd cannot be reached. */
async function coordinationOf(
  { join, peerDeadlineMs, log }: ServerOptions,
  onLost: (error: RunError) => void,
): Promise<Coordination> {
  const place = join === undefined ? undefined : parsePlace(join);
  if (!place || 'address' in place) return embedded(join);
  // Whoever does without etcd does without its client.
  const { EtcdCoordination } = await import('./coordination/etcd.js');
  return EtcdCoordination.open({ ...place, peerDeadlineMs, log, onLost });
}
