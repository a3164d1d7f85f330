// The pure core of a server: the blocks of one run that it owns. Messages in, effects out; no I/O, no clock.
// It knows the view in force, whose messages are taken and what follows from them. When a contribution is applied and
// when new values may be read is for the run's consistency to say (consistency/); the work on memory is done in
// shard-blocks.ts, and between copies of a shard in replication/block-copies.ts.
import type { BlockLayout } from '../shared/blocks/blocks.js';
import type { Codec, DirectCodecName } from '../shared/codec/codec.js';
import type { Bulk } from '../shared/rpc/bulk.js';
import { refuse } from '../shared/rpc/refusal.js';
import { isClocked, type RunSpec, stalenessOf } from '../shared/run/spec.js';
import type { BlockSnapshot, Encoded, PhaseProbe } from './block-state.js';
import { releaseSum } from './block-sums.js';
import { Bsp } from './consistency/bsp.js';
import { Clocked } from './consistency/clocked.js';
import type { Consistency, ShardWork } from './consistency/consistency.js';
import type { BlockNorms, Cut, Effect } from './effects.js';
import {
  addPart,
  type BlockSums,
  lastUpdate,
  repeat,
  replace,
  type SummedPart,
  summedPart,
  sumOf,
  sumsOf,
  type UpdateRecord,
} from './replication/block-copies.js';
import { ShardBlocks } from './shard-blocks.js';
import type { Header } from './step-headers.js';

export type { BlockSnapshot, Encoded, PhaseProbe } from './block-state.js';
export type { Effect } from './effects.js';
export type { BlockSums, SummedPart, UpdateRecord } from './replication/block-copies.js';

/** How far a shard has come that goes on as another copy of it left it. */
export interface Opening {
  /** The open step. */
  readonly step: number;
  /** Blocks that have its update already. */
  readonly applied: ReadonlySet<number>;
}

/** A view that is to come into force. */
export interface NextView {
  readonly number: number;
  readonly fromStep: number;
  /** The run's, with the rules of the view. */
  readonly spec: RunSpec;
  /** Ranks of those who take part, rising; by default all. */
  readonly members?: readonly number[];
  /** Somebody has left: what has been done of `fromStep` is taken back, and done again by the others. */
  readonly withdraws?: boolean;
}

const NO_PROBE: PhaseProbe = { now: () => 0, phase: () => undefined };

export class Shard {
  /** As it stands under the view in force. */
  #spec: RunSpec;
  #view = 1;
  /** The view that comes into force with its step. */
  #next: (NextView & { readonly consistency: Consistency }) | undefined;
  /** The last step that was taken back. */
  #withdrawn: number | undefined;
  /** The view of each worker's last header. */
  readonly #saidView = new Map<number, number>();
  /** Workers that have left. */
  readonly #fenced = new Set<number>();
  readonly #work: ShardWork;
  readonly #blocks: ShardBlocks;
  #consistency: Consistency;

  /**
   * @param owned indices of the blocks that this server owns
   * @param leads whether it is the first of the view, which decides with backup workers whom a step takes
   */
  constructor(
    spec: RunSpec,
    layout: BlockLayout,
    owned: readonly number[],
    readonly probe: PhaseProbe = NO_PROBE,
    leads = true,
    /** Steps that were decided before; then every block is restored, and none has initial values. */
    fromStep = 0,
  ) {
    this.#spec = spec;
    const blocks = new ShardBlocks(spec, layout, owned, probe, fromStep);
    this.#blocks = blocks;
    this.#work = {
      workers: spec.workers,
      backupWorkers: spec.backupWorkers ?? 0,
      leads,
      blocks: blocks.blocks,
      receive: blocks.receive.bind(blocks),
      restage: blocks.restage.bind(blocks),
      sum: blocks.sum.bind(blocks),
      apply: blocks.apply.bind(blocks),
      norms: blocks.norms,
      measure: blocks.measure.bind(blocks),
    };
    this.#consistency = this.#consistencyFrom({ spec, fromStep });
    blocks.clocks = this.#consistency;
  }

  /** The spec of the run as it stands under the view in force. */
  get spec(): RunSpec {
    return this.#spec;
  }

  /**
   * Changes to other rules as soon as all steps before `fromStep` are closed here: then nothing is under way, since
   * nobody may begin that step under the old view. Throws Refused.
   */
  change(next: NextView): Effect[] {
    if (next.number <= Math.max(this.#view, this.#next?.number ?? 0))
      throw refuse('STALE_VIEW', `expected a view after ${this.#view}, got ${next.number}`);
    if (next.withdraws && next.fromStep <= this.step) return this.#takeBack(next);
    if (this.#next || next.fromStep < this.step)
      throw refuse(
        'NOT_NOW',
        `expected a view from step ${this.#next?.fromStep ?? this.step} on, got one from step ${next.fromStep}; ask everybody to hold first`,
      );
    this.#next = { ...next, consistency: this.#consistencyFrom(next) };
    return this.#settled([]);
  }

  /** Whether the next view comes into force with what has just been done. */
  #settled(effects: Effect[]): Effect[] {
    if (!this.#next || this.step < this.#next.fromStep) return effects;
    const { number, spec, consistency } = this.#next;
    this.#spec = spec;
    this.#view = number;
    this.#follow(consistency);
    this.#next = undefined;
    effects.push({ kind: 'view', number });
    return effects;
  }

  /** From now on a consistency decides. */
  #follow(consistency: Consistency): void {
    this.#consistency = consistency;
    this.#blocks.clocks = consistency;
  }

  #consistencyFrom({ spec, fromStep, members }: Omit<NextView, 'number'>): Consistency {
    const { globalBatch } = spec;
    return isClocked(spec)
      ? new Clocked(this.#work, { staleness: stalenessOf(spec), globalBatch }, fromStep)
      : new Bsp(this.#work, fromStep, members);
  }

  /**
   * Goes back to the beginning of `fromStep`, the open step or the last that was closed: whose next one has not begun
   * anywhere, since somebody is missing. Contributions to it that come late are dropped (`#isWithdrawn`).
   */
  #takeBack(next: NextView): Effect[] {
    const { fromStep } = next;
    const begun = this.step > fromStep && this.missingHeaders < this.#consistency.members;
    if (!this.#spec.elastic || fromStep < this.step - 1 || begun)
      throw refuse(
        'NOT_NOW',
        `expected a step that can be taken back, got ${fromStep} at step ${this.step}${begun ? ', which has begun' : ''}`,
      );
    const undone = this.undo(fromStep);
    const effects: Effect[] = [
      { kind: 'withdrawn', step: fromStep },
      ...(this.#consistency.abandon?.() ?? []),
    ];
    for (const block of undone) effects.push({ kind: 'undone', block });
    this.#withdrawn = fromStep;
    this.#spec = next.spec;
    this.#view = next.number;
    this.#follow(this.#consistencyFrom(next));
    this.#next = undefined;
    effects.push({ kind: 'view', number: next.number });
    return effects;
  }

  /**
   * Puts back what the blocks that have the update of a step were before it; returns these.
   * Throws Refused where that is not known of one, since it was copied from elsewhere; then nothing has changed.
   */
  undo(step: number): number[] {
    return this.#blocks.undo(step);
  }

  /** Takes nothing of a worker any more. Returns the open step, and whether all that it owes in it is here. */
  fence(worker: number): { step: number; complete: boolean; initialized: boolean } {
    this.#fenced.add(worker);
    const complete = !(this.#consistency.owes?.(worker) ?? true);
    return { step: this.step, complete, initialized: this.initialized };
  }

  #checkFenced(worker: number): void {
    if (!this.#fenced.has(worker)) return;
    throw refuse('STALE_VIEW', `worker ${worker} has left the run: its contributions are taken no more`);
  }

  /** Whether what a worker sends of a step belongs to the attempt at it that was taken back. */
  #isWithdrawn(worker: number, step: number): boolean {
    return step === this.#withdrawn && (this.#saidView.get(worker) ?? 0) < this.#view;
  }

  /**
   * Whose the step of a worker is: a step belongs to one view. A shard without blocks may hear of the next one first:
   * nobody waits for it at the boundary. Throws Refused for any other view: who says it is fenced off.
   */
  #consistencyAt(worker: number, step: number, view: number): Consistency {
    const next = this.#next && step >= this.#next.fromStep ? this.#next : undefined;
    const expected = next?.number ?? this.#view;
    if (view === expected || step < this.step)
      return (next ?? { consistency: this.#consistency }).consistency;
    throw refuse(
      'STALE_VIEW',
      `worker ${worker}: expected step ${step} under view ${expected}, got it under view ${view}; ask the keeper for the current one`,
    );
  }

  /** Steps that every worker has done here: under bsp the index of the open step. */
  get step(): number {
    return this.#consistency.step;
  }

  /** Workers whose header of their open step is not here. */
  get missingHeaders(): number {
    return this.#consistency.missingHeaders;
  }

  get initialized(): boolean {
    return this.#blocks.uninitialized === 0;
  }

  get memoryBytes(): number {
    return this.#blocks.kernels.memory.buffer.byteLength;
  }

  /** Payload bytes of contributions that wait for their turn. */
  get heldBytes(): number {
    return this.#consistency.heldBytes;
  }

  get blockIndices(): IterableIterator<number> {
    return this.#blocks.indices;
  }

  /** Ranks that the open step, or under ssp somebody who is ahead, waits for. */
  waitingFor(): number[] {
    return this.#consistency.waitingFor();
  }

  /** Ranks that a read at `step` waits for. */
  behind(step: number): number[] {
    return this.#consistency.behind(step);
  }

  /** Blocks that are withheld of a worker that has done its step, until others have done more of theirs. */
  withheldOf(worker: number): number {
    return this.#consistency.withheldOf(worker);
  }

  /** Initial values of a block, once, in fp32. Throws Refused. */
  initial(worker: number, bulk: Bulk): Effect[] {
    if (worker !== 0)
      throw refuse('UNKNOWN_WORKER', `expected initial values from worker 0, got them from worker ${worker}`);
    const isFirst = this.#blocks.initial(bulk);
    const ack: Effect[] = [
      { kind: 'ack', worker, step: 0, block: bulk.block },
      { kind: 'release', worker, bytes: bulk.payload.byteLength },
    ];
    return isFirst && this.initialized ? [...ack, { kind: 'initialized' }] : ack;
  }

  /** Whether a block takes contributions. */
  isExchanged(block: number): boolean {
    return this.#blocks.state(block).block.kind !== 'frozen';
  }

  isInitialized(block: number): boolean {
    return this.#blocks.state(block).initialized;
  }

  /** The update that a block has just had. */
  lastUpdate(block: number): UpdateRecord {
    return lastUpdate(this.#blocks, block);
  }

  /** The sum of that update has been sent to whoever is to have it. */
  releaseSum(block: number): void {
    releaseSum(this.#blocks, this.#blocks.state(block));
  }

  /** Is told of each contribution that is added to a block's sum, while that lies in memory. */
  set onSum(told: ((part: SummedPart) => void) | undefined) {
    const blocks = this.#blocks;
    blocks.onSum = told && ((block, codec, how) => told(summedPart(blocks, block, codec, how)));
  }

  /** Of an array, or a payload, in this shard's memory. */
  checksumOf(array: Uint8Array): number {
    return sumOf(this.#blocks, array);
  }

  /** Adds to the sum of a block what another copy of this shard has added. Throws Refused; then nothing has changed. */
  addPart(bulk: Bulk): void {
    addPart(this.#blocks, bulk);
  }

  /** Repeats the update of another copy of this shard. Throws Refused; then nothing has changed. */
  repeat(bulk: Bulk): void {
    repeat(this.#blocks, bulk);
  }

  /**
   * Takes a block as another copy of this shard has it: all its arrays, in the order of `stateOf`. Throws Refused; then
   * nothing has changed.
   */
  replace(bulks: readonly Bulk[]): void {
    replace(this.#blocks, bulks);
  }

  /** What tells whether a block is equal in two copies of this shard. Reads all its arrays. Throws Refused. */
  sumsOf(block: number): BlockSums {
    return sumsOf(this.#blocks, block);
  }

  /** How many arrays make up a block. */
  arraysOf(block: number): number {
    return this.stateOf(block).arrays.size;
  }

  /** What was a backup goes on by itself, under a view of this number. */
  takeOver(view: number, spec: RunSpec, { step, applied }: Opening, members?: readonly number[]): void {
    this.#spec = spec;
    this.#view = view;
    this.#follow(new Bsp(this.#work, step, members, applied));
  }

  /** Whether the difference that a block's last update makes to subscribers has still to be encoded. */
  isDifferenceDue(block: number): boolean {
    return this.#blocks.state(block).differenceDue;
  }

  /** Steps decided on a block. */
  decidedOn(block: number): number {
    return this.#consistency.clocksOf(block).min;
  }

  /** What a block is made of between two steps, as it lies in memory: arrays by the names that snapshots have for them. */
  stateOf(block: number): BlockSnapshot {
    return this.#blocks.stateOf(block);
  }

  /** A block's arrays have been filled from a snapshot, in place of initial values. */
  restored(block: number, version: number): void {
    this.#blocks.restored(block, version);
  }

  /**
   * What a worker says of its step before its contributions. Throws Refused.
   * @param view under which it takes the step, and sends the contributions that follow
   */
  header(worker: number, step: number, header: Header, view = this.#view): Effect[] {
    if (!this.initialized)
      throw refuse('STEP', `worker ${worker} sent a header before every block had its initial values`);
    this.#checkFenced(worker);
    // What was under way when its step was taken back: the worker is about to say it again.
    if (step === this.#withdrawn && view < this.#view) return [];
    const effects = this.#consistencyAt(worker, step, view).header(worker, step, header);
    this.#saidView.set(worker, view);
    return this.#settled(effects);
  }

  /**
   * One worker's gradient of one block. A repeated one changes nothing and is acknowledged again.
   * Throws Refused; then nothing has changed.
   */
  contribution(worker: number, bulk: Bulk): Effect[] {
    const state = this.#blocks.state(bulk.block);
    if (state.block.kind === 'frozen')
      throw refuse(
        'UNKNOWN_BLOCK',
        `block ${bulk.block} of '${this.#blocks.nameOf(state.block)}' is frozen and takes no gradient; leave it out`,
      );
    this.#checkFenced(worker);
    if (this.#isWithdrawn(worker, bulk.step))
      return [{ kind: 'duplicate' }, { kind: 'release', worker, bytes: bulk.payload.byteLength }];
    return this.#settled(this.#consistency.contribution(worker, bulk));
  }

  /** Norms of another server's blocks. Throws Refused; then nothing has changed. */
  norms(norms: BlockNorms): Effect[] {
    if (!this.#consistency.normsOfOthers)
      throw refuse('NOT_NOW', 'expected no norms in a run without an optimizer that waits for them');
    return this.#settled(this.#consistency.normsOfOthers(norms));
  }

  /** Whose contributions the open step takes, from the server that decides. Throws Refused; then nothing has changed. */
  cut(cut: Cut): Effect[] {
    if (!this.#consistency.cut)
      throw refuse(
        'NOT_NOW',
        'expected no contributors of a step in a run where each worker has its own clock',
      );
    return this.#settled(this.#consistency.cut(cut));
  }

  /** Whether the open step waits for nothing but to be told whose contributions it takes. */
  get awaitsCut(): boolean {
    return this.#consistency.awaitsCut ?? false;
  }

  /** Blocks of other servers whose norms the open step waits for. */
  missingNorms(): number[] {
    return this.#consistency.missingNorms?.() ?? [];
  }

  /**
   * A block's values in a codec, in memory that the next call overwrites. Throws Refused.
   * @param leaves whether they leave the process, and so take a checksum
   */
  encode(block: number, codecName: DirectCodecName, leaves = true): Encoded {
    return this.#blocks.encode(block, codecName, leaves);
  }

  /** The same of what the workers hold, exactly: of a block whose new values travel as differences to it. */
  encodeHeld(block: number, leaves = true): Encoded {
    return this.#blocks.encodeHeld(block, leaves);
  }

  /**
   * What subscribers are sent of a block, in memory that the next call overwrites: its values, or with a lossy codec
   * the difference to what the workers hold. They are then taken to hold it, so this is called once an update; what
   * the codec left out is in the next difference. Throws Refused.
   * @param leaves as of `encode`
   */
  encodeUpdate(block: number, leaves = true): Encoded {
    return this.#blocks.encodeUpdate(block, leaves);
  }

  /** The codec in which a block travels to subscribers. */
  codecOf(block: number): Codec {
    return this.#blocks.codecOf(block);
  }
}
