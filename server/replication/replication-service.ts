// The gRPC face of backups: the stream of a shard's primary, applied message by message to the copy here. Answers, for
// each turn of the event loop, how many messages have been applied. A stream is refused as soon as the sender is not the
// shard's primary any more: then nothing that it does can leave it.
import type * as grpc from '@grpc/grpc-js';
import { sentence } from '../../shared/errors.js';
import type { Bulk } from '../../shared/rpc/bulk.js';
import type { ReplicaCompared } from '../../shared/rpc/generated/gradloom/v1/ReplicaCompared.js';
import type { ReplicaHello__Output } from '../../shared/rpc/generated/gradloom/v1/ReplicaHello.js';
import type { ReplicaMessage__Output } from '../../shared/rpc/generated/gradloom/v1/ReplicaMessage.js';
import type { ReplicaReply } from '../../shared/rpc/generated/gradloom/v1/ReplicaReply.js';
import type { ReplicationHandlers } from '../../shared/rpc/generated/gradloom/v1/Replication.js';
import { recycle } from '../../shared/rpc/receive.js';
import { refuse } from '../../shared/rpc/refusal.js';
import type { ServerMetrics } from '../metrics.js';
import { type Endable, guarded } from '../parameters-service.js';
import type { Replica } from './replica.js';

type ReplicateCall = grpc.ServerDuplexStream<ReplicaMessage__Output, ReplicaReply>;

/** The copies that a server holds. */
export interface ReplicaHolder {
  /** The copy that a primary speaks of. Throws Refused where the sender is not its primary. */
  replicaOf(hello: ReplicaHello__Output): Replica;
  /** Whether it is a copy still, and the sender its primary. */
  isCurrent(replica: Replica, server: number): boolean;
}

export function replicationHandlers(
  holder: ReplicaHolder,
  metrics: Pick<ServerMetrics, 'refused' | 'replicated'>,
  log: (message: string) => void,
): ReplicationHandlers {
  /** The stream that feeds each copy: a newer one replaces it. */
  const feeding = new WeakMap<Replica, ReplicateCall>();
  return {
    Replicate(call: ReplicateCall) {
      let replica: Replica | undefined;
      let server = -1;
      let refused = false;
      let messages = 0;
      let answered = 0;
      let scheduled = false;
      const answer = () => {
        scheduled = false;
        if (refused || answered === messages) return;
        answered = messages;
        call.write({ applied: { messages } });
      };
      const apply = (message: ReplicaMessage__Output) => {
        if (!replica) {
          const { hello } = message;
          if (!hello)
            throw refuse(
              'MALFORMED',
              'expected hello as the first message of the stream, got something else',
            );
          replica = holder.replicaOf(hello);
          server = hello.server;
          feeding.get(replica)?.end();
          feeding.set(replica, call);
          replica.begin();
          return;
        }
        if (feeding.get(replica) !== call || !holder.isCurrent(replica, server))
          throw refuse(
            'STALE_VIEW',
            `server ${server} is not the primary of this shard any more, or has opened another stream`,
          );
        const { update, part, array } = message as unknown as {
          [kind in 'update' | 'part' | 'array']?: Bulk;
        };
        const bulk = update ?? part ?? array;
        if (update) replica.update(update);
        else if (part) replica.part(part);
        else if (array) replica.array(array);
        else if (message.outcome) replica.verdict(message.outcome);
        else if (message.compare)
          call.write({ compared: replica.sumsOf(message.compare.block) as ReplicaCompared });
        else if (message.kept) replica.kept(message.kept.block, message.kept.step);
        else if (message.withdrawn) replica.withdrawn(message.withdrawn.step);
        else if (message.copied) replica.copied(message.copied.step, message.copied.outcome ?? undefined);
        else
          throw refuse(
            'MALFORMED',
            'expected an update, a part of one, an array, a verdict, a block to compare or the end of a copy, got an empty message',
          );
        if (bulk) metrics.replicated('received', array ? 'blocks' : 'updates', bulk.payload.byteLength);
        if (bulk && !array) recycle(bulk.payload);
        messages++;
        if (scheduled) return;
        scheduled = true;
        setImmediate(answer);
      };
      call.on('data', (message: ReplicaMessage__Output) => {
        if (refused) return;
        guarded(
          call as unknown as Endable,
          metrics,
          (error) => {
            refused = true;
            log(`replication from ${call.getPeer()} refused: ${error.sentence}`);
          },
          () => apply(message),
        );
      });
      call.on('end', () => call.end());
      call.on('error', (error) => log(`replication stream of ${call.getPeer()} broke: ${sentence(error)}`));
    },
  } as unknown as ReplicationHandlers;
}
