// One server's streams to the others of a run whose optimizer waits for norms of the whole gradient. A stream is
// opened when the first norms are to be sent: by then every worker has been started, so every server holds the run.
// A stream that breaks is told when its server is waited for next: at the end of a run servers leave one by one.
import * as grpc from '@grpc/grpc-js';
import { sentence } from '../shared/errors.js';
import { UNREAD_MAX } from '../shared/limits.js';
import type { NormsHello } from '../shared/rpc/generated/gradloom/v1/NormsHello.js';
import type { NormsMessage } from '../shared/rpc/generated/gradloom/v1/NormsMessage.js';
import type { NormsReply__Output } from '../shared/rpc/generated/gradloom/v1/NormsReply.js';
import { ParametersStub } from '../shared/rpc/proto.js';
import { channelOptions } from '../shared/rpc/transport.js';
import type { BlockNorms } from './effects.js';

interface Stream {
  readonly client: { close(): void };
  readonly call: grpc.ClientDuplexStream<NormsMessage, NormsReply__Output>;
  /** Messages that the stream has not flushed. */
  unread: number;
  /** Why nothing more can be sent on it. */
  lost?: string;
}

export interface NormStreamsOptions {
  readonly hello: NormsHello;
  /** Of the other servers, by their index in the view. */
  readonly addresses: ReadonlyMap<number, string>;
  readonly peerDeadlineMs: number;
  /** A server is out of reach: its index, and why. */
  onLost(server: number, reason: string): void;
}

export class NormStreams {
  readonly #options: NormStreamsOptions;
  readonly #streams = new Map<number, Stream>();
  #closed = false;

  constructor(options: NormStreamsOptions) {
    this.#options = options;
  }

  /** Sends to every other server. */
  send(norms: BlockNorms): void {
    const message = { norms: { ...norms, blocks: [...norms.blocks], squares: [...norms.squares] } };
    for (const [server, address] of this.#options.addresses) {
      if (this.#closed) return;
      const stream = this.#streams.get(server) ?? this.#open(server, address);
      if (stream.unread >= UNREAD_MAX) this.#lose(server, stream, `it left ${UNREAD_MAX} messages unread`);
      if (stream.lost !== undefined) {
        this.#options.onLost(server, stream.lost);
        continue;
      }
      stream.unread++;
      stream.call.write(message, () => {
        stream.unread--;
      });
    }
  }

  /** Why a server is out of reach; undefined as far as it is known to be there. */
  lost(server: number): string | undefined {
    return this.#streams.get(server)?.lost;
  }

  close(): void {
    this.#closed = true;
    for (const { call, client } of this.#streams.values()) {
      call.end();
      client.close();
    }
  }

  #open(server: number, address: string): Stream {
    const { peerDeadlineMs, hello } = this.#options;
    const client = new ParametersStub(
      address,
      grpc.credentials.createInsecure(),
      channelOptions(peerDeadlineMs),
    );
    const call = client.Norms() as unknown as Stream['call'];
    const stream: Stream = { client, call, unread: 0 };
    this.#streams.set(server, stream);
    const lose = (reason: string) => this.#lose(server, stream, reason);
    call.on('data', ({ refusal }: NormsReply__Output) => {
      if (refusal) lose(`it refused: ${refusal.sentence}`);
    });
    call.on('error', (error: grpc.ServiceError) => lose(error.details || sentence(error)));
    call.on('end', () => lose('it ended the stream'));
    call.write({ hello });
    return stream;
  }

  #lose(server: number, stream: Stream, reason: string): void {
    if (this.#closed || stream.lost !== undefined) return;
    stream.lost = reason;
    stream.client.close();
    this.#options.onLost(server, reason);
  }
}
