// A server's own membership: its stream to the keeper (the keeper has one to itself, so that there is one way).
// Prepares and ends shards as the keeper orders. When the keeper goes, so does the mesh; in etcd another follows, and
// this server comes back to it with the runs that it holds.
import type * as grpc from '@grpc/grpc-js';
import { KeeperStream } from '../shared/client/keeper-stream.js';
import type { Keepers } from '../shared/client/keepers.js';
import { isExpected, RunError, sentence } from '../shared/errors.js';
import type { CopyDiverged } from '../shared/rpc/generated/gradloom/v1/CopyDiverged.js';
import type { ServerOrder__Output } from '../shared/rpc/generated/gradloom/v1/ServerOrder.js';
import type { ServerReport } from '../shared/rpc/generated/gradloom/v1/ServerReport.js';
import type { ShardTimes } from '../shared/rpc/generated/gradloom/v1/ShardTimes.js';
import type { SnapshotPart } from '../shared/rpc/generated/gradloom/v1/SnapshotPart.js';
import type { TakeSnapshot__Output } from '../shared/rpc/generated/gradloom/v1/TakeSnapshot.js';
import type { View__Output } from '../shared/rpc/generated/gradloom/v1/View.js';
import { PROTOCOL_VERSION } from '../shared/rpc/proto.js';
import { RefusalCode, Refused } from '../shared/rpc/refusal.js';
import { connectMembership, type MembershipStreams } from '../shared/rpc/transport.js';
import type { RunSpec } from '../shared/run/spec.js';
import { fromWire } from '../shared/run/wire.js';
import type { ServerWait } from './server-waits.js';

export interface MeshOptions {
  keepers: Keepers;
  address: string;
  label: string;
  memoryBytes: number;
  peerDeadlineMs: number;
  /** It is a worker, too, and goes with it. */
  peer?: boolean;
  /** How to reach the keeper other than over the network. */
  streams?: MembershipStreams;
  /** Makes the shard of a run; resolves when it is restored where it goes on from a snapshot. May throw an expected error. */
  prepare(run: string, spec: RunSpec, view: View__Output, serverId: number): Promise<void> | undefined;
  /** Holds the shards of a run that a view says, and no more. Throws Refused. */
  place(run: string, spec: RunSpec, view: View__Output, serverId: number): void;
  /** A part of a snapshot is wanted. */
  snapshot(order: TakeSnapshot__Output): void;
  end(run: string, reason: string): void;
  /** Ids of the runs that this server holds. */
  held(): string[];
  /** Changes the view of a run at its step. Throws Refused. */
  change(run: string, view: View__Output): void;
  /** Takes nothing of a worker any more, and says how far it has come here. Throws Refused. */
  fence(run: string, rank: number): { step: number; complete: boolean; initialized: boolean };
  /** This server holds nothing any more; or why it cannot be emptied. */
  drained(refusal: string | undefined): void;
  /** The keeper at this address does not answer; another may follow. */
  suspect?(keeper: string): void;
  /** The keeper is gone. */
  lost(error: RunError): void;
}

export interface Mesh {
  readonly serverId: number;
  /** Tells the keeper that a worker has spoilt too many steps. */
  offends(run: string, rank: number, sentence: string): void;
  /** Tells the keeper which servers the open step of a run waits for; none: it waits no more. */
  waits(run: string, progress: ServerWait): void;
  /** Tells the keeper what steps of a run take the shards here, and how long they wait for backups. */
  shardTimes(run: string, shardTimes: ShardTimes): void;
  /** Tells the keeper that a server has become a copy of a shard of which this one is the primary. */
  replicated(run: string, shard: number, server: number): void;
  /** Tells the keeper that a backup of such a shard is out of reach. */
  backupLost(run: string, shard: number, server: number, reason: string): void;
  /** Tells the keeper that a copy of such a shard was not equal to it. */
  diverged(run: string, copy: CopyDiverged): void;
  /** Asks the keeper to empty this server; answered by `drained`. */
  drain(): void;
  /** Tells the keeper of a part of a snapshot. */
  snapshot(run: string, part: SnapshotPart): void;
  leave(): void;
}

/** Joins the mesh; resolves when the keeper has answered. Throws Refused or RunError. */
export function joinMesh(options: MeshOptions): Promise<Mesh> {
  const { keepers, address, memoryBytes, label, peerDeadlineMs } = options;
  let serverId = -1;
  let leaving = false;
  /** It has asked to be emptied, and not been answered: the keeper that follows is asked again. */
  let draining = false;
  /** What it has said of workers that spoil the steps of all: the keeper that follows is told again. */
  const offences = new Map<string, ServerReport[]>();
  return new Promise((resolve, reject) => {
    const gone = (reason: string) => {
      if (leaving) return;
      leaving = true;
      stream.close();
      const joined = serverId >= 0;
      const error = new RunError(
        joined
          ? `${keepers.name} is gone: ${reason}; it holds the view, so this mesh has ended`
          : `cannot join the mesh at ${keepers.where}: ${reason}; start the first server there, or check the address`,
      );
      if (joined) options.lost(error);
      else reject(error);
    };
    const tell = (report: ServerReport) => void (leaving || stream.write(report));
    /** Does what was ordered for a run, at once or in time, and reports it, or why it cannot be done. */
    const answer = (run: string, work: () => ServerReport | Promise<ServerReport> | undefined) => {
      const done = (report: ServerReport) => tell({ run, ...report });
      const refuse = (error: unknown) => {
        if (!isExpected(error)) throw error;
        const code = error instanceof Refused ? (error.code as 1) : RefusalCode.REFUSAL_CODE_MEMORY;
        done({ refused: { code, sentence: sentence(error) } });
      };
      try {
        const report = work();
        if (report instanceof Promise) report.then(done, refuse);
        else if (report) done(report);
      } catch (error) {
        refuse(error);
      }
    };
    const take = (order: ServerOrder__Output) => {
      if (order.welcome) {
        if (serverId >= 0) return;
        serverId = order.welcome.id;
        resolve({
          serverId,
          offends(run, rank, sentence) {
            const report = { run, offends: { rank, sentence } };
            offences.set(run, [...(offences.get(run) ?? []), report]);
            tell(report);
          },
          waits: (run, progress) => tell({ run, progress }),
          replicated: (run, shard, server) => tell({ run, replicated: { shard, server } }),
          backupLost: (run, shard, server, reason) => tell({ run, backupLost: { shard, server, reason } }),
          shardTimes: (run, shardTimes) => tell({ run, shardTimes }),
          diverged: (run, diverged) => tell({ run, diverged }),
          drain() {
            draining = true;
            tell({ leaving: {} });
          },
          snapshot: (run, snapshot) => tell({ run, snapshot }),
          leave() {
            leaving = true;
            stream.close();
          },
        });
      } else if (order.refusal) {
        const { code, sentence } = order.refusal;
        if (serverId >= 0) return gone(`it refused this server: ${sentence}`);
        leaving = true;
        stream.close();
        reject(new Refused(code, sentence, keepers.name));
      } else if (order.prepare) {
        const { run, spec, view } = order.prepare;
        answer(run, () => {
          if (!view) throw new RunError('the order to prepare has no view');
          const restored = options.prepare(run, fromWire(spec), view, serverId);
          const prepared = { term: view.term };
          return restored ? restored.then(() => ({ prepared })) : { prepared };
        });
      } else if (order.drained) {
        draining = false;
        options.drained(order.drained.refusal?.sentence);
      } else if (order.place) {
        const { run, spec, view } = order.place;
        answer(run, () => {
          if (!view) throw new RunError('the order to hold shards has no view');
          options.place(run, fromWire(spec), view, serverId);
          return undefined;
        });
      } else if (order.fence) {
        const { run, number, rank } = order.fence;
        answer(run, () => ({ fenced: { number, ...options.fence(run, rank) } }));
      } else if (order.change) {
        const { run, view } = order.change;
        answer(run, () => {
          if (!view) throw new RunError('the order to change has no view');
          options.change(run, view);
          return { taken: { number: view.number } };
        });
      } else if (order.snapshot) {
        options.snapshot(order.snapshot);
      } else if (order.end) {
        offences.delete(order.end.run);
        options.end(order.end.run, order.end.reason);
      }
    };
    const stream = new KeeperStream<ServerReport, ServerOrder__Output>({
      keepers,
      open(keeper) {
        const client = options.streams ?? connectMembership(keeper, peerDeadlineMs);
        const call = client.Serve() as unknown as grpc.ClientDuplexStream<ServerReport, ServerOrder__Output>;
        return { call, close: () => client.close() };
      },
      hello: () => ({
        hello: {
          ...{ protocolVersion: PROTOCOL_VERSION, address, memoryBytes, label, peer: options.peer ?? false },
          ...(serverId >= 0 ? { back: { id: serverId, runs: options.held() } } : {}),
        },
      }),
      onOrder: take,
      onBack() {
        for (const report of [...offences.values()].flat()) stream.write(report);
        if (draining) stream.write({ leaving: {} });
      },
      onBroken: options.suspect,
      onGone: gone,
      deadlineMs: peerDeadlineMs,
    });
  });
}
