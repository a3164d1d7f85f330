// A client's links to all servers of its view: which one a block goes over, and the first thing that went wrong on
// any of them. Nothing else of the exchange knows addresses or the placement.
import type { Block } from '../blocks/blocks.js';
import { schemaHash } from '../blocks/manifest.js';
import type { RunError } from '../errors.js';
import { PROTOCOL_VERSION } from '../rpc/proto.js';
import type { ExchangeOptions } from './exchange-options.js';
import { type LinkHandlers, type LinkHello, ServerLink } from './server-link.js';

export class ServerLinks {
  readonly #options: ExchangeOptions;
  readonly #hello: LinkHello;
  /** By the server's index in the view, once all are open. */
  #links: ServerLink[] = [];
  #failure: RunError | undefined;

  constructor(options: ExchangeOptions) {
    const { run, view, spec, rank } = options;
    this.#options = options;
    this.#hello = {
      protocolVersion: PROTOCOL_VERSION,
      run,
      view: view.number,
      worker: rank ?? 0,
      schemaHash: schemaHash(spec.tensors),
      observer: rank === undefined,
    };
  }

  /** Connects to every server of the view; none stays open where one fails. Throws Refused or RunError. */
  async open(handlersOf: (server: number) => LinkHandlers): Promise<void> {
    const { servers } = this.#options.view;
    const opened = await Promise.allSettled(
      servers.map((_, server) => this.#open(server, handlersOf(server))),
    );
    this.#links = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = opened.find((result) => result.status === 'rejected');
    if (!failed) return;
    this.close();
    throw failed.reason;
  }

  get all(): readonly ServerLink[] {
    return this.#links;
  }

  /** Payload bytes sent and not released by the servers. */
  get inFlightBytes(): number {
    return this.#links.reduce((sum, link) => sum + link.inFlightBytes, 0);
  }

  /** Whether a block is this server's. */
  owns(server: number, block: number): boolean {
    return this.#options.view.placement[block] === server;
  }

  /** Those of `blocks` that are this server's. */
  ownOf(server: number, blocks: readonly Block[]): Block[] {
    return blocks.filter(({ index }) => this.owns(server, index));
  }

  /** Whether a server's messages stay in this process: they are no bytes on the wire. */
  inProcess(server: number): boolean {
    return this.#links[server].inProcess;
  }

  nameOf(server: number): string {
    const { id, address } = this.#options.view.servers[server];
    return `server ${id} (${address})`;
  }

  /** Throws what went wrong first. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  /** Nothing goes over any link any more: whoever waits for room on another one has nothing more to wait for. */
  fail(error: RunError): void {
    this.#failure ??= error;
    this.close();
  }

  /** Ends all streams in an orderly way. */
  close(): void {
    for (const link of this.#links) link.close();
  }

  #open(server: number, handlers: LinkHandlers): Promise<ServerLink> {
    const { view, peerDeadlineMs } = this.#options;
    const { id, address } = view.servers[server];
    return ServerLink.open({
      index: server,
      id,
      address,
      hello: this.#hello,
      peerDeadlineMs,
      streams: this.#options.streamsTo?.(address),
      handlers,
    });
  }
}
