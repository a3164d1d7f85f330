// Streams without a network: how a node with both roles reaches its own shard. A client's stream and a server's call
// are the two ends of one object; messages pass as they are, in order, a turn of the event loop later. A bulk
// message leaves its frame as if it had been received, so both ends keep their ways with memory.
import { EventEmitter } from 'node:events';
import type * as grpc from '@grpc/grpc-js';
import { decodeBulk } from './bulk.js';
import { Framed } from './frame.js';
import type { ParametersHandlers } from './generated/gradloom/v1/Parameters.js';
import { deserializePull, deserializePush } from './proto.js';
import { copyReceived } from './receive.js';

/** What opens the streams of a link: a channel, or the handlers of a server in this process. */
export interface ParametersStreams {
  Push(): grpc.ClientDuplexStream<never, never>;
  Pull(): grpc.ClientDuplexStream<never, never>;
  close(): void;
}

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
    const { other } = this;
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      const { message, written } = next;
      other?.emit('data', message instanceof Framed ? other.read(copyReceived(message.message)) : message);
      written?.();
    }
    if (this.#ended) other?.emit('end');
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
    Push: () => open(handlers.Push as (call: never) => void, deserializePush, unread),
    Pull: () => open(handlers.Pull as (call: never) => void, unread, deserializePull),
    close: () => undefined,
  };
}
