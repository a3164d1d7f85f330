// Servers that are emptied while runs go on: a server is asked to, its shards get copies elsewhere, others take them
// over, and then it is told that it holds nothing. Which ones these are is known to drains.ts.
import { refuse } from '../../shared/rpc/refusal.js';
import { replicationFault } from '../../shared/run/faults.js';
import { toWire } from '../../shared/run/wire.js';
import { without } from '../replication/placement.js';
import type { Members } from './members.js';
import { placed } from './placing.js';
import type { Order } from './run.js';

/**
 * A server is to hold nothing any more: others get copies of its shards, and take them over. Throws Refused.
 * @param keeper id of the server that the mesh ends with, if it does with one
 * @param call of whoever waits for it; undefined: the server itself
 */
export function drain(members: Members, server: number, keeper: number | undefined, call?: number): Order[] {
  const entry = members.serverWithId(server);
  const others = members.takers.filter(({ id }) => id !== server);
  if (entry && server === keeper)
    throw refuse(
      'NOT_NOW',
      `server ${server} keeps the mesh, which ends with it; drain another, or stop the mesh`,
    );
  if (!entry)
    throw refuse(
      'NOT_NOW',
      `expected the number of a server of the mesh, got ${server}; there are ${[...members.servers.values()].map(({ id }) => id).join(', ')}`,
    );
  if (others.length === 0)
    throw refuse(
      'NOT_NOW',
      `expected another server that takes over from server ${server}, got none; start one`,
    );
  const held = [...members.runs.values()].filter(({ servers }) => servers.includes(entry));
  for (const run of held) {
    const rigid = replicationFault(
      run.spec,
      run.servers.some(({ peer }) => peer),
    );
    if (run.state !== 'running' || rigid)
      throw refuse(
        'NOT_NOW',
        `run '${run.id}' cannot go on without server ${server}: ${rigid ?? 'it has not begun; try again then'}`,
      );
  }
  members.drains.begin(server, call);
  return [...held.flatMap((run) => placed(members, run, run.view?.shards ?? [])), ...emptied(members)];
}

/** Servers that leave let go of what others hold by now; who holds nothing is told, as are those who wait for it. */
export function emptied(members: Members): Order[] {
  return [...members.servers.values()].flatMap((entry): Order[] => {
    const { id, connection } = entry;
    if (!members.drains.has(id)) return [];
    const orders: Order[] = [];
    for (const run of members.runs.values()) {
      // A change of view on its way waits for the answers of those who held shards when it began.
      if (!run.view || run.change || !run.servers.includes(entry)) continue;
      if (!members.drains.mayLeave(id, run.view.shards)) continue;
      const { shards } = without(run.view.shards, id);
      run.servers = run.servers.filter((server) => server !== entry);
      run.view = { ...run.view, servers: run.view.servers?.filter((server) => server.id !== id) };
      const moved = placed(members, run, shards);
      // It hears of it as the others do, and lets go.
      const place = { run: run.id, spec: toWire(run.spec), view: run.view };
      orders.push(...moved, { to: 'server', connection, order: { place } });
    }
    if ([...members.runs.values()].some(({ servers }) => servers.includes(entry))) return orders;
    for (const call of members.drains.end(id)) orders.push({ to: 'caller', connection: call, order: {} });
    return [...orders, { to: 'server', connection, order: { drained: {} } }];
  });
}
