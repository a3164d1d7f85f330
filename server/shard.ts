// The pure core of a server: the blocks of one run that it owns. Messages in, effects out; no I/O, no clock.
// Under bsp a step takes one contribution of every worker for every block, summed in the order of ranks:
// a contribution that comes before its turn is held as it came. Verdicts are taken on the step's headers,
// before any block is applied; each block is applied as soon as its sum is complete.
import type { Block, BlockLayout } from '../shared/blocks/blocks.js';
import { type Codec, type DirectCodecName, NonFiniteError } from '../shared/codec/codec.js';
import { checkPayload, codecById, codecs } from '../shared/codec/registry.js';
import type { Kernels } from '../shared/kernels/kernels.js';
import { loadKernels } from '../shared/kernels/load.js';
import { PUSH_CREDIT_BYTES } from '../shared/limits.js';
import { type Bulk, checksumMatches } from '../shared/rpc/bulk.js';
import { stagePayload } from '../shared/rpc/frame.js';
import { recycle } from '../shared/rpc/receive.js';
import { refuse } from '../shared/rpc/refusal.js';
import { blockOptimizer, codecsOf, type RunSpec } from '../shared/run-spec.js';
import { applyOptimizer } from './optimizer.js';
import { type BlockMemory, mapShard, type ShardMemoryMap, shardBytes } from './shard-memory.js';
import { type Header, type Outcome, StepHeaders } from './step-headers.js';

export type Effect =
  /** The update of `block` at `step` includes the worker's contribution, or the step was skipped. */
  | { kind: 'ack'; worker: number; step: number; block: number }
  /** The worker may send this many payload bytes more. */
  | { kind: 'release'; worker: number; bytes: number }
  /** The contribution was here before; nothing changed. */
  | { kind: 'duplicate' }
  /** The block has new values. */
  | { kind: 'updated'; block: number }
  | { kind: 'outcome'; outcome: Outcome }
  /** All blocks stand at the end of `step`. */
  | { kind: 'closed'; step: number }
  /** Every block has its initial values. */
  | { kind: 'initialized' };

interface Held {
  worker: number;
  codec: Codec;
  scale: number;
  payload: Buffer;
}

interface BlockState {
  readonly block: Block;
  readonly memory: BlockMemory;
  /** Of contributions. */
  readonly codec: Codec;
  /** Of new values. */
  readonly updateCodec: Codec;
  initialized: boolean;
  /** Largest magnitude of the values, where the last update told; the scale of the way down needs it. */
  absmax: number | undefined;
  /** Updates applied. */
  version: number;
  /** Whether the open step has been applied to it. */
  applied: boolean;
  /** Rank whose contribution is summed next. */
  turn: number;
  /** Whose contribution of the open step is here, summed or held. */
  readonly arrived: Set<number>;
  readonly held: Map<number, Held>;
}

/** Takes the times of the phases of a block; the core itself has no clock. */
export interface PhaseProbe {
  now(): number;
  phase(name: 'decode' | 'aggregate' | 'optimizer' | 'encode', since: number): void;
}

const NO_PROBE: PhaseProbe = { now: () => 0, phase: () => undefined };

/** Encoded values of a block, in memory that the next call overwrites. */
export interface Encoded {
  step: number;
  version: number;
  codec: number;
  scale: number;
  payload: Uint8Array;
}

export class Shard {
  readonly #spec: RunSpec;
  readonly #kernels: Kernels;
  readonly #map: ShardMemoryMap;
  readonly #blocks = new Map<number, BlockState>();
  readonly #headers: StepHeaders;
  /** Payload bytes held, per worker. */
  readonly #heldBytes: number[];
  #uninitialized: number;
  /** Blocks of the open step that are still to be applied. */
  #open: number;
  readonly #exchanged: number;

  /** @param owned indices of the blocks that this server owns */
  constructor(
    spec: RunSpec,
    layout: BlockLayout,
    owned: readonly number[],
    readonly probe: PhaseProbe = NO_PROBE,
  ) {
    this.#spec = spec;
    const blocks = owned.map((index) => layout.blocks[index]);
    this.#kernels = loadKernels({ bytes: shardBytes(blocks, spec.optimizer, spec.codec) });
    this.#map = mapShard(blocks, spec.optimizer, spec.codec, this.#kernels.firstFreeByte);
    const blockCodecs = codecsOf(spec, blocks);
    const updateCodecs = codecsOf(spec, blocks, 'down');
    for (const [position, block] of blocks.entries()) {
      this.#blocks.set(block.index, {
        block,
        memory: this.#map.blocks.get(block.index) as BlockMemory,
        codec: blockCodecs[position],
        updateCodec: updateCodecs[position],
        initialized: false,
        absmax: undefined,
        version: 0,
        applied: false,
        turn: 0,
        arrived: new Set(),
        held: new Map(),
      });
    }
    this.#headers = new StepHeaders(spec.workers);
    this.#heldBytes = new Array(spec.workers).fill(0);
    this.#uninitialized = blocks.length;
    this.#exchanged = blocks.filter((block) => block.kind !== 'frozen').length;
    this.#open = this.#exchanged;
  }

  /** Steps decided on all blocks: the index of the open step. */
  get step(): number {
    return this.#headers.step;
  }

  /** Workers whose header of the open step is not here. */
  get missingHeaders(): number {
    return this.#headers.missing().length;
  }

  get initialized(): boolean {
    return this.#uninitialized === 0;
  }

  get memoryBytes(): number {
    return this.#kernels.memory.buffer.byteLength;
  }

  /** Payload bytes of contributions that wait for their turn. */
  get heldBytes(): number {
    return this.#heldBytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  get blockIndices(): IterableIterator<number> {
    return this.#blocks.keys();
  }

  /** Ranks that the open step still waits for: those that lack a header, or a contribution to some block. */
  waitingFor(): number[] {
    const missing = new Set(this.#headers.missing());
    for (const state of this.#blocks.values()) {
      if (state.block.kind === 'frozen' || state.applied) continue;
      for (let rank = 0; rank < this.#spec.workers; rank++) if (!state.arrived.has(rank)) missing.add(rank);
    }
    return [...missing].sort((a, b) => a - b);
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
    // Every worker begins with these very values: what is sent from now on are differences to them.
    if (state.codec.lossy)
      codecs.fp32.decode(this.#kernels, address, state.block.elements, 1, state.memory.held);
    for (const slot of state.memory.slots) this.#kernels.f32(slot, state.block.elements).fill(0);
    state.initialized = true;
    this.#uninitialized--;
    return this.initialized ? [...ack, { kind: 'initialized' }] : ack;
  }

  /** What a worker says of its step before its contributions. Throws Refused. */
  header(worker: number, step: number, header: Header): Effect[] {
    if (!this.initialized)
      throw refuse('STEP', `worker ${worker} sent a header before every block had its initial values`);
    const outcome = this.#headers.add(worker, step, header);
    if (!outcome) return [];
    const effects: Effect[] = [{ kind: 'outcome', outcome }];
    if (outcome.skipped) this.#skip(effects);
    else if (this.#open === 0) this.#close(effects);
    return effects;
  }

  /**
   * One worker's gradient of one block. A repeated one changes nothing and is acknowledged again.
   * Throws Refused; then nothing has changed.
   */
  contribution(worker: number, bulk: Bulk): Effect[] {
    const state = this.#state(bulk.block);
    const bytes = bulk.payload.byteLength;
    const { step } = bulk;
    if (state.block.kind === 'frozen')
      throw refuse(
        'UNKNOWN_BLOCK',
        `block ${bulk.block} of '${this.#spec.tensors[state.block.tensor].name}' is frozen and takes no gradient`,
      );
    const release: Effect = { kind: 'release', worker, bytes };
    if (step < this.step)
      return [{ kind: 'duplicate' }, { kind: 'ack', worker, step, block: bulk.block }, release];
    if (step > this.step || !this.#headers.has(worker))
      throw refuse(
        'STEP',
        `worker ${worker}: expected the header of step ${this.step} before block ${bulk.block} of step ${step}; send a header first`,
      );
    if (state.arrived.has(worker))
      return [
        { kind: 'duplicate' },
        ...(state.applied ? [{ kind: 'ack', worker, step, block: bulk.block } as const] : []),
        release,
      ];
    const early = state.turn !== worker;
    if (early && this.#heldBytes[worker] + bytes > PUSH_CREDIT_BYTES)
      throw refuse(
        'CREDIT',
        `worker ${worker}: expected at most ${PUSH_CREDIT_BYTES} bytes in flight, got ${this.#heldBytes[worker] + bytes}; wait for credit`,
      );
    const started = this.probe.now();
    const address = this.#stage(bulk, state, state.codec);
    this.probe.phase('decode', started);

    state.arrived.add(worker);
    if (early) {
      state.held.set(worker, { worker, codec: state.codec, scale: bulk.scale, payload: bulk.payload });
      this.#heldBytes[worker] += bytes;
      return [];
    }
    recycle(bulk.payload);
    const effects: Effect[] = [];
    this.#sum(state, worker, state.codec, bulk.scale, address);
    effects.push(release);
    for (let next = state.held.get(state.turn); next; next = state.held.get(state.turn)) {
      state.held.delete(next.worker);
      this.#heldBytes[next.worker] -= next.payload.byteLength;
      const staged = stagePayload(this.#kernels, next.payload, this.#map.incoming);
      recycle(next.payload);
      this.#sum(state, next.worker, next.codec, next.scale, staged);
      effects.push({ kind: 'release', worker: next.worker, bytes: next.payload.byteLength });
    }
    if (state.turn === this.#spec.workers) this.#apply(state, effects);
    return effects;
  }

  /** A block's values in a codec, in memory that the next call overwrites. Throws Refused. */
  encode(block: number, codecName: DirectCodecName): Encoded {
    const state = this.#state(block);
    const codec = codecs[codecName];
    return this.#encoded(state, codec, () =>
      codec.encode(
        this.#kernels,
        state.memory.values,
        state.block.elements,
        this.#map.outgoing,
        state.absmax,
      ),
    );
  }

  /**
   * What subscribers are sent of a block, in memory that the next call overwrites: its values, or with a lossy codec
   * the difference to what the workers hold. They are then taken to hold it, so this is called once an update; what
   * the codec left out is in the next difference. Throws Refused.
   */
  encodeUpdate(block: number): Encoded {
    const state = this.#state(block);
    const codec = state.updateCodec;
    if (!codec.lossy) return this.encode(block, codec.name);
    const kernels = this.#kernels;
    const { elements } = state.block;
    const { values, held } = state.memory;
    return this.#encoded(state, codec, () => {
      const scale = codec.encode(kernels, {
        gradient: values,
        residual: held,
        elements,
        lossScale: -1,
        absmax: kernels.absmaxOfSum(values, held, elements, -1),
        dst: this.#map.outgoing,
        next: this.#map.incoming,
      });
      // The workers do the same with the same bytes, and so hold the same bits.
      codec.accumulate(kernels, this.#map.outgoing, elements, scale, 1, held, false);
      return scale;
    });
  }

  #encoded(state: BlockState, codec: Codec, encode: () => number): Encoded {
    const { index: block, elements } = state.block;
    const started = this.probe.now();
    let scale: number;
    try {
      scale = encode();
    } catch (error) {
      if (!(error instanceof NonFiniteError)) throw error;
      throw refuse(
        'NOT_FINITE',
        `block ${block} of '${this.#spec.tensors[state.block.tensor].name}': expected finite parameters after ${state.version} updates, ` +
          `their largest magnitude is ${state.absmax ?? 'not finite'}; lower the learning rate`,
      );
    }
    this.probe.phase('encode', started);
    return {
      step: this.step + (state.applied ? 1 : 0),
      version: state.version,
      codec: codec.id,
      scale,
      payload: this.#kernels.u8(this.#map.outgoing, codec.payloadBytes(elements)),
    };
  }

  /** The codec in which a block travels to subscribers. */
  codecOf(block: number): Codec {
    return this.#state(block).updateCodec;
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
    if (!checksumMatches(bulk))
      throw refuse('CHECKSUM', `${where}: the payload is not the one whose checksum was sent; send it again`);
    const address = stagePayload(this.#kernels, bulk.payload, this.#map.incoming);
    const inside = expected.lossy && expected.payloadFault(this.#kernels, address, state.block.elements);
    if (inside) throw refuse('PAYLOAD', `${where}: ${inside}`);
    if (!expected.payloadFinite(this.#kernels, address, state.block.elements))
      throw refuse(
        'NOT_FINITE',
        `${where}: expected finite numbers, got NaN or infinity; say all_finite = false in the step header`,
      );
    return address;
  }

  #sum(state: BlockState, worker: number, codec: Codec, scale: number, address: number): void {
    const started = this.probe.now();
    const weight = this.#headers.weight(worker, state.block.kind === 'trainable');
    codec.accumulate(
      this.#kernels,
      address,
      state.block.elements,
      scale,
      weight,
      state.memory.accumulator,
      state.turn === 0,
    );
    state.turn++;
    this.probe.phase('aggregate', started);
  }

  #apply(state: BlockState, effects: Effect[]): void {
    const started = this.probe.now();
    const gradientScale = 1 / this.#headers.totalSamples();
    const { memory, block } = state;
    if (block.kind === 'state')
      this.#kernels.scaleF32(memory.accumulator, block.elements, gradientScale, memory.values);
    else
      state.absmax = applyOptimizer(
        this.#kernels,
        blockOptimizer(this.#spec.optimizer, this.#spec.codec, block),
        {
          memory,
          elements: block.elements,
          gradientScale,
          version: state.version,
        },
      );
    this.probe.phase('optimizer', started);
    state.version++;
    state.applied = true;
    this.#open--;
    for (const worker of state.arrived)
      effects.push({ kind: 'ack', worker, step: this.step, block: block.index });
    effects.push({ kind: 'updated', block: block.index });
    if (this.#open === 0) this.#close(effects);
  }

  #skip(effects: Effect[]): void {
    for (const state of this.#blocks.values()) {
      for (const worker of state.arrived)
        effects.push({ kind: 'ack', worker, step: this.step, block: state.block.index });
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
    effects.push({ kind: 'closed', step: this.step });
    this.#headers.next();
  }
}
