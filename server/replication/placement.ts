// Which servers hold a shard, as the keeper decides it: who takes over when one is gone, and where lost copies are made
// again. Pure functions of what was, so that a change moves as little as it can.
import type { ShardCopies } from '../../shared/view.js';

/** One copy of each shard, on its own server. */
export function alone(servers: readonly { readonly id: number }[]): ShardCopies[] {
  return servers.map(({ id }) => ({ primary: id, backups: [], joining: [] }));
}

/** The servers that hold a shard, or are about to. */
export const holdersOf = ({ primary, backups, joining }: ShardCopies): number[] => [
  primary,
  ...backups,
  ...joining,
];

/**
 * A server is gone: its backups take its shards over.
 * @returns also the shards of which there was no other copy, by index
 */
export function without(
  shards: readonly ShardCopies[],
  server: number,
): { shards: ShardCopies[]; lost: number[] } {
  const lost: number[] = [];
  const others = (ids: readonly number[]) => ids.filter((id) => id !== server);
  const left = shards.map((copies, index): ShardCopies => {
    const backups = others(copies.backups);
    const joining = others(copies.joining);
    if (copies.primary !== server) return { primary: copies.primary, backups, joining };
    const [primary, ...rest] = backups;
    if (primary === undefined) lost.push(index);
    return { primary: primary ?? server, backups: rest, joining };
  });
  return { shards: left, lost };
}

/** A copy of a shard, on a server. */
export interface Copy {
  readonly shard: number;
  readonly server: number;
}

/**
 * Lets servers join the copies of each shard until there are as many as wanted: each time the one that holds fewest, of
 * these the next after the primary, so that the shards of one server do not all go to the same other.
 * @param fits whether a server has room for a shard
 * @param leaving servers that are about to go: what they hold does not count, and they get no more
 * @param lost a copy that could not be reached: another server is tried before it is made there again
 */
export function filled(
  shards: readonly ShardCopies[],
  servers: readonly number[],
  wanted: number,
  fits: (server: number, shard: number) => boolean = () => true,
  leaving: ReadonlySet<number> = new Set(),
  lost?: Copy,
): ShardCopies[] {
  const load = new Map(servers.map((server) => [server, 0]));
  for (const copies of shards)
    for (const server of holdersOf(copies)) load.set(server, (load.get(server) ?? 0) + 1);
  return shards.map((copies, shard) => {
    const joining = [...copies.joining];
    const wasLost = (server: number) => Number(lost?.shard === shard && lost.server === server);
    const after = (server: number) =>
      (servers.indexOf(server) - servers.indexOf(copies.primary) + servers.length) % servers.length;
    for (;;) {
      const holders = holdersOf({ ...copies, joining });
      if (holders.filter((server) => !leaving.has(server)).length >= wanted) break;
      const [best] = servers
        .filter((server) => !holders.includes(server) && !leaving.has(server) && fits(server, shard))
        .sort(
          (a, b) =>
            wasLost(a) - wasLost(b) ||
            (load.get(a) as number) - (load.get(b) as number) ||
            after(a) - after(b),
        );
      if (best === undefined) break;
      joining.push(best);
      load.set(best, (load.get(best) as number) + 1);
    }
    return { ...copies, joining };
  });
}

/** A server that joined a shard's copies has become one; undefined where it does not join any more. */
export function replicated(
  shards: readonly ShardCopies[],
  shard: number,
  server: number,
): ShardCopies[] | undefined {
  const copies = shards[shard];
  if (!copies?.joining.includes(server)) return undefined;
  return shards.map((each, at) =>
    at === shard
      ? {
          primary: each.primary,
          backups: [...each.backups, server],
          joining: each.joining.filter((id) => id !== server),
        }
      : each,
  );
}

/** A copy of one shard is given up, though its server may live; undefined where it is none. */
export function dropped(
  shards: readonly ShardCopies[],
  shard: number,
  server: number,
): ShardCopies[] | undefined {
  const copies = shards[shard];
  if (![...(copies?.backups ?? []), ...(copies?.joining ?? [])].includes(server)) return undefined;
  return shards.map((each, at) =>
    at === shard
      ? {
          primary: each.primary,
          backups: each.backups.filter((id) => id !== server),
          joining: each.joining.filter((id) => id !== server),
        }
      : each,
  );
}
