// One server's rows, as a client sees them: a stream of gradients and a stream of requests, each on a connection of
// its own. What is in flight is bounded: upwards by the server's credit, downwards by the number of requests.
import type * as grpc from '@grpc/grpc-js';
import { RunError } from '../errors.js';
import { ROWS_MESSAGE_MAX_BYTES, STREAM_UNSENT_MAX } from '../limits.js';
import type { Hello } from '../rpc/generated/gradloom/v1/Hello.js';
import type { RowsContribution } from '../rpc/generated/gradloom/v1/RowsContribution.js';
import type { RowsPullMessage } from '../rpc/generated/gradloom/v1/RowsPullMessage.js';
import type { RowsPullReply__Output } from '../rpc/generated/gradloom/v1/RowsPullReply.js';
import type { RowsPushMessage } from '../rpc/generated/gradloom/v1/RowsPushMessage.js';
import type { RowsPushReply__Output } from '../rpc/generated/gradloom/v1/RowsPushReply.js';
import type { RowValues__Output } from '../rpc/generated/gradloom/v1/RowValues.js';
import type { ScannedRows__Output } from '../rpc/generated/gradloom/v1/ScannedRows.js';
import type { StepHeader } from '../rpc/generated/gradloom/v1/StepHeader.js';
import { reasonOf } from '../rpc/reason.js';
import { Refused } from '../rpc/refusal.js';
import { connectRows } from '../rpc/transport.js';

/** Requests for rows that are under way to one server. */
const REQUESTS_IN_FLIGHT = 4;

export interface RowsLinkOptions {
  readonly address: string;
  readonly id: number;
  readonly hello: Hello;
  readonly peerDeadlineMs: number;
  /** The server is lost, or has refused something; nothing can be asked any more. */
  lost(error: RunError): void;
  /** It waits for others before it answers. */
  waiting(waiting: { step: number; workers: readonly number[]; seconds: number; usualSeconds: number }): void;
}

interface Deferred<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

type PushStream = grpc.ClientDuplexStream<RowsPushMessage, RowsPushReply__Output>;
type PullStream = grpc.ClientDuplexStream<RowsPullMessage, RowsPullReply__Output>;

export class RowsLink {
  readonly name: string;
  readonly #push: PushStream | undefined;
  readonly #pull: PullStream;
  readonly #channels: { close(): void }[] = [];
  /** Requests without an answer, oldest first. */
  readonly #requests: Deferred<RowsPullReply__Output>[] = [];
  #closing: (Deferred<boolean> & { step: number }) | undefined;
  #creditBytes = 0;
  #creditMaxBytes = 0;
  #unsent = 0;
  #failure: RunError | undefined;
  /** Those who wait for room, for an answer or for the link to fail. */
  #wake: (() => void)[] = [];

  private constructor(options: RowsLinkOptions, ready: Deferred<void>) {
    this.name = `server ${options.id} (${options.address})`;
    let missing = options.hello.observer ? 1 : 2;
    const arrived = () => {
      missing--;
      if (missing === 0) ready.resolve();
    };
    const fail = (error: RunError) => {
      if (this.#failure) return;
      this.#end(error);
      if (missing > 0) ready.reject(error);
      else options.lost(error);
      this.#push?.cancel();
      this.#pull.cancel();
      for (const channel of this.#channels) channel.close();
    };
    const watch = (call: PushStream | PullStream, what: string) => {
      const calls = call as unknown as grpc.ClientDuplexStream<never, never>;
      calls.on('error', (error: grpc.ServiceError) =>
        fail(new RunError(`${this.name} was lost while it was ${what}: ${reasonOf(error)}`)),
      );
      calls.on('end', () => fail(new RunError(`${this.name} ended the stream while it was ${what}`)));
    };
    const refused = (refusal: { code: number; sentence: string }) =>
      fail(new Refused(refusal.code, refusal.sentence, this.name));
    const open = () => {
      const client = connectRows(options.address, options.peerDeadlineMs);
      this.#channels.push(client);
      return client;
    };

    this.#pull = open().Pull() as unknown as PullStream;
    this.#pull.on('data', (reply: RowsPullReply__Output) => {
      if (reply.rows || reply.scanned) {
        this.#requests.shift()?.resolve(reply);
        this.#wakeAll();
      } else if (reply.waiting) options.waiting(reply.waiting);
      else if (reply.ready) arrived();
      else if (reply.refusal) refused(reply.refusal);
    });
    watch(this.#pull, 'sending rows');
    this.#pull.write({ hello: options.hello });
    if (options.hello.observer) return;

    this.#push = open().Push() as unknown as PushStream;
    this.#push.on('data', (reply: RowsPushReply__Output) => {
      if (reply.release) {
        this.#creditBytes = Math.min(this.#creditMaxBytes, this.#creditBytes + reply.release.bytes);
        this.#wakeAll();
      } else if (reply.closed) {
        if (this.#closing?.step !== reply.closed.step) return;
        this.#closing.resolve(reply.closed.skipped);
        this.#closing = undefined;
      } else if (reply.waiting) options.waiting(reply.waiting);
      else if (reply.ready) {
        if (reply.ready.creditBytes < ROWS_MESSAGE_MAX_BYTES)
          return fail(
            new RunError(
              `${this.name} granted ${reply.ready.creditBytes} bytes of rows in flight, at least ${ROWS_MESSAGE_MAX_BYTES} (one message) were expected; run the same gradloom on every node`,
            ),
          );
        this.#creditMaxBytes = reply.ready.creditBytes;
        this.#creditBytes = reply.ready.creditBytes;
        arrived();
      } else if (reply.refusal) refused(reply.refusal);
    });
    watch(this.#push, 'receiving rows');
    this.#push.write({ hello: options.hello });
  }

  /** Connects; resolves when the server has said that it is ready. Throws Refused or RunError. */
  static async open(options: RowsLinkOptions): Promise<RowsLink> {
    let link: RowsLink | undefined;
    await new Promise<void>((resolve, reject) => {
      link = new RowsLink(options, { resolve, reject });
    });
    return link as RowsLink;
  }

  header(header: StepHeader): void {
    if (!this.#failure) this.#push?.write({ header });
  }

  /** Sends gradients of rows when there is room for them. Throws RunError where the link has failed. */
  async rows(rows: RowsContribution, bytes: number): Promise<void> {
    while (!this.#failure && (this.#creditBytes < bytes || this.#unsent >= STREAM_UNSENT_MAX))
      await this.#change();
    if (this.#failure) throw this.#failure;
    this.#creditBytes -= bytes;
    this.#unsent++;
    this.#push?.write({ rows }, () => {
      this.#unsent--;
      this.#wakeAll();
    });
  }

  /** Ends a step of so many messages; resolves when all workers have ended it: whether it was skipped. */
  end(step: number, contributions: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      this.#closing = { step, resolve, reject };
      this.#push?.write({ end: { step, contributions } });
    });
  }

  /** Values of rows, as they stand when `step` steps are closed. Throws RunError where the link has failed. */
  async request(request: {
    step: number;
    table: number;
    ids: Buffer;
    exact: boolean;
  }): Promise<RowValues__Output> {
    const { rows } = await this.#ask({ request });
    if (rows) return rows;
    throw new RunError(
      `${this.name}: expected rows that were asked for, got a scan; run the same gradloom on every node`,
    );
  }

  /** Updated rows from an id on. Throws RunError where the link has failed. */
  async scan(scan: { step: number; table: number; from: number }): Promise<ScannedRows__Output> {
    const { scanned } = await this.#ask({ scan });
    if (scanned) return scanned;
    throw new RunError(
      `${this.name}: expected a scan of rows, got other rows; run the same gradloom on every node`,
    );
  }

  async #ask(question: RowsPullMessage): Promise<RowsPullReply__Output> {
    while (!this.#failure && this.#requests.length >= REQUESTS_IN_FLIGHT) await this.#change();
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      this.#requests.push({ resolve, reject });
      this.#pull.write(question);
    });
  }

  /** Ends both streams in an orderly way; what is asked after that, or under way, fails with the error. */
  close(error: RunError = new RunError(`the rows of ${this.name} were closed`)): void {
    if (this.#failure) return;
    this.#end(error);
    this.#push?.end();
    this.#pull.end();
    for (const channel of this.#channels) channel.close();
  }

  #end(error: RunError): void {
    this.#failure = error;
    for (const request of this.#requests.splice(0)) request.reject(error);
    this.#closing?.reject(error);
    this.#closing = undefined;
    this.#wakeAll();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
