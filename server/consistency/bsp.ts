// Bulk-synchronous parallel: a step takes one contribution of every worker for every block, summed in the order
// of ranks; a contribution that comes before its turn is held as it came. Verdicts are taken on the headers of
// all workers, before any block is applied; each block is applied as soon as its sum is complete. Where the optimizer
// waits for norms of the whole gradient, trainable blocks are applied together, when those of all servers are here.
// With backup workers "all" are those that step-cut.ts names, and until it does everything is held; what the others
// send for the step is dropped whole, neither applied nor acknowledged.

import { PUSH_CREDIT_BYTES } from '../../shared/limits.js';
import { NUMBERS_PER_BLOCK } from '../../shared/optimizer/norms.js';
import type { Bulk } from '../../shared/rpc/bulk.js';
import { keep, recycle } from '../../shared/rpc/receive.js';
import { refuse } from '../../shared/rpc/refusal.js';
import type { BlockNorms, Cut, Effect } from '../effects.js';
import { type Header, StepHeaders } from '../step-headers.js';
import type { Clocks, Consistency, ShardWork } from './consistency.js';
import { StepCut } from './step-cut.js';

interface Held {
  readonly worker: number;
  readonly scale: number;
  readonly payload: Buffer;
}

/** A block within the open step. */
interface OpenBlock {
  readonly index: number;
  readonly kind: 'trainable' | 'state' | 'frozen';
  /** Whether the open step has been applied to it. */
  applied: boolean;
  /** Which of the step's contributors, in the order of ranks, is summed next. */
  turn: number;
  /** Whose contribution of the open step is here, summed or held. */
  readonly arrived: Set<number>;
  readonly held: Map<number, Held>;
}

export class Bsp implements Consistency {
  readonly #work: ShardWork;
  readonly #headers: StepHeaders;
  /** Whose contributions the open step takes. */
  readonly #cut: StepCut;
  /** Samples of the open step, once there is a verdict on it. */
  #samples: number | undefined;
  readonly #blocks: ReadonlyMap<number, OpenBlock>;
  /** Payload bytes held, per worker. */
  readonly #heldBytes: number[];
  /** Blocks of the open step that are still to be applied. */
  #open: number;
  readonly #exchanged: number;
  /** Blocks of the open step that wait, summed, for the norms of all. */
  readonly #summed: OpenBlock[] = [];
  readonly #trainable: number;
  /** The round of norms that is gathered. */
  #round = 0;

  /**
   * @param step the first that is open
   * @param members ranks of those who take part, rising; by default all
   * @param applied blocks that have the update of that step already
   */
  constructor(
    work: ShardWork,
    step = 0,
    members?: readonly number[],
    applied: ReadonlySet<number> = new Set(),
  ) {
    this.#work = work;
    this.#headers = new StepHeaders(work.workers, step, members);
    this.#cut = new StepCut(work, members);
    this.#blocks = new Map(
      work.blocks.map(({ index, kind }) => [
        index,
        { index, kind, applied: false, turn: 0, arrived: new Set(), held: new Map() },
      ]),
    );
    this.#heldBytes = new Array(work.workers).fill(0);
    this.#exchanged = work.blocks.filter(({ kind }) => kind !== 'frozen').length;
    this.#open = this.#exchanged;
    this.#trainable = work.blocks.filter(({ kind }) => kind === 'trainable').length;
    for (const index of applied) {
      const state = this.#blocks.get(index) as OpenBlock;
      const ranks = this.#headers.members;
      for (const rank of ranks) state.arrived.add(rank);
      state.turn = ranks.length;
      state.applied = true;
      this.#open--;
    }
  }

  /** Steps decided on all blocks: the index of the open step. */
  get step(): number {
    return this.#headers.step;
  }

  get members(): number {
    return this.#headers.members.length;
  }

  get missingHeaders(): number {
    return this.#headers.missing().length;
  }

  get heldBytes(): number {
    return this.#heldBytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Ranks that the open step still waits for: those that lack a header, or a contribution to some block. */
  waitingFor(): number[] {
    const { members } = this.#cut;
    if (!members) return this.#cut.isAwaited ? [] : this.#headers.missing();
    const missing = new Set(members.filter((rank) => !this.#headers.has(rank)));
    for (const { kind, applied, arrived } of this.#blocks.values()) {
      if (kind === 'frozen' || applied) continue;
      for (const rank of members) if (!arrived.has(rank)) missing.add(rank);
    }
    return [...missing].sort((a, b) => a - b);
  }

  behind(step: number): number[] {
    return step > this.step ? this.waitingFor() : [];
  }

  clocksOf(block: number): Clocks {
    const steps = this.step + (this.#blocks.get(block)?.applied ? 1 : 0);
    return { min: steps, max: steps };
  }

  /** New values go to everybody as soon as they are there. */
  withheldOf(): number {
    return 0;
  }

  header(worker: number, step: number, header: Header): Effect[] {
    if (!this.#headers.add(worker, step, header)) return [];
    const cut = this.#cut.header(worker, step);
    const effects: Effect[] = cut ? [{ kind: 'cut', cut }] : [];
    this.#decide(effects);
    // Only those who had sent their headers are in it, so nobody is dropped; but what they sent was held until now.
    if (cut) this.#sumHeld(effects);
    return effects;
  }

  cut(cut: Cut): Effect[] {
    if (cut.step > this.step)
      throw refuse('STEP', `expected the contributors of step ${this.step}, got those of step ${cut.step}`);
    if (cut.step < this.step || !this.#cut.take(cut)) return [];
    const effects: Effect[] = [];
    this.#dropLate(cut.contributors, effects);
    this.#decide(effects);
    this.#sumHeld(effects);
    return effects;
  }

  get awaitsCut(): boolean {
    return this.#cut.isAwaited;
  }

  contribution(worker: number, bulk: Bulk): Effect[] {
    const state = this.#blocks.get(bulk.block) as OpenBlock;
    const bytes = bulk.payload.byteLength;
    const { step } = bulk;
    const release: Effect = { kind: 'release', worker, bytes };
    if (step < this.step && this.#cut.took(worker, step))
      return [{ kind: 'duplicate' }, { kind: 'ack', worker, step, block: bulk.block }, release];
    if (step < this.step) return this.#late(bulk, release);
    if (step > this.step || !this.#headers.has(worker))
      throw refuse(
        'STEP',
        `worker ${worker}: expected the header of step ${this.step} before block ${bulk.block} of step ${step}; send a header first`,
      );
    const { members } = this.#cut;
    if (members && !members.includes(worker)) return this.#late(bulk, release);
    if (state.arrived.has(worker))
      return [
        { kind: 'duplicate' },
        ...(state.applied ? [{ kind: 'ack', worker, step, block: bulk.block } as const] : []),
        release,
      ];
    const early = members?.[state.turn] !== worker;
    if (early && this.#heldBytes[worker] + bytes > PUSH_CREDIT_BYTES)
      throw refuse(
        'CREDIT',
        `worker ${worker}: expected at most ${PUSH_CREDIT_BYTES} bytes in flight, got ${this.#heldBytes[worker] + bytes}; wait for credit`,
      );
    const address = this.#work.receive(bulk, worker, this.#headers.lossScale(worker));
    state.arrived.add(worker);
    if (early) {
      state.held.set(worker, { worker, scale: bulk.scale, payload: keep(bulk.payload) });
      this.#heldBytes[worker] += bytes;
      return [];
    }
    recycle(bulk.payload);
    const effects: Effect[] = [];
    this.#sum(state, worker, bulk.scale, address);
    effects.push(release);
    this.#sumInTurn(state, members ?? [], effects);
    return effects;
  }

  /** Sums what is held of a block as far as its turn has come; applies it if that was the last. */
  #sumInTurn(state: OpenBlock, members: readonly number[], effects: Effect[]): void {
    for (let next = state.held.get(members[state.turn]); next; next = state.held.get(members[state.turn])) {
      state.held.delete(next.worker);
      this.#heldBytes[next.worker] -= next.payload.byteLength;
      const staged = this.#work.restage(next.payload);
      recycle(next.payload);
      this.#sum(state, next.worker, next.scale, staged);
      effects.push({ kind: 'release', worker: next.worker, bytes: next.payload.byteLength });
    }
    if (state.turn < members.length) return;
    if (this.#work.norms && state.kind === 'trainable') this.#measure(state, effects);
    else this.#apply(state, effects);
  }

  /** The cut has come: what was held for it is summed. */
  #sumHeld(effects: Effect[]): void {
    const { members } = this.#cut;
    for (const state of this.#blocks.values())
      if (members && state.held.size > 0) this.#sumInTurn(state, members, effects);
  }

  /** The verdict, as soon as the headers of all whose contributions the step takes are here. */
  #decide(effects: Effect[]): void {
    const { members, isWhole } = this.#cut;
    const verdict = members && this.#samples === undefined ? this.#headers.verdict(members) : undefined;
    if (!members || !verdict) return;
    this.#samples = verdict.samples;
    effects.push({ kind: 'outcome', outcome: { ...verdict, contributors: isWhole ? [] : members } });
    if (verdict.skipped) this.#skip(effects);
    else if (this.#open === 0) this.#close(effects);
  }

  /** A contribution to a step that takes others. */
  #late({ payload }: Bulk, release: Effect): Effect[] {
    recycle(payload);
    return [{ kind: 'late' }, release];
  }

  /** Drops what was held of those whom the step does not take. */
  #dropLate(members: readonly number[], effects: Effect[]): void {
    for (const { arrived, held } of this.#blocks.values())
      for (const { worker, payload } of [...held.values()]) {
        if (members.includes(worker)) continue;
        held.delete(worker);
        arrived.delete(worker);
        this.#heldBytes[worker] -= payload.byteLength;
        recycle(payload);
        effects.push({ kind: 'late' }, { kind: 'release', worker, bytes: payload.byteLength });
      }
  }

  normsOfOthers({ step, round, blocks, squares }: BlockNorms): Effect[] {
    const norms = this.#work.norms;
    const kind = norms?.rounds[round];
    if (!norms || !kind)
      throw refuse(
        'MALFORMED',
        `expected one of ${norms?.rounds.length ?? 0} rounds of norms, got round ${round}; run the same gradloom on every node`,
      );
    if (step > this.step)
      throw refuse('STEP', `expected norms of step ${this.step}, got them of step ${step}`);
    const numbers = NUMBERS_PER_BLOCK[kind];
    if (squares.length !== numbers * blocks.length || squares.some((square) => square < 0))
      throw refuse(
        'MALFORMED',
        `expected ${numbers} squared norms of 0 or more for each of ${blocks.length} blocks, got ${squares.length}${squares.some((square) => square < 0) ? ', some below 0' : ''}`,
      );
    const foreign = blocks.find((block) => !norms.blocks.has(block) || this.#blocks.has(block));
    if (foreign !== undefined)
      throw refuse(
        'UNKNOWN_BLOCK',
        `expected norms of trainable blocks of other servers, got block ${foreign}`,
      );
    if (step < this.step) return [];
    for (const [at, block] of blocks.entries())
      norms.add(round, block, squares.slice(numbers * at, numbers * (at + 1)));
    const effects: Effect[] = [];
    this.#applyWhenKnown(effects);
    return effects;
  }

  missingNorms(): number[] {
    const { norms } = this.#work;
    // Until the own blocks are summed it is workers that are waited for.
    return norms && this.#trainable > 0 && this.#summed.length === this.#trainable
      ? norms.missing(this.#round)
      : [];
  }

  /** A block is summed: its first norm is taken while others still arrive. */
  #measure(state: OpenBlock, effects: Effect[]): void {
    const { norms, measure } = this.#work;
    norms?.add(0, state.index, measure(state.index, 0, 1 / (this.#samples as number)));
    this.#summed.push(state);
    if (this.#summed.length < this.#trainable) return;
    this.#tell(effects);
    this.#applyWhenKnown(effects);
  }

  /** Tells the others the norms of the own blocks in this round. */
  #tell(effects: Effect[]): void {
    const { norms } = this.#work;
    const blocks = this.#summed.map(({ index }) => index);
    const squares = blocks.flatMap((block) => norms?.numbersOf(this.#round, block) ?? []);
    effects.push({ kind: 'norms', norms: { step: this.step, round: this.#round, blocks, squares } });
  }

  /** Goes through the rounds as far as the norms of all blocks are here; after the last applies the step. */
  #applyWhenKnown(effects: Effect[]): void {
    const { norms, measure } = this.#work;
    if (!norms || this.#trainable === 0 || this.#summed.length < this.#trainable) return;
    while (norms.isComplete(this.#round)) {
      const scale = norms.factor() / (this.#samples as number);
      if (this.#round === norms.rounds.length - 1) {
        for (const state of this.#summed.splice(0)) this.#apply(state, effects, scale);
        return;
      }
      this.#round++;
      for (const { index } of this.#summed) norms.add(this.#round, index, measure(index, this.#round, scale));
      this.#tell(effects);
    }
  }

  #sum(state: OpenBlock, worker: number, scale: number, address: number): void {
    const weight = this.#headers.weight(worker, state.kind === 'trainable');
    this.#work.sum(state.index, address, scale, weight, state.turn === 0);
    state.turn++;
  }

  #apply(state: OpenBlock, effects: Effect[], scale = 1 / (this.#samples as number)): void {
    this.#work.apply(state.index, scale);
    state.applied = true;
    this.#open--;
    for (const worker of state.arrived)
      effects.push({ kind: 'ack', worker, step: this.step, block: state.index });
    const { members, isWhole } = this.#cut;
    effects.push({ kind: 'updated', block: state.index, workers: isWhole ? undefined : members });
    if (this.#open === 0) this.#close(effects);
  }

  owes(worker: number): boolean {
    if (!this.#headers.has(worker)) return true;
    if (this.#headers.skips(worker)) return false;
    return [...this.#blocks.values()].some(
      ({ kind, applied, arrived }) => kind !== 'frozen' && !applied && !arrived.has(worker),
    );
  }

  abandon(): Effect[] {
    return [...this.#blocks.values()].flatMap(({ held }) =>
      [...held.values()].map(({ worker, payload }): Effect => {
        const bytes = payload.byteLength;
        recycle(payload);
        return { kind: 'release', worker, bytes };
      }),
    );
  }

  #skip(effects: Effect[]): void {
    for (const state of this.#blocks.values()) {
      for (const worker of state.arrived)
        effects.push({ kind: 'ack', worker, step: this.step, block: state.index });
      for (const held of state.held.values())
        effects.push({ kind: 'release', worker: held.worker, bytes: held.payload.byteLength });
    }
    this.#heldBytes.fill(0);
    this.#close(effects);
  }

  #close(effects: Effect[]): void {
    for (const state of this.#blocks.values()) {
      state.turn = 0;
      state.applied = false;
      state.arrived.clear();
      state.held.clear();
    }
    this.#open = this.#exchanged;
    this.#summed.length = 0;
    this.#round = 0;
    this.#work.norms?.clear();
    this.#samples = undefined;
    effects.push({ kind: 'closed', step: this.step });
    this.#cut.next(this.step);
    this.#headers.next();
  }
}
