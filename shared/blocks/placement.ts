// Which server owns which block: a pure function of the blocks, the previous placement and the servers,
// balanced by bytes in proportion to the servers' weights, with as few moves as the balance allows.
// Whoever changes the view computes it once and writes it into the view; everyone else reads it.

export interface PlacementServer {
  readonly id: number;
  /** Relative share of the bytes; positive. */
  readonly weight: number;
}

export interface PlacementInput {
  /** Size of each block in canonical order, in any one unit. */
  readonly sizes: readonly number[];
  readonly servers: readonly PlacementServer[];
  /** Owner (server id) of each block before, where there was one. */
  readonly previous?: readonly (number | undefined)[];
}

/**
 * The owner of each block, as an index into `servers`.
 * A block stays where it was as long as its server is there and is not over its share; the others go, in
 * canonical order, to the server with the lowest load in proportion to its weight (ties: the earlier one),
 * so that neighbours in canonical order land on different servers and an exchange keeps all of them busy.
 */
export function place({ sizes, servers, previous = [] }: PlacementInput): number[] {
  if (servers.length === 0) throw new RangeError('expected at least one server to place blocks on, got none');
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const weights = servers.reduce((sum, server) => sum + server.weight, 0);
  const largest = sizes.reduce((max, size) => Math.max(max, size), 0);
  const indexOfId = new Map(servers.map((server, index) => [server.id, index]));
  const load = servers.map(() => 0);
  const owners: number[] = new Array(sizes.length).fill(-1);

  // Keep what is there, up to the fair share and one block more.
  for (const [block, size] of sizes.entries()) {
    const id = previous[block];
    const index = id === undefined ? undefined : indexOfId.get(id);
    if (index === undefined) continue;
    const share = (total * servers[index].weight) / weights;
    if (load[index] + size > share + largest) continue;
    owners[block] = index;
    load[index] += size;
  }
  for (const [block, size] of sizes.entries()) {
    if (owners[block] >= 0) continue;
    let best = 0;
    for (let index = 1; index < servers.length; index++)
      if (load[index] / servers[index].weight < load[best] / servers[best].weight) best = index;
    owners[block] = best;
    load[best] += size;
  }
  return owners;
}
