// Puts a server together: gRPC with health and reflection, the shards, its place in the mesh, and the keeper's
// role where it is the first, or where etcd gives it. What a binary or a test starts.
import { hostname } from 'node:os';
import { performance } from 'node:perf_hooks';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { schemaHash } from '../shared/blocks/manifest.js';
import type { Keepers } from '../shared/client/keepers.js';
import { parsePlace } from '../shared/config/place.js';
import type { RunError } from '../shared/errors.js';
import { WAITING_NOTICE_MS } from '../shared/limits.js';
import { normRounds } from '../shared/optimizer/norms.js';
import type { ParametersHandlers } from '../shared/rpc/generated/gradloom/v1/Parameters.js';
import {
  membershipService,
  PROTOCOL_VERSION,
  parametersService,
  reflectedDefinition,
  rowsService,
} from '../shared/rpc/proto.js';
import { refuse } from '../shared/rpc/refusal.js';
import { bind, createServer } from '../shared/rpc/transport.js';
import { layoutOf, snapshotsFault } from '../shared/run-spec.js';
import { AgreeStreams } from './agree-streams.js';
import type { Coordination } from './coordination/coordination.js';
import { embedded } from './coordination/embedded.js';
import { keeperRole } from './coordination/keeper-role.js';
import { HostedRun } from './hosted-run.js';
import { MembershipService } from './membership-service.js';
import { joinMesh, type Mesh } from './mesh.js';
import type { ServerMetrics } from './metrics.js';
import { parametersHandlers } from './parameters-service.js';
import { HostedRows, residentRows } from './rows/hosted-rows.js';
import { rowsHandlers } from './rows/rows-service.js';
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
  /** Silence after which a peer is given up. */
  peerDeadlineMs: number;
  metrics: ServerMetrics;
  /** Folder in which snapshots of all runs are written; none: a run that wants some is refused. */
  snapshots?: string;
  /** Where a snapshot that a run resumes from is looked for, too. */
  resume?: string;
  /** On the keeper: a snapshot is whole, or there is none. */
  onSnapshot?(event: SnapshotEvent): void;
  log(message: string): void;
  /** The keeper is gone; the server is of no use any more. */
  onLost(error: RunError): void;
}

export interface RunningServer {
  readonly address: string;
  readonly serverId: number;
  readonly runs: ReadonlyMap<string, HostedRun>;
  /** The Parameters service, for a worker in the same process. */
  readonly parameters: ParametersHandlers;
  /** Asks for a snapshot of every run, where this is the keeper; returns of how many. */
  takeSnapshots(): number;
  /** Ends runs and streams, then stops. */
  close(reason: string): Promise<void>;
}

/** Starts a server; resolves when it is in the mesh. Throws UserError (port), Refused or RunError (keeper). */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { metrics, log } = options;
  const runs = new Map<string, HostedRun>();
  const rows = new Map<string, HostedRows>();
  const grpcServer = createServer(options.peerDeadlineMs);
  const host = options.listen.slice(0, options.listen.lastIndexOf(':'));

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
        folder: options.snapshots,
        dispatch: (orders) => membership.dispatch(orders),
        stepOf: (id) => runs.get(id)?.shard.step ?? 0,
        onSnapshot(event) {
          metrics.snapshot(event);
          options.onSnapshot?.(event);
          const { run, step, path, failure } = event;
          log(
            `run ${run}: ${failure ? `no snapshot of step ${step}: ${failure}` : `snapshot of step ${step} in ${path}`}`,
          );
        },
        now: () => performance.now(),
      }),
  });
  const handled = grpcServer as unknown as { addService(service: unknown, handlers: unknown): void };
  const parameters = parametersHandlers(runs, metrics, log);
  handled.addService(parametersService, parameters);
  handled.addService(membershipService, membership.handlers());
  handled.addService(rowsService, rowsHandlers(runs, rows, metrics, log));
  const services = ['', 'gradloom.v1.Parameters', 'gradloom.v1.Membership', 'gradloom.v1.Rows'];
  const health = new HealthImplementation(
    Object.fromEntries(services.map((name) => [name, 'NOT_SERVING' as const])),
  );
  health.addToServer(grpcServer);
  new ReflectionService(reflectedDefinition).addToServer(grpcServer);

  const port = await bind(grpcServer, options.listen);
  const address = options.advertise ?? `${host}:${port}`;
  const held = (id: string): HostedRun => {
    const run = runs.get(id);
    if (!run) throw refuse('UNKNOWN_RUN', `expected a run that is held here, got '${id.slice(0, 80)}'`);
    return run;
  };
  const closeRun = (id: string, reason: string) => {
    runs.get(id)?.close();
    rows.get(id)?.close();
    rows.delete(id);
    if (runs.delete(id)) log(`run ${id} ended: ${reason}`);
    metrics.runs(runs);
  };

  const lost = (error: RunError) => {
    for (const id of [...runs.keys()]) closeRun(id, error.message);
    options.onLost(error);
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
      peerDeadlineMs: options.peerDeadlineMs,
      prepare(id, spec, view, serverId, report) {
        const uncut = (spec.snapshots ?? spec.resume) && snapshotsFault(spec);
        if (uncut) throw refuse('RUN_SPEC', uncut);
        if (spec.snapshots && options.snapshots === undefined)
          throw refuse(
            'NOT_NOW',
            'expected a folder for the snapshots that the run wants, got none; start every server with --snapshots DIR, or the workers without',
          );
        const index = view.servers.findIndex((server) => server.id === serverId);
        const owned = view.placement.flatMap((owner, block) => (owner === index ? [block] : []));
        if (spec.tables) {
          const partitions = view.rowPlacement.flatMap((owner, part) => (owner === index ? [part] : []));
          rows.set(id, new HostedRows(spec, partitions, metrics, () => performance.now()));
        }
        const run = new HostedRun(
          id,
          spec,
          view,
          layoutOf(spec),
          owned,
          metrics,
          () => performance.now(),
          index,
        );
        run.onOffence = (rank, sentence) => mesh.offends(id, rank, sentence);
        runs.set(id, run);
        const others = view.servers.flatMap((server, at) =>
          at === index ? [] : [[at, server.address] as const],
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
              onLost(server, reason) {
                log(`run ${id}: server ${view.servers[server].id} is out of reach: ${reason}`);
                run.serverLost();
              },
            }),
          );
        const now = () => performance.now();
        if (spec.snapshots)
          run.snapshots = new RunSnapshots({
            ...{ run: id, shard: run.shard, workers: spec.workers, serverId, metrics, report, now },
            folder: options.snapshots,
          });
        log(`run ${id}: ${owned.length} of ${view.placement.length} blocks, ${spec.workers} workers`);
        metrics.runs(runs);
        const paths = [options.resume, options.snapshots].filter((path) => path !== undefined);
        return spec.resume && restoreShard(run.shard, spec, spec.resume, paths);
      },
      change: (id, view) => held(id).change(view),
      fence: (id, rank) => held(id).fence(rank),
      snapshot: (order) => runs.get(order.run)?.snapshots?.order(order),
      end: closeRun,
      held: () => [...runs.keys()],
      lost,
    });
  } catch (error) {
    await coordination?.close();
    grpcServer.forceShutdown();
    throw error;
  }
  for (const name of services) health.setStatus(name, 'SERVING');

  const notices = setInterval(() => {
    // A run that is held goes from waiting to training without a word.
    metrics.runs(runs);
    for (const hosted of rows.values()) hosted.announceWaiting();
    metrics.tables(residentRows(rows.values()));
    for (const run of runs.values()) {
      const { workers, waitedMs } = run.waiting();
      metrics.waiting(run.spec.workers, waitedMs >= WAITING_NOTICE_MS ? workers : []);
      if (waitedMs >= WAITING_NOTICE_MS && (workers.length > 0 || run.serversWaitedFor().length > 0))
        run.announceWaiting();
    }
  }, WAITING_NOTICE_MS);

  return {
    address,
    serverId: mesh.serverId,
    runs,
    parameters,
    takeSnapshots: () => membership.snapshots?.ask() ?? 0,
    async close(reason) {
      clearInterval(notices);
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
      await new Promise<void>((resolve) => {
        // Streams were ended above; whoever does not answer is cut off.
        const force = setTimeout(() => grpcServer.forceShutdown(), 1_000);
        grpcServer.tryShutdown(() => {
          clearTimeout(force);
          resolve();
        });
      });
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
