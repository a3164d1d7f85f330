// Rows of tables over all servers at once: each id goes to the server that owns its partition, in messages of bounded
// size. Ids come here each once and ascending (rows/unique.ts); a client holds the rows that it asked for, never a
// table.

import { schemaHash } from '../blocks/manifest.js';
import { RunError } from '../errors.js';
import { ROW_PARTITIONS, ROWS_MESSAGE_MAX_BYTES } from '../limits.js';
import { rowPlacementFault } from '../rows/partitions.js';
import type { RowTableSpec } from '../rows/tables.js';
import { checksumOf } from '../rpc/checksum.js';
import type { RowValues__Output } from '../rpc/generated/gradloom/v1/RowValues.js';
import type { View__Output } from '../rpc/generated/gradloom/v1/View.js';
import { PROTOCOL_VERSION } from '../rpc/proto.js';
import { recycle } from '../rpc/receive.js';
import type { RunSpec } from '../run-spec.js';
import type { StepHeaderFields } from './exchange.js';
import { RowsLink } from './rows-link.js';

export interface RowsClientOptions {
  run: string;
  /** Rank in the view; undefined: an observer, who only pulls. */
  rank: number | undefined;
  spec: RunSpec;
  view: View__Output;
  peerDeadlineMs: number;
  onWaiting(waiting: { step: number; workers: string[]; seconds: number; server: string }): void;
}

/** Mean gradients of rows of one table. */
export interface RowGradients {
  /** Index of the table in the spec. */
  readonly table: number;
  /** Strictly ascending. */
  readonly ids: Uint32Array;
  /** A gradient for each id. */
  readonly gradients: Float32Array;
}

export interface PulledRows {
  /** A row for each id, in their order. */
  readonly values: Float32Array;
  /** Steps that the oldest of them had seen. */
  readonly step: number;
  /** Steps that the newest of them is ahead of the oldest; 0: one version. */
  readonly skew: number;
}

export class RowsClient {
  #links: RowsLink[] = [];
  #step = 0;
  /** Ids and values that this client moved. */
  bytesPushed = 0;
  bytesPulled = 0;

  private constructor(readonly options: RowsClientOptions) {}

  /** Connects to every server of the view. Throws Refused or RunError. */
  static async open(options: RowsClientOptions): Promise<RowsClient> {
    const { view, spec, rank, run, peerDeadlineMs } = options;
    const fault = rowPlacementFault(view.rowPlacement, view.servers.length);
    if (fault) throw new RunError(`view ${view.number} of run '${run}': ${fault}`);
    const client = new RowsClient(options);
    const hello = {
      protocolVersion: PROTOCOL_VERSION,
      run,
      view: view.number,
      worker: rank ?? 0,
      schemaHash: schemaHash(spec.tensors),
      observer: rank === undefined,
    };
    const labelOf = (worker: number) => view.workers[worker]?.label ?? `worker ${worker}`;
    const opening = view.servers.map(({ id, address }) =>
      RowsLink.open({
        address,
        id,
        hello,
        peerDeadlineMs,
        lost: (error) => client.close(error),
        waiting: ({ step, workers, seconds }) =>
          options.onWaiting({ step, workers: workers.map(labelOf), seconds, server: address }),
      }),
    );
    const opened = await Promise.allSettled(opening);
    client.#links = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const failed = opened.find((each) => each.status === 'rejected');
    if (failed) {
      client.close();
      throw failed.reason;
    }
    return client;
  }

  /** Steps that this client has pushed. */
  get step(): number {
    return this.#step;
  }

  /**
   * Pushes a step's rows, tables in the spec's order, and resolves when the step is closed on all servers: whether it
   * was skipped. Without rows where the header says that not all is finite. Throws Refused or RunError.
   */
  async push(header: StepHeaderFields, tables: readonly RowGradients[]): Promise<boolean> {
    const step = this.#step;
    const work = header.allFinite ? tables : [];
    const owned = work.map(({ ids }) => this.#split(ids));
    const skipped = await Promise.all(
      this.#links.map(async (link, server) => {
        link.header({ step, ...header });
        let number = 0;
        for (const [index, { table, ids, gradients }] of work.entries()) {
          const mine = owned[index][server];
          const most = rowsOfMessage(this.#table(table));
          for (let at = 0; at < mine.length; at += most)
            await this.#send(
              link,
              { step, table, number: number++ },
              mine.subarray(at, at + most),
              ids,
              gradients,
            );
        }
        return link.end(step, number);
      }),
    );
    this.#step++;
    return skipped.some((each) => each);
  }

  /** Rows of a table by ids that rise strictly, with the updates of all steps pushed here. Throws Refused or RunError. */
  async pull(table: number, ids: Uint32Array): Promise<PulledRows> {
    const { width } = this.#table(table);
    const most = rowsOfMessage(this.#table(table));
    const values = new Float32Array(ids.length * width);
    const steps = new Set<number>();
    const owned = this.#split(ids);
    await Promise.all(
      this.#links.flatMap((link, server) => {
        const mine = owned[server];
        return Array.from({ length: Math.ceil(mine.length / most) }, async (_, message) => {
          const some = mine.subarray(message * most, (message + 1) * most);
          const wanted = Uint32Array.from(some, (index) => ids[index]);
          const rows = await link.request(this.#step, table, Buffer.from(wanted.buffer));
          this.#take(link, rows, table, some, values);
          steps.add(rows.step);
        });
      }),
    );
    const step = steps.size > 0 ? Math.min(...steps) : this.#step;
    return { values, step, skew: steps.size > 0 ? Math.max(...steps) - step : 0 };
  }

  /** Ends all streams; what is under way fails with the error. */
  close(error?: RunError): void {
    for (const link of this.#links) link.close(error);
  }

  #table(table: number): RowTableSpec {
    return (this.options.spec.tables as readonly RowTableSpec[])[table];
  }

  /** For each server the indices of its ids. */
  #split(ids: Uint32Array): Uint32Array[] {
    const { rowPlacement, servers } = this.options.view;
    const counts = new Uint32Array(servers.length);
    for (let i = 0; i < ids.length; i++) counts[rowPlacement[ids[i] % ROW_PARTITIONS]]++;
    const owned = Array.from(counts, (count) => new Uint32Array(count));
    counts.fill(0);
    for (let i = 0; i < ids.length; i++) {
      const server = rowPlacement[ids[i] % ROW_PARTITIONS];
      owned[server][counts[server]++] = i;
    }
    return owned;
  }

  #send(
    link: RowsLink,
    fields: { step: number; table: number; number: number },
    mine: Uint32Array,
    ids: Uint32Array,
    gradients: Float32Array,
  ): Promise<void> {
    const { width } = this.#table(fields.table);
    const some = new Uint32Array(mine.length);
    const rows = new Float32Array(mine.length * width);
    for (let i = 0; i < mine.length; i++) {
      some[i] = ids[mine[i]];
      const from = mine[i] * width;
      for (let k = 0; k < width; k++) rows[i * width + k] = gradients[from + k];
    }
    const idBytes = Buffer.from(some.buffer);
    const payload = Buffer.from(rows.buffer);
    const bytes = idBytes.length + payload.length;
    this.bytesPushed += bytes;
    return link.rows({ ...fields, ids: idBytes, payload, checksum: checksumOf(idBytes, payload) }, bytes);
  }

  /** Checks what a server sent, and puts each row in its place. */
  #take(
    link: RowsLink,
    { step, table, checksum: sent, payload }: RowValues__Output,
    asked: number,
    mine: Uint32Array,
    values: Float32Array,
  ): void {
    const { name, width } = this.#table(asked);
    const bytes = 4 * mine.length * width;
    const fault =
      table !== asked || payload.length !== bytes
        ? `expected ${bytes} bytes of table ${asked}, got ${payload.length} of table ${table}`
        : step < this.#step
          ? `expected rows after ${this.#step} steps, got them after ${step}`
          : checksumOf(payload) !== sent
            ? 'the rows are not those whose checksum was sent'
            : undefined;
    if (fault)
      throw new RunError(`${link.name}: table '${name}': ${fault}; run the same gradloom on every node`);
    const rows = new Float32Array(mine.length * width);
    new Uint8Array(rows.buffer).set(payload);
    recycle(payload);
    this.bytesPulled += bytes;
    for (let i = 0; i < mine.length; i++) {
      const to = mine[i] * width;
      for (let k = 0; k < width; k++) values[to + k] = rows[i * width + k];
    }
  }
}

/** Rows with their ids that fit into one message, whichever way they go. */
function rowsOfMessage({ width }: RowTableSpec): number {
  return Math.floor(ROWS_MESSAGE_MAX_BYTES / (4 + 4 * width));
}
