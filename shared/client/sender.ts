// What goes up: the first values of a run, and the header and contributions of each step. Every link is a sender of
// its own, in canonical order and at the pace of its server's credit; a block is encoded only when there is room for it.
import { performance } from 'node:perf_hooks';
import { type Block, blockOffset } from '../blocks/blocks.js';
import type { Codec } from '../codec/codec.js';
import { codecs } from '../codec/registry.js';
import type { StepHeader } from '../rpc/generated/gradloom/v1/StepHeader.js';
import type { Contributions } from './contributions.js';
import type { ExchangeOptions, StepHeaderFields } from './exchange-options.js';
import type { ServerLink } from './server-link.js';
import type { ServerLinks } from './server-links.js';
import type { Pushed } from './step-result.js';

const NOTHING: Pushed = { bytes: 0, elements: 0, encodeSeconds: 0 };

/** What is said of every block that goes up together. */
interface Batch {
  readonly field: 'contribution' | 'initial';
  readonly step: number;
  codecOf(block: Block): Codec;
  /** Writes the payload to `dst`; returns its scale. */
  encode(block: Block, dst: number): number;
  /** Whether nobody takes any more of them. */
  stopped(): boolean;
}

export class Sender {
  readonly #options: ExchangeOptions;
  readonly #links: ServerLinks;
  readonly #contributions: Contributions;
  /** Blocks whose first values no server has acknowledged. */
  #unacknowledged = new Set<number>();
  #acknowledged: (() => void) | undefined;
  /** What is under way: of a step its header, too. */
  #current: { readonly batch: Batch; readonly header?: StepHeader } | undefined;
  /** Blocks of what is under way that have been sent. */
  readonly #sent = new Set<number>();
  /** What went over new links in the place of lost ones: for the first time, and again. */
  #resumed = { ...NOTHING, retriedBytes: 0 };

  constructor(options: ExchangeOptions, links: ServerLinks, contributions: Contributions) {
    this.#options = options;
    this.#links = links;
    this.#contributions = contributions;
  }

  /** Sends every block's first values, from the parameters' memory, and waits until all are acknowledged. */
  async initialize(): Promise<void> {
    const { layout, memory } = this.#options;
    this.#unacknowledged = new Set(layout.blocks.map(({ index }) => index));
    const acknowledged = new Promise<void>((resolve) => {
      this.#acknowledged = resolve;
    });
    const batch: Batch = {
      field: 'initial',
      step: 0,
      codecOf: () => codecs.fp32,
      encode: (block, dst) =>
        codecs.fp32.encode(
          memory.kernels,
          memory.parameters + 4 * blockOffset(layout, block),
          block.elements,
          dst,
        ),
      stopped: () => false,
    };
    this.#sent.clear();
    this.#current = { batch };
    await this.#overAll((link) =>
      this.#sendBlocks(link, this.#links.ownOf(link.index, layout.blocks), batch),
    );
    this.#links.check();
    await acknowledged;
    this.#current = undefined;
    this.#links.check();
  }

  /** What went over new links since the last call: what had not been sent before, and the bytes of what had. */
  takeResumed(): Pushed & { retriedBytes: number } {
    const resumed = this.#resumed;
    this.#resumed = { ...NOTHING, retriedBytes: 0 };
    return resumed;
  }

  /**
   * What was under way over a link that is lost goes over a new one: the same bytes, since nothing is settled before the
   * step is.
   * @param missing blocks of the step whose update has not come
   * @param undecided whether the server's verdict on the step has not come
   */
  async resume(link: ServerLink, missing: readonly Block[], undecided: boolean): Promise<void> {
    const { layout } = this.#options;
    if (!this.#current) return;
    const { batch, header } = this.#current;
    const wanted = header ? missing : layout.blocks.filter(({ index }) => this.#unacknowledged.has(index));
    const own = this.#links.ownOf(link.index, header?.allFinite === false ? [] : wanted);
    if (header && (undecided || own.length > 0)) link.header(header);
    const retried = own.filter(({ index }) => this.#sent.has(index));
    const retriedBytes = retried.reduce(
      (sum, block) => sum + batch.codecOf(block).payloadBytes(block.elements),
      0,
    );
    const retriedElements = retried.reduce((sum, { elements }) => sum + elements, 0);
    const pushed = await this.#sendBlocks(link, own, batch);
    this.#resumed.bytes += Math.max(0, pushed.bytes - retriedBytes);
    this.#resumed.elements += Math.max(0, pushed.elements - retriedElements);
    this.#resumed.encodeSeconds += pushed.encodeSeconds;
    this.#resumed.retriedBytes += Math.min(pushed.bytes, retriedBytes);
  }

  /** The step is decided. */
  settled(): void {
    this.#current = undefined;
  }

  /** A server has taken these blocks; at step 0 that may be their first values. */
  acknowledged(step: number, blocks: readonly number[]): void {
    if (step !== 0 || this.#unacknowledged.size === 0) return;
    for (const block of blocks) this.#unacknowledged.delete(block);
    if (this.#unacknowledged.size === 0) this.#acknowledged?.();
  }

  /** Nobody acknowledges anything any more. */
  release(): void {
    this.#acknowledged?.();
  }

  /**
   * Sends a step: its header to every server and, if all is finite, each server's contributions after it.
   * @param stopped whether the step takes no more contributions
   */
  sendStep(
    step: number,
    view: number,
    header: StepHeaderFields,
    blocks: readonly Block[],
    stopped: () => boolean,
  ): Promise<Pushed> {
    const contributions = this.#contributions;
    const faultyTensor = header.allFinite ? 0 : contributions.faultyTensor;
    const batch: Batch = {
      field: 'contribution',
      step,
      codecOf: ({ index }) => contributions.codecsAt(step)[index],
      encode: (block, dst) => contributions.encode(step, block, header.lossScale, dst),
      stopped,
    };
    const whole = { step, view, faultyTensor, ...header };
    this.#sent.clear();
    this.#current = { batch, header: whole };
    return this.#overAll((link) => {
      const own = header.allFinite ? this.#links.ownOf(link.index, blocks) : [];
      return this.#sendStepOver(link, whole, own, batch);
    });
  }

  #sendStepOver(
    link: ServerLink,
    header: StepHeader,
    blocks: readonly Block[],
    batch: Batch,
  ): Promise<Pushed> {
    link.header(header);
    return this.#sendBlocks(link, blocks, batch);
  }

  /** Sends blocks over the link of the server that owns them; ends early where it is closed, or nobody takes them. */
  async #sendBlocks(link: ServerLink, blocks: readonly Block[], batch: Batch): Promise<Pushed> {
    const { kernels, scratch } = this.#options.memory;
    const pushed: Pushed = { ...NOTHING };
    for (const block of blocks) {
      const codec = batch.codecOf(block);
      const payloadBytes = codec.payloadBytes(block.elements);
      if (!(await link.room(payloadBytes)) || batch.stopped()) break;
      const started = performance.now();
      const scale = batch.encode(block, scratch);
      const payload = kernels.u8(scratch, payloadBytes);
      const fields = { step: batch.step, block: block.index, codec: codec.id, scale };
      const checksum = () => kernels.xxh64(scratch, payloadBytes);
      const encoded = performance.now();
      link.send(batch.field, fields, payload, checksum);
      this.#sent.add(block.index);
      // In this process that was the server's part of the step too.
      pushed.encodeSeconds += ((link.inProcess ? encoded : performance.now()) - started) / 1000;
      if (link.inProcess) continue;
      pushed.bytes += payloadBytes;
      pushed.elements += block.elements;
    }
    return pushed;
  }

  async #overAll(send: (link: ServerLink) => Promise<Pushed>): Promise<Pushed> {
    const total: Pushed = { ...NOTHING };
    for (const pushed of await Promise.all(this.#links.all.map(send))) {
      total.bytes += pushed.bytes;
      total.elements += pushed.elements;
      total.encodeSeconds += pushed.encodeSeconds;
    }
    return total;
  }
}
