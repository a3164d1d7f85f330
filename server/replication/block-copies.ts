// A block of one copy of a shard in another: its last update to be repeated there, or all its arrays to be taken as they
// are; and what tells whether they are equal. Functions over the blocks of a shard; what goes when and to whom is decided in copies.ts and backup-link.ts.
import { type Codec, type LossyCodec, NonFiniteError } from '../../shared/codec/codec.js';
import { checkPayload } from '../../shared/codec/registry.js';
import { applyOptimizer, scalarsOf, type UpdateScalars } from '../../shared/optimizer/apply.js';
import type { Bulk } from '../../shared/rpc/bulk.js';
import { stagePayload } from '../../shared/rpc/frame.js';
import { refuse } from '../../shared/rpc/refusal.js';
import type { BlockState, Summed } from '../block-state.js';
import { addToSum, releaseSum, sumAsArray, sumIsElsewhere } from '../block-sums.js';
import { keepUndo } from '../block-undo.js';
import type { ShardBlocks } from '../shard-blocks.js';

/** The last update of a block, for whoever is to repeat it. */
export interface UpdateRecord {
  readonly step: number;
  /** Updates before it. */
  readonly version: number;
  readonly scalars: UpdateScalars;
  /** Its sum: fp32, in the shard's memory, where the next sum or encoding overwrites it. */
  sum(): Uint8Array;
  /** Contributions in it. */
  readonly parts: number;
}

/** A contribution that has just been added to a block's sum. The payload is the kernels' memory: the next one overwrites it. */
export interface SummedPart {
  readonly block: number;
  readonly step: number;
  readonly codec: number;
  readonly scale: number;
  readonly weight: number;
  /** The sum begins with it. */
  readonly first: boolean;
  readonly payload: Uint8Array;
  /** Whether as many of its size as there are workers are fewer bytes than their sum. */
  readonly isSmaller: boolean;
}

/** What a block has come to: equal where two copies of it are. */
export interface BlockSums {
  readonly block: number;
  /** Updates of it. */
  readonly version: number;
  /** The low 32 bits of the XXH64 of each array, in the order of `stateOf`. */
  readonly checksums: readonly number[];
}

/**
 * Reads every array of a block once; there are no checksums where it has no values yet. Throws Refused where the block is
 * not of this shard.
 */
export function sumsOf(blocks: ShardBlocks, block: number): BlockSums {
  if (!blocks.state(block).initialized) return { block, version: 0, checksums: [] };
  const started = blocks.probe.now();
  const { version, arrays } = blocks.stateOf(block);
  const checksums = [...arrays.values()].map(({ byteOffset, byteLength }) =>
    blocks.kernels.xxh64(byteOffset, byteLength),
  );
  blocks.probe.phase('replicate', started);
  return { block, version, checksums };
}

/** The update that a block has just had. */
export function lastUpdate(blocks: ShardBlocks, block: number): UpdateRecord {
  const state = blocks.state(block);
  const { version, gradientScale, optimizer, rule, block: of, summed } = state;
  const { min: decided } = blocks.clocks.clocksOf(block);
  const [step, before] = [decided - 1, version - 1];
  const scalars =
    of.kind === 'state'
      ? { gradientScale, learningRate: 0 }
      : scalarsOf(optimizer, { version: before, step, rule, gradientScale });
  return {
    step,
    version: before,
    scalars,
    sum: () => sumAsArray(blocks, state),
    parts: summed,
  };
}

/** What is told of a contribution that was summed. */
export function summedPart(
  blocks: ShardBlocks,
  block: number,
  codec: Codec,
  { address, ...how }: Summed,
): SummedPart {
  const { elements } = blocks.state(block).block;
  const bytes = codec.payloadBytes(elements);
  return {
    ...{ block, step: blocks.clocks.step, codec: codec.id },
    ...how,
    payload: blocks.kernels.u8(address, bytes),
    isSmaller: bytes * blocks.workers < 4 * elements,
  };
}

/** The checksum of an array or a payload in the memory of the kernels. */
export function sumOf({ kernels }: ShardBlocks, { byteOffset, byteLength }: Uint8Array): number {
  return kernels.xxh64(byteOffset, byteLength);
}

/** Adds a contribution to a block's sum, as another copy of this shard did. Throws Refused; then nothing has changed. */
export function addPart(blocks: ShardBlocks, bulk: Bulk): void {
  const started = blocks.probe.now();
  const state = blocks.state(bulk.block);
  const { block, position } = state;
  const where = `block ${bulk.block} of '${blocks.nameOf(block)}'`;
  const [weight] = bulk.scalars ?? [];
  const codec = blocks.codecs(bulk.step)[position];
  // `fetched` is in the place of ReplicaPart.first.
  const first = bulk.fetched;
  if (block.kind === 'frozen' || (!first && (state.summed === 0 || state.summedStep !== bulk.step)))
    throw refuse(
      'STEP',
      `${where}: expected the first contribution of step ${bulk.step}, got another; copy it again`,
    );
  if (bulk.codec !== codec.id || bulk.scalars?.length !== 1 || !Number.isFinite(weight))
    throw refuse(
      'MALFORMED',
      `${where}: expected a contribution in ${codec.name} with a finite weight, got codec ${bulk.codec} and [${bulk.scalars ?? ''}]; run the same gradloom on every node`,
    );
  const fault = checkPayload(codec, block.elements, bulk.payload.byteLength, bulk.scale);
  if (fault) throw refuse('PAYLOAD', `${where}: ${fault}`);
  if (!first && state.summed >= blocks.workers)
    throw refuse(
      'STEP',
      `${where}: expected at most ${blocks.workers} contributions of step ${bulk.step}, got one more; copy it again`,
    );
  const address = stageChecked(blocks, bulk);
  const inside = codec.lossy && codec.payloadFault(blocks.kernels, address, block.elements);
  if (inside) throw refuse('PAYLOAD', `${where}: ${inside}`);
  addToSum(blocks, state, bulk.step, { address, scale: bulk.scale, weight, first });
  blocks.probe.phase('replicate', started);
}

/** Repeats the update of another copy of this shard. Throws Refused; then nothing has changed. */
export function repeat(blocks: ShardBlocks, bulk: Bulk): void {
  const started = blocks.probe.now();
  const state = blocks.state(bulk.block);
  const { memory, block, version, optimizer } = state;
  const where = `block ${bulk.block} of '${blocks.nameOf(block)}'`;
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
  // `clockMin` is in the place of ReplicaUpdate.parts.
  const parts = bulk.clockMin;
  if (parts > 0 && (parts !== state.summed || state.summedStep !== bulk.step || bulk.payload.byteLength > 0))
    throw refuse(
      'STEP',
      `${where}: expected ${parts} contributions of step ${bulk.step} before their update, got ${state.summedStep === bulk.step ? state.summed : 0}; copy it again`,
    );
  const accumulator = parts > 0 ? memory.accumulator : stageArray(blocks, bulk, state);
  if (parts === 0) sumIsElsewhere(blocks, state);
  keepUndo(blocks.kernels, state, bulk.step);
  if (block.kind === 'state')
    blocks.kernels.scaleF32(accumulator, block.elements, gradientScale, memory.values);
  else
    blocks.changed(
      state,
      applyOptimizer(blocks.kernels, optimizer, {
        ...blocks.update(state, gradientScale),
        memory: { ...memory, accumulator },
        prepared: { gradientScale, learningRate, stepSize, epsilon },
      }),
    );
  releaseSum(blocks, state);
  state.version++;
  // What is sent to subscribers is taken to be what they hold, here as there.
  const codec = blocks.updateCodecs(bulk.step)[state.position];
  if (codec.lossy) encodeDifference(blocks, state, codec);
  blocks.probe.phase('replicate', started);
}

/**
 * Takes a block as another copy of this shard has it: all its arrays, in the order of `stateOf`. Throws Refused; then
 * nothing has changed.
 */
export function replace(blocks: ShardBlocks, bulks: readonly Bulk[]): void {
  const [{ block: index, version, step }] = bulks;
  const state = blocks.state(index);
  const arrays = [...blocks.stateOf(index).arrays.values()];
  if (bulks.length !== arrays.length || bulks.some(({ block, codec }, at) => block !== index || codec !== at))
    throw refuse(
      'MALFORMED',
      `block ${index}: expected its ${arrays.length} arrays in order, got ${bulks.map(({ block, codec }) => `array ${codec} of block ${block}`).join(', ')}`,
    );
  for (const bulk of bulks) stageArray(blocks, bulk, state);
  // What a block was before its last update is no better than the block, where that was not as it should be.
  const was = state.memory.undo.length > 0 ? sumsOf(blocks, index) : undefined;
  if (was?.version === version && was.checksums.some((sum, at) => sum !== bulks[at].checksum))
    state.undoStep = undefined;
  for (const [at, array] of arrays.entries()) {
    const address = stageArray(blocks, bulks[at], state);
    blocks.kernels.u8(array.byteOffset, array.byteLength).set(blocks.kernels.u8(address, array.byteLength));
  }
  blocks.restored(index, version);
  if (version > 0) state.updateStep = step - 1;
  const codec = blocks.updateCodecs(step - 1)[state.position];
  // `fetched` is in the place of ReplicaArray.due.
  if (bulks.at(-1)?.fetched && codec.lossy) encodeDifference(blocks, state, codec);
}

/** Moves what the workers hold. Numbers that are not finite are sent to nobody: the primary says so, and nothing moves. */
function encodeDifference(blocks: ShardBlocks, state: BlockState, codec: LossyCodec): void {
  try {
    blocks.encodeDifference(state, codec);
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
  }
}

/** Checks an fp32 array of a block and copies it to where the kernels read it: returns the address. */
function stageArray(blocks: ShardBlocks, bulk: Bulk, { block }: BlockState): number {
  const bytes = bulk.payload.byteLength;
  if (bytes !== 4 * block.elements)
    throw refuse('PAYLOAD', `block ${bulk.block}: expected ${4 * block.elements} bytes, got ${bytes}`);
  return stageChecked(blocks, bulk);
}

function stageChecked(blocks: ShardBlocks, { block, payload, checksum }: Bulk): number {
  const address = stagePayload(blocks.kernels, payload, blocks.map.incoming);
  if (blocks.kernels.xxh64(address, payload.byteLength) !== checksum)
    throw refuse(
      'CHECKSUM',
      `block ${block}: the payload is not the one whose checksum was sent; send it again`,
    );
  return address;
}
