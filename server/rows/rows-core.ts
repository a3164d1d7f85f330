// The pure core of a server's rows under bsp: headers, contributions and ends of a step in, effects out. Gradients of
// a row are summed in rank order, so what comes before its turn is held (credit bounds it; rank 0 is always in turn),
// and rows are updated when all workers have ended the step and the verdict on the headers is not to skip it: no row
// of a step changes before all of them may.

import { PUSH_CREDIT_BYTES, ROWS_MESSAGE_MAX_BYTES, ROWS_STEP_MAX_BYTES } from '../../shared/limits.js';
import {
  decodeRows,
  encodeRows,
  type RowCodecName,
  rowMagnitudeLimit,
  rowsPayloadBytes,
} from '../../shared/rows/row-codec.js';
import { type RowTableSpec, rowsOfMessage } from '../../shared/rows/tables.js';
import { checksumOf } from '../../shared/rpc/checksum.js';
import { refuse } from '../../shared/rpc/refusal.js';
import { type Header, StepHeaders, type Verdict } from '../step-headers.js';
import { RowSums, sumBytes } from './row-sums.js';
import { RowTable } from './row-table.js';

export interface RowsContribution {
  readonly step: number;
  readonly table: number;
  readonly number: number;
  readonly checksum: number;
  readonly ids: Uint8Array;
  readonly payload: Uint8Array;
}

export type RowsEffect =
  /** The worker may send this many bytes of ids and payload more. */
  | { kind: 'release'; worker: number; bytes: number }
  /** The contribution was here before; nothing changed. */
  | { kind: 'duplicate' }
  /** The rows of a step are applied, or it was skipped. */
  | { kind: 'closed'; step: number; skipped: boolean };

/** What one worker has sent of the open step. */
interface Sender {
  /** Contributions taken. */
  taken: number;
  lastTable: number;
  lastId: number;
  /** Bytes of sums that its rows take. */
  sumsBytes: number;
  ended: boolean;
  held: RowsContribution[];
  heldBytes: number;
}

const nothing = (): Sender => ({
  taken: 0,
  lastTable: 0,
  lastId: -1,
  sumsBytes: 0,
  ended: false,
  held: [],
  heldBytes: 0,
});

const sizeOf = ({ ids, payload }: RowsContribution) => ids.byteLength + payload.byteLength;

export interface RowsCoreOptions {
  readonly tables: readonly RowTableSpec[];
  readonly workers: number;
  readonly seed: number;
  /** Of this server, ascending. */
  readonly partitions: readonly number[];
  /** Largest magnitude of an element of a gradient; without it any. */
  readonly gradientLimit?: number;
}

/** Rows that some step has updated, of a part of a table. */
export interface ScannedRows {
  readonly next: number;
  readonly updated: number;
  readonly checksum: number;
  readonly ids: Buffer;
  readonly payload: Buffer;
}

export class RowsCore {
  readonly tables: readonly RowTable[];
  readonly #workers: number;
  readonly #gradientLimit: number;
  readonly #headers: StepHeaders;
  readonly #finite: boolean[] = [];
  #sums: readonly RowSums[];
  readonly #senders: Sender[];
  /** The rank whose contributions are summed as they come. */
  #turn = 0;
  #outcome: Verdict | undefined;
  // Ids and values of the message that is read: aligned, which a received message need not be.
  readonly #ids = new Uint32Array(ROWS_MESSAGE_MAX_BYTES / 4);
  readonly #values = new Float32Array(ROWS_MESSAGE_MAX_BYTES / 4);

  constructor({ tables, workers, seed, partitions, gradientLimit }: RowsCoreOptions) {
    this.#gradientLimit = gradientLimit ?? Number.POSITIVE_INFINITY;
    this.tables = tables.map((table) => new RowTable(table, seed, partitions));
    this.#workers = workers;
    this.#headers = new StepHeaders(workers);
    this.#sums = tables.map(({ width }) => new RowSums(width));
    this.#senders = Array.from({ length: workers }, nothing);
  }

  /** Steps closed. */
  get step(): number {
    return this.#headers.step;
  }

  /** Ranks that have not ended the open step. */
  waitingFor(): number[] {
    return this.#senders.flatMap(({ ended }, rank) => (ended ? [] : [rank]));
  }

  /** What a worker says of its step before its rows. Repeated ones change nothing. Throws Refused. */
  header(worker: number, step: number, header: Header): RowsEffect[] {
    if (!this.#headers.add(worker, step, header)) return [];
    this.#finite[worker] = header.allFinite;
    this.#outcome = this.#headers.verdict();
    return [];
  }

  /** Gradients of some rows. Throws Refused; then nothing has changed. */
  contribution(worker: number, message: RowsContribution): RowsEffect[] {
    const { step, number } = message;
    const sender = this.#openSender(worker, step, 'rows');
    const release: RowsEffect = { kind: 'release', worker, bytes: sizeOf(message) };
    if (!sender || number < sender.taken) return [{ kind: 'duplicate' }, release];
    if (sender.ended || number > sender.taken)
      throw refuse(
        'STEP',
        `worker ${worker}: expected ${sender.ended ? `no more rows of step ${step}` : `number ${sender.taken} of the rows of step ${step}`}, got number ${number}`,
      );
    if (!this.#finite[worker])
      throw refuse(
        'NOT_FINITE',
        `worker ${worker}: expected no rows of step ${step}, whose header is not finite`,
      );
    const held = sender.heldBytes + sizeOf(message);
    if (held > PUSH_CREDIT_BYTES)
      throw refuse(
        'CREDIT',
        `worker ${worker}: expected at most ${PUSH_CREDIT_BYTES} bytes of rows in flight, got ${held}; wait for releases`,
      );
    const count = this.#check(worker, sender, message);
    sender.sumsBytes += count * sumBytes(this.tables[message.table].spec.width);
    sender.taken++;
    sender.lastTable = message.table;
    sender.lastId = this.#ids[count - 1];
    if (worker !== this.#turn) {
      sender.held.push(message);
      sender.heldBytes = held;
      return [];
    }
    this.#sum(worker, message.table, count);
    return [release];
  }

  /** A worker has sent all its rows of a step. Repeated ones change nothing. Throws Refused. */
  end(worker: number, step: number, contributions: number): RowsEffect[] {
    const sender = this.#openSender(worker, step, 'the end');
    if (!sender || (sender.ended && contributions === sender.taken)) return [];
    if (contributions !== sender.taken)
      throw refuse(
        'STEP',
        `worker ${worker}: expected the end of step ${step} after ${sender.taken} messages of rows, got it after ${contributions}`,
      );
    sender.ended = true;
    const effects: RowsEffect[] = [];
    while (this.#turn < this.#workers && this.#senders[this.#turn].ended) {
      this.#turn++;
      if (this.#turn < this.#workers) this.#sumHeld(this.#turn, effects);
    }
    if (this.#turn === this.#workers) effects.push(this.#close());
    return effects;
  }

  /** Throws Refused (ROW, PAYLOAD) for rows that cannot be read. */
  checkRequest(table: number, ids: Uint8Array): void {
    this.#stageIds(this.#tableOf(table), ids, -1, 'a request');
  }

  /**
   * Values of rows as they stand, one after the other: in the table's codec, or in fp32.
   * Throws Refused: ROW, PAYLOAD, NOT_FINITE.
   */
  read(table: number, ids: Uint8Array, exact = true): Buffer {
    const of = this.#tableOf(table);
    const { width } = of.spec;
    const codec = exact ? 'fp32' : of.spec.codec;
    const count = this.#stageIds(of, ids, -1, 'a request');
    const values = new Float32Array(count * width);
    for (let i = 0; i < count; i++) of.read(this.#ids[i], values, i * width);
    this.#checkValues(of, values, codec);
    return encodeRows(codec, values, width);
  }

  /** Throws Refused (ROW) for a scan that cannot be. */
  checkScan(table: number, from: number): void {
    const { name, rows } = this.#tableOf(table).spec;
    if (!(Number.isInteger(from) && from >= 0 && from <= rows))
      throw refuse(
        'ROW',
        `table '${name}': expected a scan from one of rows 0 to ${rows}, got one from ${from}`,
      );
  }

  /** Updated rows from `from` on, as many as fit into a message. Throws Refused: ROW, NOT_FINITE. */
  scan(table: number, from: number): ScannedRows {
    this.checkScan(table, from);
    const of = this.#tableOf(table);
    const { width } = of.spec;
    const most = rowsOfMessage(width);
    const { count, next } = of.scan(from, most, this.#ids, this.#values);
    const values = this.#values.slice(0, count * width);
    this.#checkValues(of, values, 'fp32');
    const ids = Buffer.from(this.#ids.slice(0, count).buffer);
    const payload = encodeRows('fp32', values, width);
    return { next, updated: of.updatedRows, checksum: checksumOf(ids, payload), ids, payload };
  }

  /** Throws Refused where a value, of the rows whose ids are staged, cannot travel. */
  #checkValues({ spec: { name, width } }: RowTable, values: Float32Array, codec: RowCodecName): void {
    const limit = rowMagnitudeLimit(codec);
    for (let i = 0; i < values.length; i++)
      if (!(Math.abs(values[i]) < limit))
        throw refuse(
          'NOT_FINITE',
          `table '${name}', row ${this.#ids[Math.floor(i / width)]}: expected finite values that ${codec} can hold after its updates, got ${values[i]}; lower the learning rate`,
        );
  }

  /** What a worker has sent of the open step; undefined for a step that is closed. */
  #openSender(worker: number, step: number, what: string): Sender | undefined {
    const sender = this.#senders[worker];
    if (!sender) throw refuse('UNKNOWN_WORKER', `expected a rank below ${this.#workers}, got ${worker}`);
    if (step < this.step) return undefined;
    if (step > this.step || !this.#headers.has(worker))
      throw refuse(
        'STEP',
        `worker ${worker}: expected ${what} of step ${this.step} after its header, got ${what} of step ${step}${step === this.step ? ' before it' : ''}`,
      );
    return sender;
  }

  #tableOf(table: number): RowTable {
    const found = this.tables[table];
    if (!found)
      throw refuse('ROW', `expected a table below ${this.tables.length}, got ${table}; see the run's spec`);
    return found;
  }

  /** Copies ids to where they are read, and checks them: their number. `after`: an id that all are above. */
  #stageIds(table: RowTable, ids: Uint8Array, after: number, what: string): number {
    const { name, rows, width } = table.spec;
    const count = ids.byteLength / 4;
    const most = rowsOfMessage(width);
    if (!Number.isInteger(count) || count < 1 || count > most)
      throw refuse(
        'PAYLOAD',
        `table '${name}': expected 1 to ${most} ids of 4 bytes in ${what}, got ${ids.byteLength} bytes`,
      );
    new Uint8Array(this.#ids.buffer).set(ids);
    let last = after;
    for (let i = 0; i < count; i++) {
      const id = this.#ids[i];
      if (id <= last)
        throw refuse(
          'ROW',
          `table '${name}': expected ids that rise strictly, got ${id} after ${last}; sum the gradients of a row before they are pushed`,
        );
      if (!table.holds(id))
        throw refuse(
          'ROW',
          id < rows
            ? `table '${name}': expected rows of this server, got row ${id}; read the placement of rows from the view`
            : `table '${name}': expected row ids from 0 to ${rows - 1}, got ${id}`,
        );
      last = id;
    }
    return count;
  }

  /** Checks a contribution, and copies it to where it is read: its number of rows. */
  #check(worker: number, sender: Sender, { table, ids, payload, checksum: sent }: RowsContribution): number {
    const of = this.#tableOf(table);
    const { name, width, codec } = of.spec;
    if (sender.taken > 0 && table < sender.lastTable)
      throw refuse(
        'ROW',
        `worker ${worker}: expected tables in the spec's order, got ${table} after ${sender.lastTable}`,
      );
    const after = sender.taken > 0 && table === sender.lastTable ? sender.lastId : -1;
    const bytes = rowsPayloadBytes(codec, ids.byteLength / 4, width);
    if (payload.byteLength !== bytes)
      throw refuse(
        'PAYLOAD',
        `table '${name}': expected ${bytes} bytes for ${ids.byteLength / 4} rows of ${width} in ${codec}, got ${payload.byteLength}`,
      );
    const count = this.#stageIds(of, ids, after, 'a contribution');
    if (checksumOf(ids, payload) !== sent)
      throw refuse(
        'CHECKSUM',
        `table '${name}': the rows are not those whose checksum was sent; send them again`,
      );
    const fault = decodeRows(codec, payload, width, this.#values.subarray(0, count * width));
    if (fault) throw refuse('PAYLOAD', `table '${name}': ${fault}`);
    const lossScale = this.#headers.lossScale(worker);
    const limit = Math.min(this.#gradientLimit * lossScale, Number.MAX_VALUE);
    for (let i = 0; i < count * width; i++) {
      const value = this.#values[i];
      if (Math.abs(value) <= limit) continue;
      const where = `table '${name}', row ${this.#ids[Math.floor(i / width)]}`;
      throw Number.isFinite(value)
        ? refuse(
            'GRADIENT_LIMIT',
            `${where}: expected magnitudes of at most ${this.#gradientLimit} in the gradient of worker ${worker} (step ${this.step}), got ${Math.abs(value / lossScale).toPrecision(4)}; look at that worker's data, lower the learning rate, or raise --gradient-limit`,
          )
        : refuse(
            'NOT_FINITE',
            `${where}: expected finite numbers, got ${value}; say all_finite = false in the step header`,
          );
    }
    const most = Math.floor(ROWS_STEP_MAX_BYTES / this.#workers);
    if (sender.sumsBytes + count * sumBytes(width) > most)
      throw refuse(
        'CREDIT',
        `worker ${worker}: expected at most ${most} bytes of sums of rows of one step on this server, got more; take smaller batches, or start more servers`,
      );
    return count;
  }

  #sum(worker: number, table: number, count: number): void {
    const { width } = this.tables[table].spec;
    const weight = this.#headers.weight(worker, true);
    for (let i = 0; i < count; i++) this.#sums[table].add(this.#ids[i], this.#values, i * width, weight);
  }

  /** Sums what was held of a worker whose turn has come; it was checked when it came. */
  #sumHeld(worker: number, effects: RowsEffect[]): void {
    const sender = this.#senders[worker];
    for (const message of sender.held) {
      const { codec, width } = this.tables[message.table].spec;
      const count = message.ids.byteLength / 4;
      new Uint8Array(this.#ids.buffer).set(message.ids);
      decodeRows(codec, message.payload, width, this.#values.subarray(0, count * width));
      this.#sum(worker, message.table, count);
    }
    if (sender.heldBytes > 0) effects.push({ kind: 'release', worker, bytes: sender.heldBytes });
    sender.held = [];
    sender.heldBytes = 0;
  }

  #close(): RowsEffect {
    const { step } = this;
    // All workers have ended, and nobody ends without a header: the verdict is there.
    const { skipped, samples } = this.#outcome as Verdict;
    for (const [index, sums] of this.#sums.entries()) {
      if (!skipped)
        for (let i = 0; i < sums.size; i++)
          this.tables[index].update(sums.rows[i], sums.sums, i * sums.width, step, 1 / samples);
      sums.clear();
    }
    // Steps that use one table after another must not leave each with the memory of its largest.
    if (this.#sums.reduce((bytes, sums) => bytes + sums.bytes, 0) > ROWS_STEP_MAX_BYTES)
      this.#sums = this.#sums.map(({ width }) => new RowSums(width));
    this.#headers.next();
    this.#outcome = undefined;
    this.#turn = 0;
    for (let rank = 0; rank < this.#workers; rank++) this.#senders[rank] = nothing();
    return { kind: 'closed', step, skipped };
  }
}
