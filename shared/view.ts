// Who holds a shard, as a view says. Pure.
import { RunError } from './errors.js';

export interface ShardCopies {
  /** ServerInfo.id of the server that takes contributions and gives parameters. */
  primary: number;
  /** Servers that have every update before anything of it leaves the primary. */
  backups: number[];
  /** Servers that are being made copies. */
  joining: number[];
}

interface Placed {
  readonly servers: readonly { readonly id: number; readonly address: string }[];
  readonly shards?: readonly ShardCopies[];
}

/** The copies of each shard; a view that does not say has shard i on its server i, alone. */
export function shardsOf({ servers, shards }: Placed): readonly ShardCopies[] {
  if (shards && shards.length > 0) return shards;
  return servers.map(({ id }) => ({ primary: id, backups: [], joining: [] }));
}

/** The server that is a shard's primary. */
export function primaryOf<T extends Placed>(view: T, shard: number): T['servers'][number] {
  const { primary } = shardsOf(view)[shard] ?? { primary: -1 };
  const server = view.servers.find(({ id }) => id === primary);
  if (!server)
    throw new RunError(`the view names no primary of shard ${shard}; run the same gradloom on every node`);
  return server;
}
