// What is seen of the copies of shards while a cluster runs: who feeds whom, whether copies are equal when nothing is on
// its way between them, and what was acknowledged. Looks at memory alone, and knows nothing of how copies are kept.
import type { HostedRun } from '../../../server/hosted-run.js';
import type { Replica } from '../../../server/replication/replica.js';
import type { ReplicaHolder } from '../../../server/replication/replication-service.js';
import type { Shard } from '../../../server/shard.js';
import type { View__Output } from '../../../shared/rpc/generated/gradloom/v1/View.js';
import type { ShardCopies } from '../../../shared/view.js';

/** What the keeper says of a run, as far as copies go. */
export interface Placed {
  readonly servers: readonly { readonly id: number; readonly address: string }[];
  readonly shards: readonly ShardCopies[];
}

interface Fed {
  readonly replica: Replica;
  /** ServerInfo.id of the server whose stream came last. */
  from: number;
  /** Whether all that it had has come over that stream. */
  isCopied: boolean;
}

export class CopiesWatch {
  /** What was wrong. */
  readonly faults = new Set<string>();
  /** Streams to a copy that were opened anew by the same primary. */
  healed = 0;
  /** Comparisons of a copy with its primary. */
  compared = 0;
  /** The view that each server was told last. */
  readonly #known = new Map<string, View__Output>();
  /** By server and shard. */
  readonly #fed = new Map<string, Fed>();
  /** Updates of each block of which some worker knows. */
  readonly #acknowledged = new Map<number, number>();

  /** A server is told a view. */
  told(server: string, view: View__Output): void {
    this.#known.set(server, view);
  }

  /** A worker has been told that a block holds its part of a step, or was given the block as it is after that. */
  acknowledged(block: number, step: number): void {
    this.#acknowledged.set(block, Math.max(this.#acknowledged.get(block) ?? 0, step + 1));
  }

  /** What a server holds for others, seen through this. */
  holder(server: string, holder: ReplicaHolder): ReplicaHolder {
    return {
      replicaOf: (hello) => {
        const replica = holder.replicaOf(hello);
        const key = `${server}/${hello.shard}`;
        const before = this.#fed.get(key);
        if (before?.replica === replica) {
          if (before.from === hello.server) this.healed++;
          before.from = hello.server;
        } else {
          const fed: Fed = { replica, from: hello.server, isCopied: false };
          this.#fed.set(key, fed);
          this.#watchFence(server, hello.shard, fed);
        }
        return replica;
      },
      isCurrent: (replica, from) => holder.isCurrent(replica, from),
    };
  }

  /** Whether a copy is whole, as far as was seen, and comes from this server. */
  isWhole(server: string, shard: number, from: number): boolean {
    const fed = this.#fed.get(`${server}/${shard}`);
    return fed?.from === from && fed.isCopied;
  }

  /** Compares the copies of a shard with its primary, where nothing is on its way between them. */
  look(
    shard: number,
    run: HostedRun,
    { servers, shards }: Placed,
    isLive: (server: string) => boolean,
  ): void {
    if (!run.shard.initialized) return;
    const { primary, backups } = shards[shard];
    for (const block of run.shard.blockIndices) {
      const { version } = run.shard.stateOf(block);
      const acknowledged = this.#acknowledged.get(block) ?? 0;
      if (version < acknowledged && run.shard.isExchanged(block))
        this.faults.add(
          `block ${block} has ${version} updates on server ${primary}, ${acknowledged} were acknowledged`,
        );
    }
    if (run.replicating().servers.length > 0) return;
    for (const backup of backups) {
      const name = servers.find(({ id }) => id === backup)?.address ?? '';
      const fed = this.#fed.get(`${name}/${shard}`);
      if (!fed?.isCopied || fed.from !== primary || !isLive(name)) continue;
      this.compared++;
      for (const fault of differences(run.shard, fed.replica.shard))
        this.faults.add(`copy of shard ${shard} on ${name} and its primary ${primary} differ: ${fault}`);
    }
  }

  /** What a copy takes must come from the server that was its primary in the last view that was told there. */
  #watchFence(server: string, shard: number, fed: Fed): void {
    const watched = fed.replica as unknown as Record<string, (...args: unknown[]) => void>;
    for (const name of ['begin', 'array', 'update', 'verdict', 'withdrawn', 'copied']) {
      const real = (fed.replica as unknown as Record<string, (...args: unknown[]) => void>)[name];
      watched[name] = (...args) => {
        const primary = this.#known.get(server)?.shards[shard]?.primary;
        if (primary !== fed.from)
          this.faults.add(
            `${server} took what server ${fed.from} says of shard ${shard}, whose primary is server ${primary}`,
          );
        real.apply(fed.replica, args);
        if (name === 'begin' || name === 'copied') fed.isCopied = name === 'copied';
      };
    }
  }
}

/** Where two copies of a shard differ, in words. */
function differences(one: Shard, other: Shard): string[] {
  return [...one.blockIndices].flatMap((block) => {
    const [a, b] = [one.stateOf(block), other.stateOf(block)];
    if (a.version !== b.version) return [`block ${block} has ${a.version} updates here, ${b.version} there`];
    return [...a.arrays].flatMap(([name, array]) => {
      // A difference that is due is still to be added to what the workers hold.
      if (name === 'held' && one.isDifferenceDue(block)) return [];
      const bytes = (view: Float32Array) => Buffer.from(new Uint8Array(view.slice().buffer));
      return bytes(array).equals(bytes(b.arrays.get(name) as Float32Array))
        ? []
        : [`${name} of block ${block} after ${a.version} updates`];
    });
  });
}
