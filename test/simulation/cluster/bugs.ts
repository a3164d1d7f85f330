// Deliberate bugs: what the checkers must find. Each changes a part of a running cluster from outside, as a mistake in
// that part would.
import type { Coordinator } from '../../../server/coordinator.js';
import type { Effect } from '../../../server/effects.js';
import type { HostedRun } from '../../../server/hosted-run.js';
import type { Mesh } from '../../../server/mesh.js';
import type { Replica } from '../../../server/replication/replica.js';
import type { ReplicaHolder } from '../../../server/replication/replication-service.js';
import type { Shard } from '../../../server/shard.js';
import { checksumOf } from '../../../shared/rpc/checksum.js';
import type { View__Output } from '../../../shared/rpc/generated/gradloom/v1/View.js';
import type { ParametersStreams } from '../../../shared/rpc/in-process.js';
import type { WorkerHistory } from './worker-node.js';

export interface Bug {
  /** In a shard of the server with this index, when it is made. */
  hosted?(run: HostedRun, server: number): void;
  coordinator?(coordinator: Coordinator): void;
  /** What a server does with the streams of primaries. */
  holder?(holder: ReplicaHolder): ReplicaHolder;
  /** A server has been told who holds the shards of a run. */
  placed?(view: View__Output, tell: Pick<Mesh, 'serverId' | 'replicated'>, run: string): void;
  /** A worker's streams that are opened in place of others; undefined: as they are. */
  again?(streams: ParametersStreams, worker: WorkerHistory): ParametersStreams | undefined;
}

/** What is done to every copy that a server holds, once. */
function seen(change: (replica: Replica) => void): NonNullable<Bug['holder']> {
  return (holder) => {
    const known = new WeakSet<Replica>();
    return {
      replicaOf(hello) {
        const replica = holder.replicaOf(hello);
        if (!known.has(replica)) change(replica);
        known.add(replica);
        return replica;
      },
      isCurrent: (replica, server) => holder.isCurrent(replica, server),
    };
  };
}

function versionsAlone(shard: Shard): void {
  const { sumsOf } = shard;
  shard.sumsOf = (block) => ({ ...sumsOf.call(shard, block), checksums: [] });
}

/** By what is wrong. */
export const BUGS: Readonly<Record<string, Bug>> = {
  'a contribution is acknowledged and not summed': {
    hosted({ shard }, server) {
      const { contribution } = shard;
      shard.contribution = (worker, bulk) => {
        // Zeros in place of its values: everything about it happens but the sum.
        const payload = Buffer.alloc(bulk.payload.byteLength);
        const lost = { ...bulk, payload, checksum: checksumOf(payload) };
        return contribution.call(
          shard,
          worker,
          server === 0 && bulk.step === 2 && worker === 1 ? lost : bulk,
        );
      };
    },
  },
  'a worker is weighed as if it had one sample more on one server': {
    hosted({ shard }, server) {
      const { header } = shard;
      shard.header = (worker, step, said) =>
        header.call(
          shard,
          worker,
          step,
          server === 1 && worker === 0 ? { ...said, samples: said.samples + 1 } : said,
        );
    },
  },
  'one server skips a step that the others apply': {
    hosted({ shard }, server) {
      const { header } = shard;
      shard.header = (worker, step, said) =>
        header.call(shard, worker, step, server === 1 && step === 1 ? { ...said, allFinite: false } : said);
    },
  },
  'new values are sent before they are computed': {
    hosted({ shard }) {
      const { encodeUpdate } = shard;
      let before: ReturnType<typeof encodeUpdate> | undefined;
      shard.encodeUpdate = (block) => {
        const now = encodeUpdate.call(shard, block);
        const kept = { ...now, payload: now.payload.slice() };
        const sent =
          before && now.version === 2 ? { ...now, payload: before.payload, checksum: before.checksum } : kept;
        before = kept;
        return sent;
      };
    },
  },
  'the death of a worker is told to nobody': {
    coordinator(coordinator) {
      coordinator.workerLeft = () => [];
    },
  },
  'the death of a server is told to nobody': {
    coordinator(coordinator) {
      coordinator.serverLeft = () => [];
    },
  },
  'a copy that is out of reach is given up by nobody': {
    coordinator(coordinator) {
      coordinator.backupLost = () => [];
    },
  },
  'effects leave before the copies have them': {
    hosted(run) {
      const { shard, carryOut } = run;
      const early = new Set<Effect>();
      const now = (effects: Effect[]) => {
        for (const effect of effects) {
          early.add(effect);
          carryOut.call(run, effect);
        }
        return effects;
      };
      const { contribution, header } = shard;
      shard.contribution = (...all) => now(contribution.apply(shard, all));
      shard.header = (...all) => now(header.apply(shard, all));
      run.carryOut = (effect) => {
        if (!early.delete(effect)) carryOut.call(run, effect);
      };
    },
  },
  'a copy is reported before it is whole': {
    placed({ shards }, { serverId, replicated }, run) {
      for (const [shard, { primary, joining }] of shards.entries())
        if (primary === serverId) for (const server of joining) replicated(run, shard, server);
    },
  },
  'a backup that takes over forgets which blocks have the update of the open step': {
    holder: (holder) => ({
      replicaOf(hello) {
        const replica = holder.replicaOf(hello);
        const opening = () => ({ step: replica.step, applied: new Set<number>() });
        return Object.defineProperty(replica, 'opening', { get: opening, configurable: true });
      },
      isCurrent: (replica, server) => holder.isCurrent(replica, server),
    }),
  },
  'a worker sends nothing again over a new link': {
    again(streams, { exchange }) {
      const step = exchange?.step;
      return {
        ...streams,
        Push: () => {
          const call = streams.Push() as unknown as { write(message: object, written?: () => void): boolean };
          const { write } = call;
          call.write = (message, written) => {
            const isLost = exchange?.step === step && !('hello' in message) && !('header' in message);
            if (!isLost) return write.call(call, message, written);
            if (written) setImmediate(written);
            return true;
          };
          return call as never;
        },
      };
    },
  },
  'a backup takes what anybody says': {
    holder(holder) {
      const known = new Map<number, Replica>();
      return {
        replicaOf(hello) {
          const kept = known.get(hello.shard);
          try {
            const replica = holder.replicaOf(hello);
            known.set(hello.shard, replica);
            return replica;
          } catch (error) {
            if (kept) return kept;
            throw error;
          }
        },
        isCurrent: () => true,
      };
    },
  },
  'copies are compared by their versions alone': {
    hosted({ shard }) {
      versionsAlone(shard);
    },
    holder: seen((replica) => versionsAlone(replica.shard)),
  },
  'a copy counts a contribution that it is sent, and does not add it up': {
    holder: seen((replica) => {
      const { part } = replica;
      replica.part = (bulk) => part.call(replica, { ...bulk, scalars: [0] });
    }),
  },
  'a block of a copy that differs is told and not sent again': {
    holder: seen((replica) => {
      const { begin, array, copied } = replica;
      let isCopying = true;
      replica.begin = () => {
        isCopying = true;
        begin.call(replica);
      };
      replica.copied = (...all) => {
        isCopying = false;
        copied.apply(replica, all);
      };
      replica.array = (bulk) => {
        if (isCopying || !replica.shard.isInitialized(bulk.block)) array.call(replica, bulk);
      };
    }),
  },
  'the keeper lets a server take over that is only to become a copy': {
    coordinator(coordinator) {
      const { serverLeft } = coordinator;
      coordinator.serverLeft = (connection, reason) => {
        for (const { view } of coordinator.runs.values())
          for (const copies of view?.shards ?? [])
            copies.backups = [...copies.joining.splice(0), ...copies.backups];
        return serverLeft.call(coordinator, connection, reason);
      };
    },
  },
  'a pull brings the values of the one before it': {
    hosted({ shard }) {
      const { encode } = shard;
      const before = new Map<number, ReturnType<typeof encode>>();
      shard.encode = (block, codec, leaves) => {
        const now = encode.call(shard, block, codec, leaves);
        const last = before.get(block);
        before.set(block, { ...now, payload: now.payload.slice() });
        // What the servers hold at the end is read otherwise, and right.
        if (!leaves || last?.codec !== now.codec) return now;
        return { ...now, payload: last.payload, checksum: last.checksum };
      };
    },
  },
  'a worker that goes on over a new link is not told the outcome that it has missed': {
    hosted(run) {
      const { subscribe } = run;
      run.subscribe = (reader, request) => {
        const { call } = reader;
        const { write } = call;
        if (request.resumes)
          call.write = ((message: object, written?: () => void) =>
            'outcome' in message || write.call(call, message as never, written as never)) as typeof write;
        subscribe.call(run, reader, request);
        call.write = write;
      };
    },
  },
};
