// Stale-synchronous (ssp; Ho et al., NIPS 2013) and asynchronous (asp; Dean et al., NIPS 2012) parallel. Each worker
// has a clock: the number of its own steps that are done. A contribution is one update of its block, applied as soon
// as it is here. What a worker reads after its step is let go, block by block, when the block holds every worker's
// updates of all but the last `staleness` of the clock that the reader enters; asp lets go at once. Whoever is
// slowest waits for nobody, so nobody waits for ever.
import type { Bulk } from '../../shared/rpc/bulk.js';
import { recycle } from '../../shared/rpc/receive.js';
import { refuse } from '../../shared/rpc/refusal.js';
import type { Effect } from '../effects.js';
import { checkHeader, type Header } from '../step-headers.js';
import type { Clocks, Consistency, ShardWork } from './consistency.js';

interface ClockedBlock {
  readonly index: number;
  readonly isGradient: boolean;
  /** Whose contribution of its open step has been applied. */
  readonly arrived: Set<number>;
  /** Who has done its part and may not have the new values yet. */
  readonly withheld: Set<number>;
}

export interface ClockedOptions {
  /** Clocks that a read may lack of any worker's updates; Infinity: asp. */
  readonly staleness: number;
  /** Samples of one step over all workers; 0 where it is not known. */
  readonly globalBatch: number;
}

export class Clocked implements Consistency {
  readonly #work: ShardWork;
  readonly #options: ClockedOptions;
  /** Steps that each worker has done here. */
  readonly #clocks: number[];
  /** The header of each worker's open step. */
  readonly #headers: (Header | undefined)[];
  /** Blocks of its open step that each worker has still to send. */
  readonly #missing: number[];
  /** Blocks withheld of each worker. */
  readonly #withheld: number[];
  readonly #blocks: ReadonlyMap<number, ClockedBlock>;
  readonly heldBytes = 0;

  /** @param step that every worker does next */
  constructor(work: ShardWork, options: ClockedOptions, step = 0) {
    this.#work = work;
    this.#options = options;
    this.#clocks = new Array(work.workers).fill(step);
    this.#headers = new Array(work.workers).fill(undefined);
    this.#missing = new Array(work.workers).fill(0);
    this.#withheld = new Array(work.workers).fill(0);
    const exchanged = work.blocks.filter(({ kind }) => kind !== 'frozen');
    this.#blocks = new Map(
      exchanged.map(({ index, kind }) => [
        index,
        { index, isGradient: kind === 'trainable', arrived: new Set(), withheld: new Set() },
      ]),
    );
  }

  get step(): number {
    return this.#clocks.reduce((least, clock) => Math.min(least, clock), Number.POSITIVE_INFINITY);
  }

  get missingHeaders(): number {
    return this.#headers.filter((header) => header === undefined).length;
  }

  /** Ranks without whose next updates somebody's values are withheld. */
  waitingFor(): number[] {
    const late = new Set<number>();
    for (const block of this.#blocks.values()) {
      if (block.withheld.size === 0) continue;
      let needed = 0;
      for (const worker of block.withheld)
        needed = Math.max(needed, this.#stepsOf(block, worker) - this.#options.staleness);
      for (let rank = 0; rank < this.#clocks.length; rank++)
        if (this.#stepsOf(block, rank) < needed) late.add(rank);
    }
    return [...late].sort((a, b) => a - b);
  }

  behind(step: number): number[] {
    return this.#clocks.flatMap((clock, rank) => (clock < step ? [rank] : []));
  }

  clocksOf(index: number): Clocks {
    const block = this.#blocks.get(index);
    let [min, max] = [Number.POSITIVE_INFINITY, 0];
    for (let rank = 0; rank < this.#clocks.length; rank++) {
      const steps = block ? this.#stepsOf(block, rank) : this.#clocks[rank];
      min = Math.min(min, steps);
      max = Math.max(max, steps);
    }
    // A frozen block never changes: it is as new as can be, and nothing in it is ahead.
    return block ? { min, max } : { min, max: min };
  }

  withheldOf(worker: number): number {
    return this.#headers[worker] ? 0 : this.#withheld[worker];
  }

  header(worker: number, step: number, header: Header): Effect[] {
    if (worker >= this.#clocks.length)
      throw refuse('UNKNOWN_WORKER', `expected a rank below ${this.#clocks.length}, got ${worker}`);
    const clock = this.#clocks[worker];
    if (step < clock) return [];
    if (step > clock)
      throw refuse(
        'STEP',
        `worker ${worker}: expected the header of step ${clock}, got step ${step}; do one step after the other`,
      );
    if (this.#withheld[worker] > 0)
      throw refuse(
        'STEP',
        `worker ${worker}: expected it to wait for the blocks of step ${clock - 1}, got the header of step ${clock}; ` +
          `with staleness ${this.#options.staleness} it waits for worker ${this.waitingFor().join(', ')}`,
      );
    checkHeader(worker, header);
    const { globalBatch } = this.#options;
    if (globalBatch > 0 && header.samples > globalBatch)
      throw refuse(
        'MALFORMED',
        `worker ${worker}: expected at most the ${globalBatch} samples of a step, got ${header.samples}`,
      );
    if (this.#headers[worker]) return [];
    const effects: Effect[] = [
      {
        kind: 'outcome',
        worker,
        outcome: {
          step,
          skipped: !header.allFinite,
          samples: header.samples,
          loss: header.lossSum / header.samples,
          accuracy: header.correct / header.samples,
          notFinite: header.allFinite ? [] : [worker],
          contributors: [],
        },
      },
    ];
    if (header.allFinite && this.#blocks.size > 0) {
      this.#headers[worker] = header;
      this.#missing[worker] = this.#blocks.size;
      return effects;
    }
    // Skipped: the clock advances without an update, but what is read then is as fresh as after any other step.
    this.#advance(worker, effects);
    for (const block of this.#blocks.values()) this.#ask(block, worker, effects);
    return effects;
  }

  contribution(worker: number, bulk: Bulk): Effect[] {
    const block = this.#blocks.get(bulk.block) as ClockedBlock;
    const { step } = bulk;
    const clock = this.#clocks[worker];
    const header = this.#headers[worker];
    const ack: Effect = { kind: 'ack', worker, step, block: bulk.block };
    const release: Effect = { kind: 'release', worker, bytes: bulk.payload.byteLength };
    if (step < clock) return [{ kind: 'duplicate' }, ack, release];
    if (step > clock || !header)
      throw refuse(
        'STEP',
        `worker ${worker}: expected the header of step ${clock ?? 0} before block ${bulk.block} of step ${step}; send a header first`,
      );
    if (block.arrived.has(worker)) return [{ kind: 'duplicate' }, ack, release];
    const address = this.#work.receive(bulk, worker, header.lossScale);
    recycle(bulk.payload);
    this.#update(block, header, address, bulk.scale);
    block.arrived.add(worker);
    const effects: Effect[] = [{ kind: 'applied', block: bulk.block }, ack, release];
    this.#ask(block, worker, effects);
    this.#missing[worker]--;
    if (this.#missing[worker] === 0) this.#advance(worker, effects);
    return effects;
  }

  /**
   * One update from one worker's mean gradient, times samples · workers / global batch: a worker with its equal share
   * moves the parameters by a whole learning rate, one with half of that by half. State moves towards the worker's
   * values by its share of the global batch.
   */
  #update(block: ClockedBlock, header: Header, address: number, scale: number): void {
    const { workers } = this.#work;
    const { samples, lossScale } = header;
    const total = this.#options.globalBatch || samples * workers;
    this.#work.sum(block.index, address, scale, block.isGradient ? samples / lossScale : samples, true);
    if (block.isGradient) this.#work.apply(block.index, workers / total);
    else this.#work.apply(block.index, 1 / total, total - samples);
  }

  /** Steps of a worker whose updates the block holds, skipped ones included. */
  #stepsOf(block: ClockedBlock, worker: number): number {
    return this.#clocks[worker] + (block.arrived.has(worker) ? 1 : 0);
  }

  /** The worker wants the block's new values; lets go whoever may have them now. */
  #ask(block: ClockedBlock, worker: number, effects: Effect[]): void {
    block.withheld.add(worker);
    this.#withheld[worker]++;
    const { min } = this.clocksOf(block.index);
    for (const reader of block.withheld) {
      const step = this.#stepsOf(block, reader);
      if (step - min > this.#options.staleness) continue;
      block.withheld.delete(reader);
      this.#withheld[reader]--;
      effects.push({ kind: 'answer', worker: reader, block: block.index, step });
    }
  }

  #advance(worker: number, effects: Effect[]): void {
    const before = this.step;
    this.#clocks[worker]++;
    this.#headers[worker] = undefined;
    for (const { arrived } of this.#blocks.values()) arrived.delete(worker);
    if (this.step > before) effects.push({ kind: 'closed', step: before });
  }
}
