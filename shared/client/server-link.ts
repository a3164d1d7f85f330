// One client's connection to one server: contributions up on one TCP connection, blocks down on another.
// Keeps within the server's credit and hands the stream only a few messages at a time, so that what is in
// flight stays bounded. Any loss is told once, with the server's name.
import type * as grpc from '@grpc/grpc-js';
import { RunError } from '../errors.js';
import { BLOCK_PAYLOAD_MAX_BYTES, IN_PROCESS_UNSENT_MAX, STREAM_UNSENT_MAX } from '../limits.js';
import { type Bulk, type BulkFields, frameBulk } from '../rpc/bulk.js';
import { Framed, FramePool } from '../rpc/frame.js';
import type { PullMessage } from '../rpc/generated/gradloom/v1/PullMessage.js';
import type { PullReply__Output } from '../rpc/generated/gradloom/v1/PullReply.js';
import type { PushMessage } from '../rpc/generated/gradloom/v1/PushMessage.js';
import type { PushReply__Output } from '../rpc/generated/gradloom/v1/PushReply.js';
import type { StepHeader } from '../rpc/generated/gradloom/v1/StepHeader.js';
import type { StepOutcome__Output } from '../rpc/generated/gradloom/v1/StepOutcome.js';
import type { Waiting__Output } from '../rpc/generated/gradloom/v1/Waiting.js';
import { InMemory, type ParametersStreams } from '../rpc/in-process.js';
import { FIELD } from '../rpc/proto.js';
import { reasonOf } from '../rpc/reason.js';
import { Refused } from '../rpc/refusal.js';
import { connectParameters } from '../rpc/transport.js';

type PushStream = grpc.ClientDuplexStream<PushMessage | Framed | InMemory, PushReply__Output>;

export interface LinkHello {
  protocolVersion: number;
  run: string;
  view: number;
  worker: number;
  schemaHash: Buffer;
  observer: boolean;
  /** Index in the view's placement. */
  shard: number;
}

export interface LinkHandlers {
  /** The server has said something, of whatever kind: told before that is. */
  heard(): void;
  block(bulk: Bulk): void;
  outcome(outcome: StepOutcome__Output): void;
  waiting(waiting: Waiting__Output): void;
  view(number: number): void;
  acknowledged(step: number, blocks: readonly number[]): void;
  lost(error: RunError): void;
}

export interface LinkOptions {
  /** Of the shard that is reached over it. */
  index: number;
  id: number;
  address: string;
  hello: LinkHello;
  peerDeadlineMs: number;
  /** How to reach the server other than over the network. */
  streams?: ParametersStreams;
  handlers: LinkHandlers;
}

export class ServerLink {
  readonly index: number;
  readonly name: string;
  /** Its messages stay in this process: they are no bytes on the wire. */
  readonly inProcess: boolean;
  readonly #opened: ParametersStreams[] = [];
  readonly #handlers: LinkHandlers;
  readonly #frames = new FramePool();
  #push: PushStream | undefined;
  readonly #pull: grpc.ClientDuplexStream<PullMessage, PullReply__Output>;
  #creditBytes = 0;
  #creditMaxBytes = 0;
  #unsent = 0;
  #closed = false;
  #room: (() => void) | undefined;
  #subscribed: (() => void) | undefined;

  private constructor(options: LinkOptions, ready: { resolve: () => void; reject: (error: Error) => void }) {
    this.index = options.index;
    this.inProcess = options.streams?.inProcess ?? false;
    this.name = `server ${options.id} (${options.address})`;
    this.#handlers = options.handlers;
    let missing = options.hello.observer ? 1 : 2;
    let failed: Error | undefined;
    const arrived = () => {
      missing--;
      if (missing === 0) ready.resolve();
    };
    const lost = (error: RunError) => {
      if (this.#closed) return;
      this.#closed = true;
      failed = error;
      if (missing > 0) ready.reject(error);
      else this.#handlers.lost(error);
      this.#room?.();
      this.#subscribed?.();
      this.#push?.cancel();
      this.#pull.cancel();
      for (const streams of this.#opened) streams.close();
    };
    const watch = (call: grpc.ClientDuplexStream<never, never>, what: string) => {
      call.on('error', (error: grpc.ServiceError) =>
        lost(new RunError(`${this.name} was lost while it was ${what}: ${reasonOf(error)}`)),
      );
      call.on('end', () =>
        lost(
          failed instanceof RunError
            ? failed
            : new RunError(`${this.name} ended the stream while it was ${what}`),
        ),
      );
    };
    const refusedBy = (refusal: { code: number; sentence: string }) =>
      lost(new Refused(refusal.code, refusal.sentence, this.name));
    const open = () => {
      const streams = options.streams ?? connectParameters(options.address, options.peerDeadlineMs);
      this.#opened.push(streams);
      return streams;
    };

    this.#pull = open().Pull() as unknown as grpc.ClientDuplexStream<PullMessage, PullReply__Output>;
    this.#pull.on('data', (reply: PullReply__Output) => {
      // Another link may be in its place, and bring the same.
      if (this.#closed) return;
      this.#handlers.heard();
      if (reply.block) this.#handlers.block(reply.block as unknown as Bulk);
      else if (reply.outcome) this.#handlers.outcome(reply.outcome);
      else if (reply.view) this.#handlers.view(reply.view.number);
      else if (reply.waiting) this.#handlers.waiting(reply.waiting);
      else if (reply.ready) {
        if (this.#subscribed) this.#subscribed();
        else arrived();
      } else if (reply.refusal) refusedBy(reply.refusal);
    });
    watch(this.#pull as never, 'sending parameters');
    this.#pull.write({ hello: options.hello });
    if (options.hello.observer) return;

    this.#push = open().Push() as unknown as PushStream;
    this.#push.on('data', (reply: PushReply__Output) => {
      if (this.#closed) return;
      this.#handlers.heard();
      if (reply.ack) {
        this.#creditBytes = Math.min(this.#creditMaxBytes, this.#creditBytes + reply.ack.releasedBytes);
        this.#handlers.acknowledged(reply.ack.step, reply.ack.blocks);
        this.#room?.();
      } else if (reply.ready) {
        if (reply.ready.creditBytes < BLOCK_PAYLOAD_MAX_BYTES)
          return lost(
            new RunError(
              `${this.name} granted ${reply.ready.creditBytes} bytes in flight, at least ${BLOCK_PAYLOAD_MAX_BYTES} (one block) were expected; run the same gradloom on every node`,
            ),
          );
        this.#creditMaxBytes = reply.ready.creditBytes;
        this.#creditBytes = reply.ready.creditBytes;
        arrived();
      } else if (reply.refusal) refusedBy(reply.refusal);
    });
    watch(this.#push as never, 'receiving gradients');
    this.#push.write({ hello: options.hello });
  }

  /** Connects; resolves when the server has said that it is ready. Throws Refused or RunError. */
  static async open(options: LinkOptions): Promise<ServerLink> {
    let link: ServerLink | undefined;
    await new Promise<void>((resolve, reject) => {
      link = new ServerLink(options, { resolve, reject });
    });
    return link as ServerLink;
  }

  /** Payload bytes sent and not released. */
  get inFlightBytes(): number {
    return this.#creditMaxBytes - this.#creditBytes;
  }

  /**
   * Asks for every new block from now on; resolves when the server has said that it will send them (gradients
   * travel on another connection and could be there before the request), or when the link is lost.
   * @param step of one that goes on after another link broke: what there is beyond that comes before
   */
  async subscribe(codec: 1 | 2 | 3, step?: number): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      this.#subscribed = resolve;
      this.#pull.write({ subscribe: { codec, ...(step === undefined ? {} : { resumes: true, step }) } });
    });
    this.#subscribed = undefined;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  fetch(step: number, codec: 1 | 2 | 3, blocks: readonly number[], held = false): void {
    if (this.#closed) return;
    this.#pull.write({ fetch: { step, codec, blocks: [...blocks], held } });
  }

  header(header: StepHeader): void {
    if (this.#closed) return;
    this.#push?.write({ header });
  }

  /** Resolves when a payload of this size may be encoded and sent; false if the link is closed. */
  async room(payloadBytes: number): Promise<boolean> {
    // To its own shard a peer sends one a turn of the event loop, so that what others sent is taken meanwhile: that shard
    // then sums what is in the cache, and the others have work early.
    const unsentMax = this.inProcess ? IN_PROCESS_UNSENT_MAX : STREAM_UNSENT_MAX;
    while (!this.#closed && (this.#creditBytes < payloadBytes || this.#unsent >= unsentMax)) {
      await new Promise<void>((resolve) => {
        this.#room = resolve;
      });
      this.#room = undefined;
    }
    return !this.#closed;
  }

  /**
   * Sends a payload for which there is room; its memory may be used again after the call.
   * @param checksum called where it leaves the process
   */
  send(
    field: 'contribution' | 'initial',
    { step, block, codec, scale }: Pick<BulkFields, 'step' | 'block' | 'codec' | 'scale'>,
    payload: Uint8Array,
    checksum: () => number,
  ): void {
    this.#creditBytes -= payload.byteLength;
    this.#unsent++;
    const message = this.inProcess
      ? new InMemory(field, { step, block, codec, scale }, payload)
      : frameBulk(FIELD[field], { step, block, codec, scale, checksum: checksum() }, payload, this.#frames);
    this.#push?.write(message, () => {
      this.#unsent--;
      if (message instanceof Framed) message.release();
      this.#room?.();
    });
  }

  /** Ends both streams in an orderly way. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#room?.();
    this.#subscribed?.();
    this.#push?.end();
    this.#pull.end();
    for (const streams of this.#opened) streams.close();
  }
}
