// The blocks of a shard as they lie in memory, and all the work on them: what comes is checked and summed, the optimizer
// applies the sum, the last update can be taken back, values are encoded. When any of this is done is not decided here
// (shard.ts, consistency/). No I/O, no clock; one WebAssembly memory, sized once (shard-memory.ts).
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
import { applyOptimizer, initialSlots, measureBlock, type Update } from '../shared/optimizer/apply.js';
import { ruleOf } from '../shared/optimizer/groups.js';
import { normRounds, StepNorms } from '../shared/optimizer/norms.js';
import type { Bulk } from '../shared/rpc/bulk.js';
import { stagePayload } from '../shared/rpc/frame.js';
import { refuse } from '../shared/rpc/refusal.js';
import { blockOptimizer, codecsByStep } from '../shared/run/block-codecs.js';
import type { RunSpec } from '../shared/run/spec.js';
import {
  type BlockSnapshot,
  type BlockState,
  type Encoded,
  newBlock,
  type PhaseProbe,
  type Summed,
} from './block-state.js';
import { addToSum, releaseSum } from './block-sums.js';
import { keepUndo, undo } from './block-undo.js';
import type { Consistency } from './consistency/consistency.js';
import { type BlockMemory, mapShard, type ShardMemoryMap, shardBytes } from './shard-memory.js';

export class ShardBlocks {
  readonly kernels: Kernels;
  readonly map: ShardMemoryMap;
  /** In canonical order. */
  readonly blocks: readonly Block[];
  readonly workers: number;
  readonly #states = new Map<number, BlockState>();
  /** There where the optimizer waits for norms of the whole gradient. */
  readonly norms: StepNorms | undefined;
  /** How far the blocks have come: the consistency in force. */
  clocks: Pick<Consistency, 'step' | 'clocksOf'>;
  /** Of contributions, and of new values, by step: what is asked is the position of a block. */
  readonly codecs: (step: number) => readonly Codec[];
  readonly updateCodecs: (step: number) => readonly Codec[];
  readonly #tensors: RunSpec['tensors'];
  readonly #gradientLimit: number | undefined;
  /** Blocks that have no values yet. */
  uninitialized: number;
  /** Is told of each contribution that is summed. */
  onSum: ((block: number, codec: Codec, how: Summed) => void) | undefined;

  /**
   * @param owned indices of the blocks that this server owns
   * @param fromStep steps that were decided before
   */
  constructor(
    spec: RunSpec,
    layout: BlockLayout,
    owned: readonly number[],
    readonly probe: PhaseProbe,
    fromStep: number,
  ) {
    const blocks = owned.map((index) => layout.blocks[index]);
    this.blocks = blocks;
    this.workers = spec.workers;
    this.uninitialized = blocks.length;
    this.#tensors = spec.tensors;
    this.#gradientLimit = spec.gradientLimit;
    this.clocks = { step: fromStep, clocksOf: () => ({ min: fromStep, max: fromStep }) };
    this.kernels = loadKernels({ bytes: shardBytes(blocks, spec.optimizer, spec.codec, spec.elastic) });
    this.map = mapShard(blocks, spec.optimizer, spec.codec, this.kernels.firstFreeByte, spec.elastic);
    this.codecs = codecsByStep(spec, blocks, 'up');
    this.updateCodecs = codecsByStep(spec, blocks, 'down');
    for (const [position, block] of blocks.entries()) {
      const given = {
        block,
        position,
        memory: this.map.blocks.get(block.index) as BlockMemory,
        optimizer: blockOptimizer(spec.optimizer, spec.codec, block),
        rule: ruleOf(spec.optimizer, spec.tensors[block.tensor].name),
      };
      this.#states.set(block.index, newBlock(given, fromStep));
    }
    if (normRounds(spec.optimizer).length > 0)
      this.norms = new StepNorms(
        spec.optimizer,
        layout.blocks.filter(({ kind }) => kind === 'trainable'),
      );
  }

  /** Of the tensor that a block is of. */
  nameOf({ tensor }: Block): string {
    return this.#tensors[tensor].name;
  }

  get indices(): IterableIterator<number> {
    return this.#states.keys();
  }

  /** Throws Refused where the block is not of this shard. */
  state(block: number): BlockState {
    const state = this.#states.get(block);
    if (!state)
      throw refuse(
        'UNKNOWN_BLOCK',
        `expected one of this server's ${this.#states.size} blocks, got ${block}; read the placement from the view`,
      );
    return state;
  }

  /** The initial values of a block, in fp32; false where it has them. Throws Refused. */
  initial(bulk: Bulk): boolean {
    const state = this.state(bulk.block);
    const address = this.#stage(bulk, state, codecs.fp32);
    if (state.initialized) return false;
    codecs.fp32.decode(this.kernels, address, state.block.elements, 1, state.memory.values);
    this.begin(bulk.block);
    return true;
  }

  /** A block has its initial values in place: so have its optimizer and its workers. */
  begin(block: number): void {
    const state = this.state(block);
    const { memory } = state;
    const { elements } = state.block;
    // Every worker begins with these very values: what is sent from now on are differences to them.
    if (memory.held >= 0) this.kernels.copyBytes(memory.values, 4 * elements, memory.held);
    const slotValues = initialSlots(state.optimizer);
    for (const [index, slot] of memory.slots.entries())
      this.kernels.f32(slot, elements).fill(slotValues[index]);
    this.restored(block, 0);
    if (memory.marks >= 0) this.kernels.forgetMarks(memory.marks, true);
  }

  /** A block's arrays have been filled from a snapshot, in place of initial values. */
  restored(block: number, version: number): void {
    const state = this.state(block);
    const { memory } = state;
    state.version = version;
    state.absmax = undefined;
    state.changedAbsmax = undefined;
    if (memory.marks >= 0) this.kernels.forgetMarks(memory.marks, false);
    if (!state.initialized) this.uninitialized--;
    state.initialized = true;
  }

  /** What a block is made of between two steps, as it lies in memory: arrays by the names that snapshots have for them. */
  stateOf(block: number): BlockSnapshot {
    const { memory, version, block: of } = this.state(block);
    const arrays = new Map([['values', memory.values]]);
    for (const [index, slot] of memory.slots.entries()) arrays.set(`slot${index}`, slot);
    if (memory.held >= 0) arrays.set('held', memory.held);
    return {
      version,
      arrays: new Map([...arrays].map(([name, at]) => [name, this.kernels.f32(at, of.elements)])),
    };
  }

  // What comes.

  receive(bulk: Bulk, worker: number, lossScale: number): number {
    const state = this.state(bulk.block);
    const started = this.probe.now();
    const address = this.#stage(bulk, state, this.#codecOf(state));
    if (this.#gradientLimit !== undefined && state.block.kind === 'trainable')
      this.#checkMagnitude(this.#gradientLimit, bulk, state, address, worker, lossScale);
    this.probe.phase('decode', started);
    return address;
  }

  /** Copies a payload that was checked before. */
  restage(payload: Buffer): number {
    return stagePayload(this.kernels, payload, this.map.incoming);
  }

  /** Checks a payload and copies it to where the kernels read it: returns the address. */
  #stage(bulk: Bulk, state: BlockState, expected: Codec): number {
    const where = `block ${bulk.block} of '${this.nameOf(state.block)}'`;
    const codec = codecById(bulk.codec);
    if (codec?.id !== expected.id)
      throw refuse(
        'PAYLOAD',
        `${where}: expected codec ${expected.name}, got ${codec?.name ?? `number ${bulk.codec}`}`,
      );
    const fault = checkPayload(expected, state.block.elements, bulk.payload.byteLength, bulk.scale);
    if (fault) throw refuse('PAYLOAD', `${where}: ${fault}`);
    const address = stagePayload(this.kernels, bulk.payload, this.map.incoming);
    // What this process wrote itself, out of numbers that it found finite, has not been on a wire.
    if (bulk.checksum === undefined) return address;
    if (this.kernels.xxh64(address, bulk.payload.byteLength) !== bulk.checksum)
      throw refuse('CHECKSUM', `${where}: the payload is not the one whose checksum was sent; send it again`);
    const inside = expected.lossy && expected.payloadFault(this.kernels, address, state.block.elements);
    if (inside) throw refuse('PAYLOAD', `${where}: ${inside}`);
    if (!expected.payloadFinite(this.kernels, address, state.block.elements))
      throw refuse(
        'NOT_FINITE',
        `${where}: expected finite numbers, got NaN or infinity; say all_finite = false in the step header`,
      );
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
    const { outgoing } = this.map;
    const { block } = state;
    this.#codecOf(state).decode(this.kernels, address, block.elements, bulk.scale, outgoing);
    const magnitude = this.kernels.absmax(outgoing, block.elements) / lossScale;
    if (magnitude <= limit) return;
    throw refuse(
      'GRADIENT_LIMIT',
      `worker ${worker}: expected magnitudes of at most ${limit} in its gradient of '${this.nameOf(block)}' (block ${bulk.block}, step ${bulk.step}), got ${magnitude.toPrecision(4)}; look at that worker's data, lower the learning rate, or raise --gradient-limit`,
    );
  }

  sum(block: number, address: number, scale: number, weight: number, first: boolean): void {
    const started = this.probe.now();
    const state = this.state(block);
    const codec = this.#codecOf(state);
    const how = { address, scale, weight, first };
    addToSum(this, state, this.clocks.step, how);
    this.probe.phase('aggregate', started);
    this.onSum?.(block, codec, how);
  }

  /** Of contributions to the open step. */
  #codecOf({ position }: BlockState): Codec {
    return this.codecs(this.clocks.step)[position];
  }

  // An update.

  apply(index: number, gradientScale: number, kept = 0): void {
    const started = this.probe.now();
    const state = this.state(index);
    const { memory, block } = state;
    const { values, accumulator } = memory;
    keepUndo(this.kernels, state, this.clocks.step);
    if (block.kind === 'state') {
      if (kept > 0) codecs.fp32.accumulate(this.kernels, values, block.elements, 1, kept, accumulator, false);
      this.kernels.scaleF32(accumulator, block.elements, gradientScale, values);
    } else {
      const trust = state.optimizer.kind === 'lamb' ? this.norms?.trust(block.tensor) : undefined;
      const update = this.update(state, gradientScale, trust);
      this.changed(state, applyOptimizer(this.kernels, state.optimizer, update));
    }
    // Else when the copies have been sent it.
    if (!this.onSum) releaseSum(this, state);
    this.probe.phase('optimizer', started);
    state.version++;
    state.gradientScale = gradientScale;
    state.differenceDue = memory.held >= 0;
  }

  /** @param absmax largest magnitude of what an update has changed */
  changed(state: BlockState, absmax: number): void {
    state.changedAbsmax = absmax;
    state.absmax = state.marked ? undefined : absmax;
  }

  measure(index: number, round: number, gradientScale: number): number[] {
    const started = this.probe.now();
    const rounds = this.norms?.rounds ?? [];
    const state = this.state(index);
    const update = this.update(state, gradientScale);
    const numbers = measureBlock(this.kernels, state.optimizer, rounds[round], update);
    this.probe.phase('optimizer', started);
    return numbers;
  }

  update(state: BlockState, gradientScale: number, trustRatio?: number): Update {
    const { memory, block, version, rule, marked } = state;
    const { step } = this.clocks;
    const marks = marked ? memory.marks : undefined;
    return { memory, elements: block.elements, gradientScale, version, step, rule, marks, trustRatio };
  }

  /**
   * Puts back what the blocks that have the update of a step were before it; returns these.
   * Throws Refused where that is not known of one, since it was copied from elsewhere; then nothing has changed.
   */
  undo(step: number): number[] {
    return undo(this.kernels, this.#states.values(), step);
  }

  // What goes out.

  /**
   * A block's values in a codec, in memory that the next call overwrites. Throws Refused.
   * @param leaves whether they leave the process, and so take a checksum
   */
  encode(block: number, codecName: DirectCodecName, leaves = true): Encoded {
    return this.#encoded(this.state(block), codecs[codecName], leaves);
  }

  /** The same of what the workers hold, exactly: of a block whose new values travel as differences to it. */
  encodeHeld(block: number, leaves = true): Encoded {
    const state = this.state(block);
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
    const state = this.state(block);
    const encoded = this.#encoded(state, this.#updateCodecOf(state), leaves);
    state.differenceDue = false;
    return encoded;
  }

  encodeDifference({ block, memory, changedAbsmax, marked }: BlockState, codec: LossyCodec): number {
    // Before `held` changes; what the workers hold is near to values that were within the limit.
    if (changedAbsmax !== undefined) encodableAbsmax(codec, 2 * changedAbsmax);
    const { values, held, accumulator: acc, marks } = memory;
    const { elements } = block;
    const few = marked ? { acc, marks } : undefined;
    return codec.encodeDifference(this.kernels, {
      values,
      held,
      elements,
      dst: this.map.outgoing,
      marked: few,
    }).scale;
  }

  #encoded(state: BlockState, codec: Codec, leaves: boolean): Encoded {
    const { index: block, elements } = state.block;
    const started = this.probe.now();
    let scale: number;
    try {
      scale = codec.lossy
        ? this.encodeDifference(state, codec)
        : codec.encode(this.kernels, state.memory.values, elements, this.map.outgoing, state.absmax);
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      throw refuse(
        'NOT_FINITE',
        `block ${block} of '${this.nameOf(state.block)}': expected finite parameters after ${state.version} updates, ` +
          `their largest magnitude is ${state.changedAbsmax ?? 'not finite'}; lower the learning rate`,
      );
    }
    const bytes = codec.payloadBytes(elements);
    const checksum = leaves ? this.kernels.xxh64(this.map.outgoing, bytes) : undefined;
    this.probe.phase('encode', started);
    const { min, max } = this.clocks.clocksOf(block);
    return {
      step: min,
      version: state.version,
      clockMin: min,
      clockMax: max,
      codec: codec.id,
      scale,
      checksum,
      payload: this.kernels.u8(this.map.outgoing, bytes),
    };
  }

  /** The codec in which a block travels to subscribers. */
  codecOf(block: number): Codec {
    return this.#updateCodecOf(this.state(block));
  }

  /** Of the values that the last step left. */
  #updateCodecOf({ block, position }: BlockState): Codec {
    return this.updateCodecs(this.clocks.clocksOf(block.index).min - 1)[position];
  }
}
