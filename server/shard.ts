// The pure core of a server: the blocks of one run that it owns. Messages in, effects out; no I/O, no clock.
// It checks what comes, and does the work on memory: sum, optimizer, encoding. When a contribution is applied and
// when new values may be read is for the run's consistency to say (consistency/).
import type { Block, BlockLayout } from '../shared/blocks/blocks.js';
import {
  type Codec,
  type DirectCodecName,
  encodableAbsmax,
  type LossyCodec,
  NonFiniteError,
} from '../shared/codec/codec.js';
import { checkPayload, codecById, codecs } from '../shared/codec/registry.js';
import type { Kernels } from '../shared/kernels/kernels.js';
import { loadKernels } from '../shared/kernels/load.js';
import {
  applyOptimizer,
  initialSlots,
  measureBlock,
  scalarsOf,
  type Update,
  type UpdateScalars,
} from '../shared/optimizer/apply.js';
import { ruleOf, type TensorRule } from '../shared/optimizer/groups.js';
import { normRounds, StepNorms } from '../shared/optimizer/norms.js';
import type { Bulk } from '../shared/rpc/bulk.js';
import { stagePayload } from '../shared/rpc/frame.js';
import { refuse } from '../shared/rpc/refusal.js';
import {
  blockOptimizer,
  codecsByStep,
  isClocked,
  type OptimizerSpec,
  type RunSpec,
  stalenessOf,
} from '../shared/run-spec.js';
import { Bsp } from './consistency/bsp.js';
import { Clocked } from './consistency/clocked.js';
import type { Consistency, ShardWork } from './consistency/consistency.js';
import type { BlockNorms, Cut, Effect } from './effects.js';
import { type BlockMemory, mapShard, type ShardMemoryMap, shardBytes } from './shard-memory.js';
import type { Header } from './step-headers.js';

export type { Effect } from './effects.js';

interface BlockState {
  readonly block: Block;
  /** Among the blocks of this shard. */
  readonly position: number;
  readonly memory: BlockMemory;
  readonly optimizer: OptimizerSpec;
  /** What the optimizer does differently on this block's tensor. */
  readonly rule: TensorRule;
  initialized: boolean;
  /** Largest magnitude of the values, where the last update told; the scale of the way down needs it. */
  absmax: number | undefined;
  /** Updates applied. */
  version: number;
  /** The step of its last update, where that can be taken back. */
  undoStep: number | undefined;
  /** The step of its last update. */
  updateStep: number | undefined;
  /** What made the last sum a mean. */
  gradientScale: number;
  /** Its last update has not been encoded for subscribers, who are to be sent differences. */
  differenceDue: boolean;
}

/** A block's version, and views of the arrays that make up its state. */
export interface BlockSnapshot {
  readonly version: number;
  readonly arrays: ReadonlyMap<string, Float32Array<SharedArrayBuffer>>;
}

/** The last update of a block, for whoever is to repeat it. The payload is the shard's memory: the next sum overwrites it. */
export interface UpdateRecord {
  readonly step: number;
  /** Updates before it. */
  readonly version: number;
  readonly scalars: UpdateScalars;
  /** The accumulator: fp32. */
  readonly payload: Uint8Array;
  readonly checksum: number;
}

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

/** Takes the times of the phases of a block; the core itself has no clock. */
export interface PhaseProbe {
  now(): number;
  phase(name: 'decode' | 'aggregate' | 'optimizer' | 'encode' | 'replicate', since: number): void;
}

const NO_PROBE: PhaseProbe = { now: () => 0, phase: () => undefined };

/** Encoded values of a block, in memory that the next call overwrites. */
export interface Encoded {
  /** Steps that every worker has done of which the block holds the updates. */
  step: number;
  version: number;
  /** Steps of the worker that is furthest behind, and ahead, of which the block holds the updates; bsp: both `step`. */
  clockMin: number;
  clockMax: number;
  codec: number;
  scale: number;
  /** Of the payload, where it leaves the process. */
  checksum?: number;
  payload: Uint8Array;
}

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
  readonly #kernels: Kernels;
  readonly #map: ShardMemoryMap;
  readonly #blocks = new Map<number, BlockState>();
  #consistency: Consistency;
  /** Of contributions, and of new values, by step: what is asked is the position of a block. */
  readonly #codecs: (step: number) => readonly Codec[];
  readonly #updateCodecs: (step: number) => readonly Codec[];
  /** There where the optimizer waits for norms of the whole gradient. */
  readonly #norms: StepNorms | undefined;
  #uninitialized: number;

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
    const blocks = owned.map((index) => layout.blocks[index]);
    this.#kernels = loadKernels({ bytes: shardBytes(blocks, spec.optimizer, spec.codec, spec.elastic) });
    this.#map = mapShard(blocks, spec.optimizer, spec.codec, this.#kernels.firstFreeByte, spec.elastic);
    this.#codecs = codecsByStep(spec, blocks, 'up');
    this.#updateCodecs = codecsByStep(spec, blocks, 'down');
    for (const [position, block] of blocks.entries()) {
      this.#blocks.set(block.index, {
        block,
        position,
        memory: this.#map.blocks.get(block.index) as BlockMemory,
        optimizer: blockOptimizer(spec.optimizer, spec.codec, block),
        rule: ruleOf(spec.optimizer, spec.tensors[block.tensor].name),
        initialized: false,
        absmax: undefined,
        version: 0,
        undoStep: undefined,
        updateStep: undefined,
        gradientScale: 1,
        differenceDue: false,
      });
    }
    if (normRounds(spec.optimizer).length > 0)
      this.#norms = new StepNorms(
        spec.optimizer,
        layout.blocks.filter(({ kind }) => kind === 'trainable'),
      );
    this.#work = {
      workers: spec.workers,
      backupWorkers: spec.backupWorkers ?? 0,
      leads,
      blocks,
      receive: this.#receive.bind(this),
      restage: (payload: Buffer) => stagePayload(this.#kernels, payload, this.#map.incoming),
      sum: this.#sum.bind(this),
      apply: this.#apply.bind(this),
      norms: this.#norms,
      measure: this.#measure.bind(this),
    };
    this.#consistency = this.#consistencyFrom({ spec, fromStep });
    this.#uninitialized = blocks.length;
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
    this.#consistency = consistency;
    this.#next = undefined;
    effects.push({ kind: 'view', number });
    return effects;
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
    this.#consistency = this.#consistencyFrom(next);
    this.#next = undefined;
    effects.push({ kind: 'view', number: next.number });
    return effects;
  }

  /**
   * Puts back what the blocks that have the update of a step were before it; returns these.
   * Throws Refused where that is not known of one, since it was copied from elsewhere; then nothing has changed.
   */
  undo(step: number): number[] {
    const updated = [...this.#blocks.values()].filter((state) => state.updateStep === step);
    const lost = updated.find(({ undoStep }) => undoStep !== step);
    if (lost)
      throw refuse(
        'NOT_NOW',
        `expected block ${lost.block.index} as it was before step ${step}, which came here after it; copy it again`,
      );
    for (const state of updated) {
      const { values, slots, undo } = state.memory;
      for (const [at, array] of [values, ...slots].entries())
        this.#kernels.copyBytes(undo[at], 4 * state.block.elements, array);
      state.version--;
      state.absmax = undefined;
      state.undoStep = undefined;
      state.updateStep = undefined;
    }
    return updated.map(({ block }) => block.index);
  }

  /** Keeps what a block is before its update of a step, where that can be taken back. */
  #keepUndo(state: BlockState, step: number): void {
    const { values, slots, undo } = state.memory;
    state.updateStep = step;
    if (undo.length === 0) return;
    for (const [at, array] of [values, ...slots].entries())
      this.#kernels.copyBytes(array, 4 * state.block.elements, undo[at]);
    state.undoStep = step;
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
    return this.#uninitialized === 0;
  }

  get memoryBytes(): number {
    return this.#kernels.memory.buffer.byteLength;
  }

  /** Payload bytes of contributions that wait for their turn. */
  get heldBytes(): number {
    return this.#consistency.heldBytes;
  }

  get blockIndices(): IterableIterator<number> {
    return this.#blocks.keys();
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
    const state = this.#state(bulk.block);
    const address = this.#stage(bulk, state, codecs.fp32);
    const ack: Effect[] = [
      { kind: 'ack', worker, step: 0, block: bulk.block },
      { kind: 'release', worker, bytes: bulk.payload.byteLength },
    ];
    if (state.initialized) return ack;
    codecs.fp32.decode(this.#kernels, address, state.block.elements, 1, state.memory.values);
    this.begin(bulk.block);
    return this.initialized ? [...ack, { kind: 'initialized' }] : ack;
  }

  /** A block has its initial values in place: so have its optimizer and its workers. */
  begin(block: number): void {
    const state = this.#state(block);
    const { memory } = state;
    const { elements } = state.block;
    // Every worker begins with these very values: what is sent from now on are differences to them.
    if (memory.held >= 0) this.#kernels.copyBytes(memory.values, 4 * elements, memory.held);
    const slotValues = initialSlots(state.optimizer);
    for (const [index, slot] of memory.slots.entries())
      this.#kernels.f32(slot, elements).fill(slotValues[index]);
    this.restored(block, 0);
  }

  /** Whether a block takes contributions. */
  isExchanged(block: number): boolean {
    return this.#state(block).block.kind !== 'frozen';
  }

  isInitialized(block: number): boolean {
    return this.#state(block).initialized;
  }

  /** The update that a block has just had. */
  lastUpdate(block: number): UpdateRecord {
    const { memory, version, gradientScale, optimizer, rule, block: of } = this.#state(block);
    const { min: decided } = this.#consistency.clocksOf(block);
    const [step, before] = [decided - 1, version - 1];
    const scalars =
      of.kind === 'state'
        ? { gradientScale, learningRate: 0 }
        : scalarsOf(optimizer, { version: before, step, rule, gradientScale });
    return {
      step,
      version: before,
      scalars,
      payload: this.#kernels.u8(memory.accumulator, 4 * of.elements),
      checksum: this.#kernels.xxh64(memory.accumulator, 4 * of.elements),
    };
  }

  /** Repeats the update of another copy of this shard. Throws Refused; then nothing has changed. */
  repeat(bulk: Bulk): void {
    const started = this.probe.now();
    const state = this.#state(bulk.block);
    const { memory, block, version, optimizer } = state;
    const where = `block ${bulk.block} of '${this.#spec.tensors[block.tensor].name}'`;
    const [gradientScale, learningRate, stepSize, epsilon] = bulk.scalars ?? [];
    const isAdam = optimizer.kind === 'adam' || optimizer.kind === 'adamw';
    const expected = block.kind === 'trainable' && isAdam ? 4 : 2;
    if (block.kind === 'frozen' || !state.initialized || bulk.version !== version)
      throw refuse('STEP', `${where}: expected its update ${version}, got ${bulk.version}; copy it again`);
    if (bulk.scalars?.length !== expected || !bulk.scalars.every(Number.isFinite))
      throw refuse(
        'MALFORMED',
        `${where}: expected ${expected} finite scalars, got [${bulk.scalars ?? ''}]; run the same gradloom on every node`,
      );
    const accumulator = this.#stageArray(bulk, state);
    this.#keepUndo(state, bulk.step);
    if (block.kind === 'state')
      this.#kernels.scaleF32(accumulator, block.elements, gradientScale, memory.values);
    else
      state.absmax = applyOptimizer(this.#kernels, optimizer, {
        ...this.#update(state, gradientScale),
        memory: { ...memory, accumulator },
        prepared: { gradientScale, learningRate, stepSize, epsilon },
      });
    state.version++;
    // What is sent to subscribers is taken to be what they hold, here as there.
    const codec = this.#updateCodecs(bulk.step)[state.position];
    if (codec.lossy) this.#encodeDifference(state, codec);
    this.probe.phase('replicate', started);
  }

  /**
   * Takes a block as another copy of this shard has it: all its arrays, in the order of `stateOf`. Throws Refused; then
   * nothing has changed.
   */
  replace(bulks: readonly Bulk[]): void {
    const [{ block: index, version, step }] = bulks;
    const state = this.#state(index);
    const arrays = [...this.stateOf(index).arrays.values()];
    if (
      bulks.length !== arrays.length ||
      bulks.some(({ block, codec }, at) => block !== index || codec !== at)
    )
      throw refuse(
        'MALFORMED',
        `block ${index}: expected its ${arrays.length} arrays in order, got ${bulks.map(({ block, codec }) => `array ${codec} of block ${block}`).join(', ')}`,
      );
    for (const bulk of bulks) this.#stageArray(bulk, state);
    for (const [at, array] of arrays.entries()) {
      const address = this.#stageArray(bulks[at], state);
      this.#kernels.u8(array.byteOffset, array.byteLength).set(this.#kernels.u8(address, array.byteLength));
    }
    this.restored(index, version);
    if (version > 0) state.updateStep = step - 1;
    const codec = this.#updateCodecs(step - 1)[state.position];
    // `fetched` is in the place of ReplicaArray.due.
    if (bulks.at(-1)?.fetched && codec.lossy) this.#encodeDifference(state, codec);
  }

  /** How many arrays make up a block. */
  arraysOf(block: number): number {
    return this.stateOf(block).arrays.size;
  }

  /** Checks an fp32 array of a block and copies it to where the kernels read it: returns the address. */
  #stageArray(bulk: Bulk, { block }: BlockState): number {
    const bytes = bulk.payload.byteLength;
    if (bytes !== 4 * block.elements)
      throw refuse('PAYLOAD', `block ${bulk.block}: expected ${4 * block.elements} bytes, got ${bytes}`);
    const address = stagePayload(this.#kernels, bulk.payload, this.#map.incoming);
    if (this.#kernels.xxh64(address, bytes) !== bulk.checksum)
      throw refuse(
        'CHECKSUM',
        `block ${bulk.block}: the array is not the one whose checksum was sent; send it again`,
      );
    return address;
  }

  /** What was a backup goes on by itself, under a view of this number. */
  takeOver(view: number, spec: RunSpec, { step, applied }: Opening, members?: readonly number[]): void {
    this.#spec = spec;
    this.#view = view;
    this.#consistency = new Bsp(this.#work, step, members, applied);
  }

  /** Whether the difference that a block's last update makes to subscribers has still to be encoded. */
  isDifferenceDue(block: number): boolean {
    return this.#state(block).differenceDue;
  }

  /** Steps decided on a block. */
  decidedOn(block: number): number {
    return this.#consistency.clocksOf(block).min;
  }

  /** What a block is made of between two steps, as it lies in memory: arrays by the names that snapshots have for them. */
  stateOf(block: number): BlockSnapshot {
    const { memory, version, block: of } = this.#state(block);
    const arrays = new Map([['values', memory.values]]);
    for (const [index, slot] of memory.slots.entries()) arrays.set(`slot${index}`, slot);
    if (memory.held >= 0) arrays.set('held', memory.held);
    return {
      version,
      arrays: new Map([...arrays].map(([name, at]) => [name, this.#kernels.f32(at, of.elements)])),
    };
  }

  /** A block's arrays have been filled from a snapshot, in place of initial values. */
  restored(block: number, version: number): void {
    const state = this.#state(block);
    state.version = version;
    state.absmax = undefined;
    if (!state.initialized) this.#uninitialized--;
    state.initialized = true;
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
    const state = this.#state(bulk.block);
    if (state.block.kind === 'frozen')
      throw refuse(
        'UNKNOWN_BLOCK',
        `block ${bulk.block} of '${this.#spec.tensors[state.block.tensor].name}' is frozen and takes no gradient`,
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
    return this.#encoded(this.#state(block), codecs[codecName], leaves);
  }

  /** The same of what the workers hold, exactly: of a block whose new values travel as differences to it. */
  encodeHeld(block: number, leaves = true): Encoded {
    const state = this.#state(block);
    const { memory } = state;
    if (memory.held < 0) return this.encode(block, 'fp32', leaves);
    const held = { ...state, absmax: undefined, memory: { ...memory, values: memory.held } };
    return this.#encoded(held, codecs.fp32, leaves);
  }

  /**
   * What subscribers are sent of a block, in memory that the next call overwrites: its values, or with a lossy codec
   * the difference to what the workers hold. They are then taken to hold it, so this is called once an update; what
   * the codec left out is in the next difference. Throws Refused.
   * @param leaves as of `encode`
   */
  encodeUpdate(block: number, leaves = true): Encoded {
    const state = this.#state(block);
    const encoded = this.#encoded(state, this.#updateCodecOf(state), leaves);
    state.differenceDue = false;
    return encoded;
  }

  #encodeDifference({ block, memory, absmax }: BlockState, codec: LossyCodec): number {
    // Before `held` changes; what the workers hold is near to values that were within the limit.
    if (absmax !== undefined) encodableAbsmax(codec, 2 * absmax);
    const { values, held } = memory;
    const { elements } = block;
    return codec.encodeDifference(this.#kernels, { values, held, elements, dst: this.#map.outgoing }).scale;
  }

  #encoded(state: BlockState, codec: Codec, leaves: boolean): Encoded {
    const { index: block, elements } = state.block;
    const started = this.probe.now();
    let scale: number;
    try {
      scale = codec.lossy
        ? this.#encodeDifference(state, codec)
        : codec.encode(this.#kernels, state.memory.values, elements, this.#map.outgoing, state.absmax);
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      throw refuse(
        'NOT_FINITE',
        `block ${block} of '${this.#spec.tensors[state.block.tensor].name}': expected finite parameters after ${state.version} updates, ` +
          `their largest magnitude is ${state.absmax ?? 'not finite'}; lower the learning rate`,
      );
    }
    const bytes = codec.payloadBytes(elements);
    const checksum = leaves ? this.#kernels.xxh64(this.#map.outgoing, bytes) : undefined;
    this.probe.phase('encode', started);
    const { min, max } = this.#consistency.clocksOf(block);
    return {
      step: min,
      version: state.version,
      clockMin: min,
      clockMax: max,
      codec: codec.id,
      scale,
      checksum,
      payload: this.#kernels.u8(this.#map.outgoing, bytes),
    };
  }

  /** The codec in which a block travels to subscribers. */
  codecOf(block: number): Codec {
    return this.#updateCodecOf(this.#state(block));
  }

  /** Of contributions to the open step. */
  #codecOf({ position }: BlockState): Codec {
    return this.#codecs(this.step)[position];
  }

  /** Of the values that the last step left. */
  #updateCodecOf({ block, position }: BlockState): Codec {
    return this.#updateCodecs(this.#consistency.clocksOf(block.index).min - 1)[position];
  }

  #state(block: number): BlockState {
    const state = this.#blocks.get(block);
    if (!state)
      throw refuse(
        'UNKNOWN_BLOCK',
        `expected one of this server's ${this.#blocks.size} blocks, got ${block}; read the placement from the view`,
      );
    return state;
  }

  /** Checks a payload and copies it to where the kernels read it: returns the address. */
  #stage(bulk: Bulk, state: BlockState, expected: Codec): number {
    const where = `block ${bulk.block} of '${this.#spec.tensors[state.block.tensor].name}'`;
    const codec = codecById(bulk.codec);
    if (codec?.id !== expected.id)
      throw refuse(
        'PAYLOAD',
        `${where}: expected codec ${expected.name}, got ${codec?.name ?? `number ${bulk.codec}`}`,
      );
    const fault = checkPayload(expected, state.block.elements, bulk.payload.byteLength, bulk.scale);
    if (fault) throw refuse('PAYLOAD', `${where}: ${fault}`);
    const address = stagePayload(this.#kernels, bulk.payload, this.#map.incoming);
    // What this process wrote itself, out of numbers that it found finite, has not been on a wire.
    if (bulk.checksum === undefined) return address;
    if (this.#kernels.xxh64(address, bulk.payload.byteLength) !== bulk.checksum)
      throw refuse('CHECKSUM', `${where}: the payload is not the one whose checksum was sent; send it again`);
    const inside = expected.lossy && expected.payloadFault(this.#kernels, address, state.block.elements);
    if (inside) throw refuse('PAYLOAD', `${where}: ${inside}`);
    if (!expected.payloadFinite(this.#kernels, address, state.block.elements))
      throw refuse(
        'NOT_FINITE',
        `${where}: expected finite numbers, got NaN or infinity; say all_finite = false in the step header`,
      );
    return address;
  }

  #receive(bulk: Bulk, worker: number, lossScale: number): number {
    const state = this.#state(bulk.block);
    const started = this.probe.now();
    const address = this.#stage(bulk, state, this.#codecOf(state));
    if (this.#spec.gradientLimit !== undefined && state.block.kind === 'trainable')
      this.#checkMagnitude(this.#spec.gradientLimit, bulk, state, address, worker, lossScale);
    this.probe.phase('decode', started);
    return address;
  }

  /** Throws Refused where an element of a gradient, its loss scale taken out, is above the run's limit. */
  #checkMagnitude(
    limit: number,
    bulk: Bulk,
    state: BlockState,
    address: number,
    worker: number,
    lossScale: number,
  ): void {
    const { outgoing } = this.#map;
    const { block } = state;
    this.#codecOf(state).decode(this.#kernels, address, block.elements, bulk.scale, outgoing);
    const magnitude = this.#kernels.absmax(outgoing, block.elements) / lossScale;
    if (magnitude <= limit) return;
    throw refuse(
      'GRADIENT_LIMIT',
      `worker ${worker}: expected magnitudes of at most ${limit} in its gradient of '${this.#spec.tensors[block.tensor].name}' (block ${bulk.block}, step ${bulk.step}), got ${magnitude.toPrecision(4)}; look at that worker's data, lower the learning rate, or raise --gradient-limit`,
    );
  }

  #sum(block: number, address: number, scale: number, weight: number, first: boolean): void {
    const started = this.probe.now();
    const state = this.#state(block);
    const { elements } = state.block;
    const { accumulator } = state.memory;
    this.#codecOf(state).accumulate(this.#kernels, address, elements, scale, weight, accumulator, first);
    this.probe.phase('aggregate', started);
  }

  #apply(index: number, gradientScale: number, kept = 0): void {
    const started = this.probe.now();
    const state = this.#state(index);
    const { memory, block } = state;
    const { values, accumulator } = memory;
    this.#keepUndo(state, this.step);
    if (block.kind === 'state') {
      if (kept > 0)
        codecs.fp32.accumulate(this.#kernels, values, block.elements, 1, kept, accumulator, false);
      this.#kernels.scaleF32(accumulator, block.elements, gradientScale, values);
    } else
      state.absmax = applyOptimizer(this.#kernels, state.optimizer, {
        ...this.#update(state, gradientScale),
        ...(state.optimizer.kind === 'lamb' && { trustRatio: this.#norms?.trust(block.tensor) }),
      });
    this.probe.phase('optimizer', started);
    state.version++;
    state.gradientScale = gradientScale;
    state.differenceDue = memory.held >= 0;
  }

  #measure(index: number, round: number, gradientScale: number): number[] {
    const started = this.probe.now();
    const rounds = this.#norms?.rounds ?? [];
    const state = this.#state(index);
    const update = this.#update(state, gradientScale);
    const numbers = measureBlock(this.#kernels, state.optimizer, rounds[round], update);
    this.probe.phase('optimizer', started);
    return numbers;
  }

  #update({ memory, block, version, rule }: BlockState, gradientScale: number): Update {
    return { memory, elements: block.elements, gradientScale, version, step: this.step, rule };
  }
}
