// Whether the tables of a run fit onto the servers that are there, and how many it would take, counted as if every row
// had been updated: a run that begins cannot run out of memory for rows later. Pure.
import { ROWS_STEP_MAX_BYTES, SERVERS_MAX } from '../../shared/limits.js';
import type { RowTableSpec } from '../../shared/rows/tables.js';
import { type Refused, refuse } from '../../shared/rpc/refusal.js';
import { tableBytes } from './row-table.js';

const MiB = 1024 * 1024;

/** What is kept of the last step's sums, twice the sums of a step as they double, and a copy while they do. */
const SUMS_BYTES = 4 * ROWS_STEP_MAX_BYTES;

/** Bytes that one of so many servers needs for tables: rows, and the sums of a step. */
export function rowsBytes(tables: readonly RowTableSpec[], servers: number): number {
  if (tables.length === 0) return 0;
  return tables.reduce((sum, table) => sum + tableBytes(table, servers), SUMS_BYTES);
}

/**
 * Why tables do not fit beside the shards of the run, with the number of servers that they need; undefined if they do.
 * @param availableBytes what each server of the mesh has left, the run's own shard not counted
 * @param shardBytes what of the rest of the model falls to one of so many servers
 */
export function rowsRefusal(
  tables: readonly RowTableSpec[],
  availableBytes: readonly number[],
  shardBytes: (servers: number) => number,
): Refused | undefined {
  if (tables.length === 0) return undefined;
  const available = Math.min(...availableBytes);
  const servers = availableBytes.length;
  const needed = (count: number) => rowsBytes(tables, count) + shardBytes(count);
  if (needed(servers) <= available) return undefined;
  let enough = servers;
  while (enough <= SERVERS_MAX && needed(enough) > available) enough++;
  const total = tables.reduce((sum, table) => sum + tableBytes(table, 1), 0);
  return refuse(
    'MEMORY',
    `the tables ${tables
      .map(({ name }) => `'${name}'`)
      .join(', ')
      .slice(
        0,
        200,
      )} need ${Math.ceil(total / MiB)} MiB on the servers (rows and their optimizers' state), ` +
      `which is ${Math.ceil(needed(servers) / MiB)} MiB on each of ${servers}, with what else it holds; ${Math.floor(available / MiB)} MiB are free; ` +
      (enough <= SERVERS_MAX ? `start ${enough} servers` : 'give each server more --memory'),
  );
}
