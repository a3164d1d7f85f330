// Reading the parameters at one version: asks each server for its blocks, codec by codec, and says how far apart what
// came is. Training begins with it too: what a lossy codec sends are differences to values that were fetched exactly.
import type { Block, BlockLayout } from '../blocks/blocks.js';
import type { Codec, DirectCodecName } from '../codec/codec.js';
import { codecs } from '../codec/registry.js';
import type { ExchangeOptions } from './exchange-options.js';
import { type Age, ageOf } from './pending.js';
import type { Receiver } from './receiver.js';
import type { ServerLink } from './server-link.js';
import type { ServerLinks } from './server-links.js';

export interface Fetched extends Age {
  bytesPulled: number;
  elementsPulled: number;
  decodeSeconds: number;
  /** Updates applied to the newest of the blocks. */
  updates: number;
}

export class Fetcher {
  readonly #layout: BlockLayout;
  /** Byte address of the parameters' memory. */
  readonly #parameters: number;
  readonly #links: ServerLinks;
  readonly #receiver: Receiver;
  /** Blocks whose new values come as differences to the parameters' memory, as long as that has no first values. */
  #baseless: readonly Block[];
  /** What is asked for now. */
  #asked: { readonly step: number; readonly codec: DirectCodecName; readonly held: boolean } | undefined;

  /** @param training how each block travels in training */
  constructor(
    { layout, memory }: ExchangeOptions,
    training: readonly Codec[],
    links: ServerLinks,
    receiver: Receiver,
  ) {
    this.#layout = layout;
    this.#parameters = memory.parameters;
    this.#links = links;
    this.#receiver = receiver;
    this.#baseless = layout.blocks.filter(({ index }) => training[index].lossy);
  }

  /**
   * As `Exchange.fetch`.
   * @param training how each block travels in training
   */
  async fetch(
    training: readonly Codec[],
    step: number,
    codecName: DirectCodecName | undefined,
    target: number,
    blocks?: readonly Block[],
  ): Promise<Fetched> {
    const total = { bytesPulled: 0, elementsPulled: 0, decodeSeconds: 0, updates: 0 };
    const seen = new Set<number>();
    const groups = new Map<DirectCodecName, Block[]>();
    for (const block of blocks ?? this.#layout.blocks) {
      const own = training[block.index];
      const codec = codecName ?? (own.lossy ? 'fp32' : own.name);
      const group = groups.get(codec);
      if (group) group.push(block);
      else groups.set(codec, [block]);
    }
    // Training begins with what the servers take this worker to hold, to which the differences are added.
    const held = target === this.#parameters && codecName === undefined;
    for (const [codec, group] of groups) {
      const pending = this.#receiver.expect({ step, fetched: true, target, codec }, group);
      this.#asked = { step, codec, held: held && codec === 'fp32' };
      for (const link of this.#links.all) this.#ask(link, group);
      await pending.done;
      this.#asked = undefined;
      total.bytesPulled += pending.bytes;
      total.elementsPulled += pending.elements;
      total.decodeSeconds += pending.decodeSeconds;
      total.updates = Math.max(total.updates, pending.updates);
      for (const value of pending.stepsSeen) seen.add(value);
    }
    if (held && blocks === undefined) this.#baseless = [];
    return { ...ageOf(seen, step), ...total };
  }

  /** What was asked for over a link that is lost, and has not come, is asked for over a new one. */
  resume(link: ServerLink, missing: readonly Block[]): void {
    this.#ask(link, missing);
  }

  #ask(link: ServerLink, blocks: readonly Block[]): void {
    const own = this.#links.ownOf(link.index, blocks).map(({ index }) => index);
    if (!this.#asked || own.length === 0) return;
    const { step, codec, held } = this.#asked;
    link.fetch(step, codecs[codec].id as 1, own, held);
  }

  /** Whether there are differences to come, and not yet what they will be added to. */
  get lacksBases(): boolean {
    return this.#baseless.length > 0;
  }

  async fetchBases(training: readonly Codec[], step: number): Promise<void> {
    await this.fetch(training, step, undefined, this.#parameters, this.#baseless);
    this.#baseless = [];
  }
}
