// Cores of rows driven by hand: some servers, workers that push what a key says, and a float64 reference.

import { type RowsContribution, RowsCore } from '../../server/rows/rows-core.js';
import type { Header } from '../../server/step-headers.js';
import { ROW_PARTITIONS } from '../../shared/limits.js';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import { placeRows } from '../../shared/rows/partitions.js';
import type { RowOptimizerKind, RowOptimizerSpec, RowTableSpec } from '../../shared/rows/tables.js';
import { checksumOf } from '../../shared/rpc/checksum.js';

export function makeTable(
  kind: RowOptimizerKind = 'adagrad',
  changes: Partial<RowTableSpec> = {},
): RowTableSpec {
  return {
    name: 'users',
    rows: 5_000,
    width: 3,
    initializer: { kind: 'uniform', scale: 0.5 },
    optimizer: optimizerSpec(kind, 0.05) as RowOptimizerSpec,
    codec: 'fp32',
    ...changes,
  };
}

export const rowsHeader = (samples = 4, allFinite = true): Header => ({
  samples,
  allFinite,
  lossScale: 1,
  lossSum: 0,
  correct: 0,
});

export function bytesOf(array: Uint32Array | Float32Array): Buffer {
  return Buffer.from(array.buffer.slice(array.byteOffset, array.byteOffset + array.byteLength));
}

/** A message of rows as it comes out of the deserializer. */
export function rowsMessage(
  step: number,
  number: number,
  ids: ArrayLike<number>,
  values: ArrayLike<number>,
  table = 0,
): RowsContribution {
  const idBytes = bytesOf(Uint32Array.from(ids));
  const payload = bytesOf(Float32Array.from(values));
  return { step, number, table, ids: idBytes, payload, checksum: checksumOf(idBytes, payload) };
}

export interface RowGradients {
  ids: readonly number[];
  values: readonly number[];
}

export class RowServers {
  readonly cores: RowsCore[];
  readonly #placement: number[];

  constructor(
    readonly tables: readonly RowTableSpec[],
    servers: number,
    readonly workers: number,
    seed = 7,
  ) {
    this.#placement = placeRows(Array.from({ length: servers }, (_, id) => ({ id, weight: 1 })));
    this.cores = Array.from(
      { length: servers },
      (_, server) =>
        new RowsCore({
          tables,
          workers,
          seed,
          partitions: this.#placement.flatMap((owner, partition) => (owner === server ? [partition] : [])),
        }),
    );
  }

  /** One step of all workers, who come in the order given; rows go in messages of two. */
  step(step: number, order: readonly number[], of: (worker: number, table: number) => RowGradients): void {
    for (const worker of order)
      for (const [server, core] of this.cores.entries()) {
        core.header(worker, step, rowsHeader(4 + worker));
        let number = 0;
        for (const [table, { width }] of this.tables.entries()) {
          const { ids, values } = of(worker, table);
          const mine = ids.flatMap((id, i) => (this.#placement[id % ROW_PARTITIONS] === server ? [i] : []));
          for (let at = 0; at < mine.length; at += 2) {
            const some = mine.slice(at, at + 2);
            const rows = some.flatMap((i) => values.slice(i * width, (i + 1) * width));
            core.contribution(
              worker,
              rowsMessage(
                step,
                number++,
                some.map((i) => ids[i]),
                rows,
                table,
              ),
            );
          }
        }
        core.end(worker, step, number);
      }
  }

  read(row: number, table = 0): Float32Array {
    const core = this.cores[this.#placement[row % ROW_PARTITIONS]];
    const bytes = core.read(table, bytesOf(Uint32Array.of(row)));
    return new Float32Array(bytes.buffer, bytes.byteOffset, this.tables[table].width);
  }

  /** All rows of a table, as bits. */
  bits(table = 0): string {
    const { rows } = this.tables[table];
    return Buffer.concat(Array.from({ length: rows }, (_, row) => bytesOf(this.read(row, table)))).toString(
      'hex',
    );
  }
}
