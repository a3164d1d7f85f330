// The rows of one run on one server: its core, and the streams that feed it and read from it. A request is checked
// when it comes and answered when the steps before it are closed; answers go no faster than the stream takes them.

import type * as grpc from '@grpc/grpc-js';
import { CODEC_IDS } from '../../shared/codec/codec.js';
import {
  OBSERVERS_MAX,
  PUSH_CREDIT_BYTES,
  ROWS_REQUESTS_MAX,
  STREAM_UNSENT_MAX,
  UNREAD_MAX,
} from '../../shared/limits.js';
import { checksumOf } from '../../shared/rpc/checksum.js';
import type { RowsPullMessage__Output } from '../../shared/rpc/generated/gradloom/v1/RowsPullMessage.js';
import type { RowsPullReply } from '../../shared/rpc/generated/gradloom/v1/RowsPullReply.js';
import type { RowsPushMessage__Output } from '../../shared/rpc/generated/gradloom/v1/RowsPushMessage.js';
import type { RowsPushReply } from '../../shared/rpc/generated/gradloom/v1/RowsPushReply.js';
import type { RowsRequest__Output } from '../../shared/rpc/generated/gradloom/v1/RowsRequest.js';
import type { RowsScan__Output } from '../../shared/rpc/generated/gradloom/v1/RowsScan.js';
import { recycle } from '../../shared/rpc/receive.js';
import { Refused, refuse } from '../../shared/rpc/refusal.js';
import type { RunSpec } from '../../shared/run/spec.js';
import { Notice, Usual } from '../../shared/usual.js';
import type { ServerMetrics } from '../metrics.js';
import { RowsCore, type RowsEffect } from './rows-core.js';

export type RowsPushCall = grpc.ServerDuplexStream<RowsPushMessage__Output, RowsPushReply>;
export type RowsPullCall = grpc.ServerDuplexStream<RowsPullMessage__Output, RowsPullReply>;

interface Writer {
  readonly call: RowsPushCall;
  /** Replies that the stream has not flushed. */
  unread: number;
}

/** What a reader asks for: rows by id, or those that have been updated. */
export type RowsQuestion = { readonly request: RowsRequest__Output } | { readonly scan: RowsScan__Output };

export interface RowReader {
  readonly call: RowsPullCall;
  readonly isObserver: boolean;
  readonly requests: RowsQuestion[];
  /** Answers handed to the stream that it has not flushed. */
  unsent: number;
}

export class HostedRows {
  readonly core: RowsCore;
  readonly #writers = new Map<number, Writer>();
  readonly #readers = new Set<RowReader>();
  #closedAt: number;
  /** From the end of one step to that of the next. */
  readonly #usual = new Usual();
  readonly #notice = new Notice();

  /** @param partitions those of this server, ascending */
  constructor(
    readonly spec: RunSpec,
    partitions: readonly number[],
    readonly metrics: ServerMetrics,
    /** Monotonic time in milliseconds. */
    readonly now: () => number,
  ) {
    const { tables = [], workers, seed, gradientLimit } = spec;
    this.core = new RowsCore({ tables, workers, seed, partitions, gradientLimit });
    this.#closedAt = now();
  }

  /** A worker's stream of gradients; one that it had before is replaced. */
  attachWriter(rank: number, call: RowsPushCall): void {
    this.#writers.get(rank)?.call.end();
    this.#writers.set(rank, { call, unread: 0 });
    call.write({ ready: { creditBytes: PUSH_CREDIT_BYTES, step: this.core.step } });
  }

  detachWriter(rank: number, call: RowsPushCall): void {
    if (this.#writers.get(rank)?.call === call) this.#writers.delete(rank);
  }

  /** Throws Refused. */
  push(rank: number, { header, rows, end }: RowsPushMessage__Output): void {
    let effects: RowsEffect[];
    if (rows) {
      effects = this.core.contribution(rank, rows);
      this.#moved('received', rows.table, rows.ids.byteLength / 4, rows.payload.byteLength);
      this.metrics.contribution(effects[0]?.kind === 'duplicate' ? 'duplicate' : 'accepted');
      // Without effects it is held; else it has been read.
      if (effects.length > 0) recycle(rows.payload);
    } else if (header) effects = this.core.header(rank, header.step, header);
    else if (end) effects = this.core.end(rank, end.step, end.contributions);
    else throw refuse('MALFORMED', 'expected a header, rows or an end, got an empty message');
    for (const effect of effects)
      if (effect.kind === 'release') this.#tell(effect.worker, { release: { bytes: effect.bytes } });
      else if (effect.kind === 'closed') {
        const { step, skipped } = effect;
        this.#usual.observe(this.now() - this.#closedAt);
        this.#closedAt = this.now();
        for (const worker of [...this.#writers.keys()]) this.#tell(worker, { closed: { step, skipped } });
        for (const reader of this.#readers) this.#answer(reader);
      }
  }

  /** Throws Refused where there are too many observers. */
  attachReader(call: RowsPullCall, isObserver: boolean): RowReader {
    if (isObserver && [...this.#readers].filter((reader) => reader.isObserver).length >= OBSERVERS_MAX)
      throw refuse(
        'FULL',
        `expected at most ${OBSERVERS_MAX} observers of a run's rows, got one more; close another`,
      );
    const reader: RowReader = { call, isObserver, requests: [], unsent: 0 };
    this.#readers.add(reader);
    call.write({ ready: { step: this.core.step } });
    return reader;
  }

  detachReader(reader: RowReader): void {
    this.#readers.delete(reader);
  }

  /** Answered at once, or when the steps before are closed. Throws Refused. */
  ask(reader: RowReader, question: RowsQuestion): void {
    if (reader.requests.length >= ROWS_REQUESTS_MAX)
      throw refuse(
        'CREDIT',
        `expected at most ${ROWS_REQUESTS_MAX} unanswered requests for rows, got one more; wait for answers`,
      );
    if ('scan' in question) this.core.checkScan(question.scan.table, question.scan.from);
    else this.core.checkRequest(question.request.table, question.request.ids);
    reader.requests.push(question);
    this.#answer(reader);
  }

  /** Tells who has waited for a step to close for longer than is usual, and for whom, when it is time to. */
  announceWaiting(): void {
    const waitedMs = this.now() - this.#closedAt;
    if (!this.#notice.isDue(waitedMs, this.#usual.deadlineMs)) return;
    const workers = this.core.waitingFor();
    const { step } = this.core;
    const usualSeconds = (this.#usual.medianMs ?? 0) / 1000;
    const waiting = { step, workers, seconds: waitedMs / 1000, usualSeconds };
    for (const rank of [...this.#writers.keys()]) if (!workers.includes(rank)) this.#tell(rank, { waiting });
    for (const reader of this.#readers)
      if (reader.unsent === 0 && reader.requests.length > 0) reader.call.write({ waiting });
  }

  /** Ends all streams; the rows go with this object. */
  close(): void {
    for (const { call } of this.#writers.values()) call.end();
    for (const { call } of this.#readers) call.end();
    this.#writers.clear();
    this.#readers.clear();
  }

  #tell(rank: number, reply: RowsPushReply): void {
    const writer = this.#writers.get(rank);
    if (!writer) return;
    if (writer.unread >= UNREAD_MAX) {
      // It reads nothing of what it is told; what it has sent counts all the same.
      this.#writers.delete(rank);
      writer.call.end();
      return;
    }
    writer.unread++;
    writer.call.write(reply, () => {
      writer.unread--;
    });
  }

  #answer(reader: RowReader): void {
    const { core } = this;
    while (reader.unsent < STREAM_UNSENT_MAX && reader.requests.length > 0) {
      const question = reader.requests[0];
      if (('scan' in question ? question.scan : question.request).step > core.step) return;
      reader.requests.shift();
      let reply: RowsPullReply;
      try {
        reply = this.#read(question);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        // Whoever closed the step has done nothing wrong: the refusal is the reader's.
        this.metrics.refused(error.label);
        this.#readers.delete(reader);
        reader.call.write({ refusal: error.toMessage() as never });
        reader.call.end();
        return;
      }
      reader.unsent++;
      reader.call.write(reply, () => {
        reader.unsent--;
        if (this.#readers.has(reader)) this.#answer(reader);
      });
    }
  }

  /** Throws Refused. */
  #read(question: RowsQuestion): RowsPullReply {
    const { step } = this.core;
    if ('scan' in question) {
      const { table, from } = question.scan;
      return { scanned: { step, table, ...this.core.scan(table, from) } };
    }
    const { table, exact, ids } = question.request;
    const payload = this.core.read(table, ids, exact);
    this.#moved('sent', table, ids.byteLength / 4, payload.byteLength, exact);
    return { rows: { step, table, checksum: checksumOf(payload), payload } };
  }

  #moved(direction: 'sent' | 'received', table: number, rows: number, bytes: number, exact = false): void {
    const { name, width, codec } = this.core.tables[table].spec;
    this.metrics.moved(direction, CODEC_IDS[exact ? 'fp32' : codec], bytes, rows * width);
    this.metrics.rows(direction, name, rows, bytes);
  }
}

/** What the tables of some runs hold; those of one name are added up. */
export function residentRows(hosted: Iterable<HostedRows>): Map<string, { rows: number; bytes: number }> {
  const found = new Map<string, { rows: number; bytes: number }>();
  for (const { core } of hosted)
    for (const { spec, updatedRows, bytes } of core.tables) {
      const sum = found.get(spec.name) ?? { rows: 0, bytes: 0 };
      found.set(spec.name, { rows: sum.rows + updatedRows, bytes: sum.bytes + bytes });
    }
  return found;
}
