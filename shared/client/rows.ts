// Rows of tables over all servers at once: each id goes to the server that owns its partition, in messages of bounded
// size. Ids come here each once and ascending (rows/unique.ts); a client holds the rows that it asked for, never a
// table.

import { schemaHash } from '../blocks/manifest.js';
import { RunError } from '../errors.js';
import { ROW_PARTITIONS } from '../limits.js';
import { rowPlacementFault } from '../rows/partitions.js';
import { decodeRows, encodeRows, type RowCodecName, rowsPayloadBytes } from '../rows/row-codec.js';
import { type RowTableSpec, rowsOfMessage } from '../rows/tables.js';
import { checksumOf } from '../rpc/checksum.js';
import type { RowValues__Output } from '../rpc/generated/gradloom/v1/RowValues.js';
import type { View__Output } from '../rpc/generated/gradloom/v1/View.js';
import { PROTOCOL_VERSION } from '../rpc/proto.js';
import { recycle } from '../rpc/receive.js';
import type { RunSpec } from '../run/spec.js';
import type { StepHeaderFields, WaitTold } from './exchange-options.js';
import { RowsLink } from './rows-link.js';

export interface RowsClientOptions {
  run: string;
  /** Rank in the view; undefined: an observer, who only pulls. */
  rank: number | undefined;
  spec: RunSpec;
  view: View__Output;
  peerDeadlineMs: number;
  onWaiting(waiting: WaitTold): void;
  onMoved?(moved: MovedRows): void;
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

export interface PullRowsOptions {
  /** Exactly, whatever the table's codec. */
  exact?: boolean;
  /** When so many steps are closed; default: all that were pushed here. */
  step?: number;
}

/** Updated rows of a table, some of them: ids that rise strictly, over all calls for a table. */
export type ScanSink = (ids: Uint32Array, values: Float32Array) => Promise<void>;

export interface PulledRows {
  /** A row for each id, in their order. */
  readonly values: Float32Array;
  /** Steps that the oldest of them had seen. */
  readonly step: number;
  /** Steps that the newest of them is ahead of the oldest; 0: one version. */
  readonly skew: number;
}

/** Rows of a table that travelled, scans left out: gradients that were sent, values that were received. */
export interface MovedRows {
  readonly direction: 'sent' | 'received';
  readonly table: RowTableSpec;
  readonly rows: number;
  readonly codec: RowCodecName;
  readonly payloadBytes: number;
  /** An exact read. */
  readonly exact: boolean;
}

export class RowsClient {
  #links: RowsLink[] = [];
  #step = 0;
  /** Ids and values that this client moved, those of scans left out. */
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
    const opening = view.servers.map(({ id, address }, shard) =>
      RowsLink.open({
        address,
        id,
        hello: { ...hello, shard },
        peerDeadlineMs,
        lost: (error) => client.close(error),
        waiting: ({ step, workers, seconds, usualSeconds }) =>
          options.onWaiting({
            ...{ step, workers: workers.map(labelOf), seconds, server: address },
            ...(usualSeconds > 0 && { usualSeconds }),
          }),
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
          const most = rowsOfMessage(this.#table(table).width);
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
  async pull(
    table: number,
    ids: Uint32Array,
    { exact = false, step: wanted = this.#step }: PullRowsOptions = {},
  ): Promise<PulledRows> {
    const { width } = this.#table(table);
    const most = rowsOfMessage(this.#table(table).width);
    const values = new Float32Array(ids.length * width);
    const steps = new Set<number>();
    const owned = this.#split(ids);
    await Promise.all(
      this.#links.flatMap((link, server) => {
        const mine = owned[server];
        return Array.from({ length: Math.ceil(mine.length / most) }, async (_, message) => {
          const some = mine.subarray(message * most, (message + 1) * most);
          const asked = Buffer.from(Uint32Array.from(some, (index) => ids[index]).buffer);
          const rows = await link.request({ step: wanted, table, ids: asked, exact });
          this.#take(link, rows, { table, exact, step: wanted }, some, values);
          steps.add(rows.step);
        });
      }),
    );
    const step = steps.size > 0 ? Math.min(...steps) : wanted;
    return { values, step, skew: steps.size > 0 ? Math.max(...steps) - step : 0 };
  }

  /**
   * All rows of a table that some step has updated, in ascending order of their ids, a few at a time: from each server
   * one message is held. Nobody may push meanwhile.
   * @param begin told first how many there are
   * @throws Refused or RunError
   */
  async scan(table: number, begin: (updated: number) => void, sink: ScanSink): Promise<void> {
    const { rows, width } = this.#table(table);
    const parts = await Promise.all(
      this.#links.map(async (link) => ({ link, at: 0, ...(await this.#scanFrom(link, table, 0)) })),
    );
    begin(parts.reduce((sum, { updated }) => sum + updated, 0));
    for (;;) {
      // Below this id every server has told its rows.
      const bound = Math.min(...parts.map(({ next }) => next));
      const count = parts.reduce((sum, { ids, at }) => sum + countBelow(ids, at, bound), 0);
      const ids = new Uint32Array(count);
      const values = new Float32Array(count * width);
      for (let i = 0; i < count; i++) {
        let first = parts[0];
        for (const part of parts)
          if (
            part.at < part.ids.length &&
            (first.at >= first.ids.length || part.ids[part.at] < first.ids[first.at])
          )
            first = part;
        ids[i] = first.ids[first.at];
        const from = first.at++ * width;
        for (let k = 0; k < width; k++) values[i * width + k] = first.values[from + k];
      }
      if (count > 0) await sink(ids, values);
      if (bound >= rows) return;
      // What is left of the others lies above the bound.
      await Promise.all(
        parts.map(async (part) => {
          if (part.next === bound)
            Object.assign(part, { at: 0 }, await this.#scanFrom(part.link, table, bound));
        }),
      );
    }
  }

  async #scanFrom(link: RowsLink, table: number, from: number) {
    const scanned = await link.scan({ step: this.#step, table, from });
    const { name, rows, width } = this.#table(table);
    const { ids: idBytes, payload, next, updated } = scanned;
    const bytes = idBytes.length * width;
    const fault =
      scanned.table !== table || payload.length !== bytes
        ? `expected ${bytes} bytes of table ${table} beside ${idBytes.length} bytes of ids, got ${payload.length} of table ${scanned.table}`
        : next > rows || next <= from
          ? `expected a scan from row ${from} to go on above it, up to ${rows}, got ${next}`
          : checksumOf(idBytes, payload) !== scanned.checksum
            ? 'the rows are not those whose checksum was sent'
            : undefined;
    if (fault)
      throw new RunError(`${link.name}: table '${name}': ${fault}; run the same gradloom on every node`);
    const ids = new Uint32Array(idBytes.length / 4);
    new Uint8Array(ids.buffer).set(idBytes);
    const values = new Float32Array(ids.length * width);
    decodeRows('fp32', payload, width, values);
    recycle(payload);
    return { ids, values, next, updated };
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
    const table = this.#table(fields.table);
    const { width, codec } = table;
    const some = new Uint32Array(mine.length);
    const rows = new Float32Array(mine.length * width);
    for (let i = 0; i < mine.length; i++) {
      some[i] = ids[mine[i]];
      const from = mine[i] * width;
      for (let k = 0; k < width; k++) rows[i * width + k] = gradients[from + k];
    }
    const idBytes = Buffer.from(some.buffer);
    const payload = encodeRows(codec, rows, width);
    const bytes = idBytes.length + payload.length;
    this.bytesPushed += bytes;
    this.#moved('sent', table, codec, mine.length, payload);
    return link.rows({ ...fields, ids: idBytes, payload, checksum: checksumOf(idBytes, payload) }, bytes);
  }

  #moved(
    direction: 'sent' | 'received',
    table: RowTableSpec,
    codec: RowCodecName,
    rows: number,
    { byteLength: payloadBytes }: Uint8Array,
    exact = false,
  ): void {
    this.options.onMoved?.({ direction, table, codec, rows, payloadBytes, exact });
  }

  /** Checks what a server sent, and puts each row in its place. */
  #take(
    link: RowsLink,
    { step, table, checksum: sent, payload }: RowValues__Output,
    asked: { table: number; exact: boolean; step: number },
    mine: Uint32Array,
    values: Float32Array,
  ): void {
    const { name, width, codec: own } = this.#table(asked.table);
    const codec = asked.exact ? 'fp32' : own;
    const bytes = rowsPayloadBytes(codec, mine.length, width);
    const rows = new Float32Array(mine.length * width);
    const fault =
      table !== asked.table || payload.length !== bytes
        ? `expected ${bytes} bytes of table ${asked.table} in ${codec}, got ${payload.length} of table ${table}`
        : step < asked.step
          ? `expected rows after ${asked.step} steps, got them after ${step}`
          : checksumOf(payload) !== sent
            ? 'the rows are not those whose checksum was sent'
            : decodeRows(codec, payload, width, rows);
    if (fault)
      throw new RunError(`${link.name}: table '${name}': ${fault}; run the same gradloom on every node`);
    this.#moved('received', this.#table(asked.table), codec, mine.length, payload, asked.exact);
    recycle(payload);
    this.bytesPulled += bytes;
    for (let i = 0; i < mine.length; i++) {
      const to = mine[i] * width;
      for (let k = 0; k < width; k++) values[to + k] = rows[i * width + k];
    }
  }
}

/** How many ids from position `at` on are below a bound; they ascend. */
function countBelow(ids: Uint32Array, at: number, bound: number): number {
  let end = at;
  while (end < ids.length && ids[end] < bound) end++;
  return end - at;
}
