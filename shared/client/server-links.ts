// A client's links, one to the primary of each shard of its view: which one a block goes over, and the first thing that
// went wrong. Nothing else of the exchange knows addresses or the placement. A link that is lost stays in its place,
// closed, until another has taken it (link-repair.ts).
import type { Block } from '../blocks/blocks.js';
import { schemaHash } from '../blocks/manifest.js';
import { RunError } from '../errors.js';
import type { View__Output } from '../rpc/generated/gradloom/v1/View.js';
import { PROTOCOL_VERSION } from '../rpc/proto.js';
import { primaryOf, shardsOf } from '../view.js';
import type { ExchangeOptions } from './exchange-options.js';
import { type LinkHandlers, ServerLink } from './server-link.js';

export class ServerLinks {
  readonly #options: ExchangeOptions;
  /** The last one that said who holds the shards. */
  #view: View__Output;
  /** By shard; none is missing once all have been open. */
  readonly #links: ServerLink[] = [];
  #failure: RunError | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#view = options.view;
  }

  /** Connects to the primary of every shard; returns those that were not to be reached, and why. */
  async open(handlersOf: (shard: number) => LinkHandlers): Promise<{ shard: number; error: RunError }[]> {
    const { view } = this.#options;
    const failed: { shard: number; error: RunError }[] = [];
    await Promise.all(
      shardsOf(view).map(async (_, shard) => {
        try {
          this.#links[shard] = await this.connect(shard, view.number, handlersOf(shard));
        } catch (error) {
          if (!(error instanceof RunError)) throw error;
          failed.push({ shard, error });
        }
      }),
    );
    return failed;
  }

  get all(): readonly ServerLink[] {
    return this.#links;
  }

  /** Payload bytes sent and not released by the servers. */
  get inFlightBytes(): number {
    return this.#links.reduce((sum, link) => sum + link.inFlightBytes, 0);
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  /** Whether a block is of this shard. */
  owns(shard: number, block: number): boolean {
    return this.#options.view.placement[block] === shard;
  }

  /** Those of `blocks` that are of this shard. */
  ownOf(shard: number, blocks: readonly Block[]): Block[] {
    return blocks.filter(({ index }) => this.owns(shard, index));
  }

  /** Whether a shard's messages stay in this process: they are no bytes on the wire. */
  inProcess(shard: number): boolean {
    return this.#links[shard].inProcess;
  }

  nameOf(shard: number): string {
    const { id, address } = primaryOf(this.#view, shard);
    return `server ${id} (${address})`;
  }

  /** ServerInfo.id of a shard's primary. */
  idOf(shard: number): number {
    return primaryOf(this.#view, shard).id;
  }

  addressOf(shard: number): string {
    return primaryOf(this.#view, shard).address;
  }

  /** Who holds the shards now; returns those that have another primary than before, with the name of that. */
  place(view: View__Output): { shard: number; from: string }[] {
    if (view.term <= this.#view.term) return [];
    const before = shardsOf(this.#view).map(({ primary }, shard) => ({ primary, from: this.nameOf(shard) }));
    this.#view = view;
    return shardsOf(view).flatMap(({ primary }, shard) =>
      before[shard].primary === primary ? [] : [{ shard, from: before[shard].from }],
    );
  }

  /** A link to the primary of a shard, in nobody's place yet. Throws Refused or RunError. */
  connect(shard: number, view: number, handlers: LinkHandlers): Promise<ServerLink> {
    const { run, spec, rank, peerDeadlineMs, streamsTo } = this.#options;
    const { id, address } = primaryOf(this.#view, shard);
    return ServerLink.open({
      index: shard,
      id,
      address,
      hello: {
        protocolVersion: PROTOCOL_VERSION,
        ...{ run, view, shard },
        worker: rank ?? 0,
        schemaHash: schemaHash(spec.tensors),
        observer: rank === undefined,
      },
      peerDeadlineMs,
      streams: streamsTo?.(address),
      handlers,
    });
  }

  replace(shard: number, link: ServerLink): void {
    this.#links[shard] = link;
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
    for (const link of Object.values(this.#links)) link.close();
  }
}
