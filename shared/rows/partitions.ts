// Where rows live: row r of any table is in partition r mod ROW_PARTITIONS, and the view says which server owns each
// partition. By the remainder, because ids are often in order of popularity, and because then every server can count
// its rows and give each its place without a search. Pure.
import { place } from '../blocks/placement.js';
import { ROW_PARTITIONS } from '../limits.js';

/** Owners of the partitions, as indices into `servers`: computed by whoever changes the view, read by the others. */
export function placeRows(servers: readonly { id: number; weight: number }[]): number[] {
  return place({ sizes: new Array(ROW_PARTITIONS).fill(1), servers });
}

/** What is wrong with a placement of rows that came from elsewhere; undefined if nothing is. */
export function rowPlacementFault(placement: readonly number[], servers: number): string | undefined {
  if (placement.length !== ROW_PARTITIONS)
    return `expected the owners of ${ROW_PARTITIONS} partitions of rows, got ${placement.length}`;
  const stray = placement.find((owner) => owner >= servers);
  return stray === undefined ? undefined : `expected owners below ${servers}, got ${stray}`;
}

/** Most places for rows of a table that one of so many servers needs. */
export function placesPerServerMax(rows: number, servers: number): number {
  return Math.ceil(ROW_PARTITIONS / servers) * Math.ceil(rows / ROW_PARTITIONS);
}
