// Deliberate bugs: what the checkers must find. Each changes a part of a running cluster from outside, as a mistake in
// that part would.
import type { Coordinator } from '../../../server/coordinator.js';
import type { HostedRun } from '../../../server/hosted-run.js';
import type { Mesh } from '../../../server/mesh.js';
import type { ReplicaHolder } from '../../../server/replication/replication-service.js';
import { checksumOf } from '../../../shared/rpc/checksum.js';
import type { View__Output } from '../../../shared/rpc/generated/gradloom/v1/View.js';
import type { ParametersStreams } from '../../../shared/rpc/in-process.js';
import type { WorkerHistory } from './cluster.js';

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
};
