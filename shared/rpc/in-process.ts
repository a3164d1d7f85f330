// Streams without a network: how a node with both roles reaches its own shard. A client's stream and a server's call
// are the two ends of one object; messages pass as they are, in order, a turn of the event loop later. A payload passes
// at once, out of the memory in which the kernels wrote it: no frame, no checksum, one copy to where the other end's
// kernels read it. A framed message, made for several readers, leaves its frame as if it had been received.
import { EventEmitter } from 'node:events';
import type * as grpc from '@grpc/grpc-js';
import { type BulkFields, decodeBulk } from './bulk.js';
import { Framed } from './frame.js';
import type { ParametersHandlers } from './generated/gradloom/v1/Parameters.js';
import { deserializePull, deserializePush } from './proto.js';
import { copyReceived } from './receive.js';

/** What opens the streams of a link: a channel, or the handlers of a server in this process. */
export interface ParametersStreams {
  /** They take payloads `InMemory`. */
  readonly inProcess?: boolean;
  Push(): grpc.ClientDuplexStream<never, never>;
  Pull(): grpc.ClientDuplexStream<never, never>;
  close(): void;
}

/** A bulk message for the other end of a stream in this process; its payload may be overwritten once it is written. */
export class InMemory {
  readonly message: object;

  constructor(field: 'contribution' | 'initial' | 'block', fields: BulkFields, bytes: Uint8Array) {
    const payload = Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);
    const { step, block, codec, scale, version = 0, fetched = false, clockMin = 0, clockMax = 0 } = fields;
    // Not spread: see reader-messages.ts.
    const all = {
      step,
      block,
      codec,
      scale,
      version,
      fetched,
      clockMin,
      clockMax,
      checksum: undefined,
      payload,
    };
    this.message =
      field === 'contribution'
        ? { contribution: all }
        : field === 'block'
          ? { block: all }
          : { initial: all };
  }
}

/** Whether a call is the end of a stream in this process. */
export const isInProcess = (call: object): boolean => call instanceof End;

/** One end of a stream: what is written here is emitted as `data` at the other end. */
class End extends EventEmitter {
  other: End | undefined;
  #queue: { message: unknown; written?: () => void }[] = [];
  #scheduled = false;
  #ended = false;

  constructor(readonly read: (bytes: Buffer) => unknown) {
    super();
  }

  write(message: unknown, written?: () => void): boolean {
    if (this.#ended) return false;
    if (message instanceof InMemory) {
      this.#pass();
      this.other?.emit('data', message.message);
      if (written) setImmediate(written);
      return true;
    }
    this.#queue.push({ message, written });
    this.#flushSoon();
    return true;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#flushSoon();
  }

  /** As a client's cancel: the other end learns that nobody reads any more. */
  cancel(): void {
    this.#queue = [];
    this.#ended = true;
    setImmediate(() => this.other?.emit('cancelled'));
  }

  getPeer(): string {
    return 'this process';
  }

  #flushSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    this.#pass();
    if (this.#ended) this.other?.emit('end');
  }

  #pass(): void {
    const { other } = this;
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      const { message, written } = next;
      other?.emit('data', message instanceof Framed ? other.read(copyReceived(message.message)) : message);
      written?.();
    }
  }
}

function open(serve: (call: never) => void, atServer: (bytes: Buffer) => unknown, atClient: typeof atServer) {
  const client = new End(atClient);
  const server = new End(atServer);
  client.other = server;
  server.other = client;
  serve(server as never);
  return client as unknown as grpc.ClientDuplexStream<never, never>;
}

const unread = (bytes: Buffer) => decodeBulk(bytes, []);

/** Streams to a server of this process. */
export function streamsInProcess(handlers: ParametersHandlers): ParametersStreams {
  return {
    inProcess: true,
    Push: () => open(handlers.Push as (call: never) => void, deserializePush, unread),
    Pull: () => open(handlers.Pull as (call: never) => void, unread, deserializePull),
    close: () => undefined,
  };
}
