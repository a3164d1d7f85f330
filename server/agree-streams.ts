// One server's streams to the others of a run, for what all must agree on within a step: norms of the whole gradient,
// where the optimizer waits for them, and with backup workers whose contributions a step takes. A stream is opened
// when the first message is to be sent: by then every worker has been started, so every server holds the run. A stream
// that breaks is told when its server is waited for next: at the end of a run servers leave one by one.
import * as grpc from '@grpc/grpc-js';
import { UNREAD_MAX } from '../shared/limits.js';
import type { AgreeHello } from '../shared/rpc/generated/gradloom/v1/AgreeHello.js';
import type { AgreeMessage } from '../shared/rpc/generated/gradloom/v1/AgreeMessage.js';
import type { AgreeReply__Output } from '../shared/rpc/generated/gradloom/v1/AgreeReply.js';
import { ParametersStub } from '../shared/rpc/proto.js';
import { reasonOf } from '../shared/rpc/reason.js';
import { channelOptions } from '../shared/rpc/transport.js';
import type { BlockNorms, Cut } from './effects.js';

interface Stream {
  readonly client: { close(): void };
  readonly call: grpc.ClientDuplexStream<AgreeMessage, AgreeReply__Output>;
  /** Messages that the stream has not flushed. */
  unread: number;
  /** Why nothing more can be sent on it. */
  lost?: string;
}

export interface AgreeStreamsOptions {
  readonly hello: AgreeHello;
  /** Of the other servers, by their index in the view. */
  readonly addresses: ReadonlyMap<number, string>;
  readonly peerDeadlineMs: number;
  /** A server is out of reach: its index, and why. */
  onLost(server: number, reason: string): void;
}

export class AgreeStreams {
  readonly #options: AgreeStreamsOptions;
  readonly #streams = new Map<number, Stream>();
  #closed = false;

  constructor(options: AgreeStreamsOptions) {
    this.#options = options;
  }

  /** Sends to every other server. */
  send(what: { norms: BlockNorms } | { cut: Cut }): void {
    const message =
      'cut' in what
        ? { cut: { step: what.cut.step, contributors: [...what.cut.contributors] } }
        : { norms: { ...what.norms, blocks: [...what.norms.blocks], squares: [...what.norms.squares] } };
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
    const call = client.Agree() as unknown as Stream['call'];
    const stream: Stream = { client, call, unread: 0 };
    this.#streams.set(server, stream);
    const lose = (reason: string) => this.#lose(server, stream, reason);
    call.on('data', ({ refusal }: AgreeReply__Output) => {
      if (refusal) lose(`it refused: ${refusal.sentence}`);
    });
    call.on('error', (error: grpc.ServiceError) => lose(reasonOf(error)));
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
