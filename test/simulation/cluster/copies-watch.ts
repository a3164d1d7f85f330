// What is seen of the copies of shards while a cluster runs: who feeds whom, whether copies are equal when nothing is on
// its way between them, and what was acknowledged. Looks at memory alone, and knows nothing of how copies are kept. It also
// changes bits of copies, and knows which are to be equal again, and when.
import type { HostedRun } from '../../../server/hosted-run.js';
import type { DivergedEvent } from '../../../server/hosted-shards.js';
import type { Replica } from '../../../server/replication/replica.js';
import type { ReplicaHolder } from '../../../server/replication/replication-service.js';
import type { Shard } from '../../../server/shard.js';
import type { View__Output } from '../../../shared/rpc/generated/gradloom/v1/View.js';
import type { ShardCopies } from '../../../shared/view.js';
import { type FlippedBit, flipBit } from '../../helpers/replication.js';

/** Steps after which a copy of which a bit has changed must be equal again: it is compared once in each. */
const MENDED_WITHIN_STEPS = 3;

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
  /** Blocks of copies that were told to be others than their primary's. */
  told = 0;
  /** A copy has taken over before its changed bit was seen to be mended: nobody can know it then. */
  isSpoilt = false;
  /** By server, shard and block: the primary's step from which the copy must be equal again. */
  readonly #flipped = new Map<string, number>();
  /** The same, of those too that are equal again. */
  readonly #everFlipped = new Set<string>();
  /** The view that each server was told last. */
  readonly #known = new Map<string, View__Output>();
  /** By server and shard. */
  readonly #fed = new Map<string, Fed>();
  /** Updates of each block of which some worker knows. */
  readonly #acknowledged = new Map<number, number>();

  /** A server is told a view. */
  toldView(server: string, view: View__Output): void {
    this.#known.set(server, view);
    for (const [shard, { primary }] of view.shards.entries())
      if (view.servers.find(({ id }) => id === primary)?.address === server)
        for (const key of this.#flipped.keys()) this.isSpoilt ||= key.startsWith(`${server}/${shard}/`);
  }

  /** A bit of a whole copy changes. @param block among those of the shard, modulo how many there are */
  flip(server: string, shard: number, primary: HostedRun, flipped: FlippedBit): string {
    const { replica } = this.#fed.get(`${server}/${shard}`) as Fed;
    const blocks = [...replica.shard.blockIndices];
    const block = blocks[flipped.block % blocks.length];
    const key = `${server}/${shard}/${block}`;
    this.#flipped.set(key, primary.shard.step + MENDED_WITHIN_STEPS);
    this.#everFlipped.add(key);
    return `${flipBit(replica.shard, { ...flipped, block })} of block ${block}`;
  }

  /** A primary tells that a block of a copy is not equal to its own. */
  diverged({ shard, block, primary, backup }: DivergedEvent, server: string): void {
    this.told++;
    const name = this.#known.get(server)?.servers.find(({ id }) => id === backup)?.address ?? '';
    if (!this.#everFlipped.has(`${name}/${shard}/${block}`))
      this.faults.add(
        `server ${primary} tells that block ${block} on ${name} differs, of which nothing has changed`,
      );
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
      for (const block of run.shard.blockIndices) {
        const [fault] = differences(run.shard, fed.replica.shard, block);
        const key = `${name}/${shard}/${block}`;
        if (!fault) this.#flipped.delete(key);
        else if (run.shard.step >= (this.#flipped.get(key) ?? 0))
          this.faults.add(`copy of shard ${shard} on ${name} and its primary ${primary} differ: ${fault}`);
      }
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

/** Where a block differs in two copies of a shard, in words. */
function differences(one: Shard, other: Shard, block: number): string[] {
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
}
