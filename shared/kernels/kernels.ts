// The numeric kernels (WebAssembly SIMD over one shared memory) as typed methods. Pointers are byte addresses
// in that memory, counts are elements; no alignment is asked for. An access outside the memory traps.
// Stands under the codecs, the sum over workers and the optimizers; ./plain/ holds a twin of each kernel that
// gives the same bits (NaN apart: which NaN it is differs between processors).
import type { WasmMemory } from './webassembly.js';

/** Where one sgd step reads and writes: addresses of fp32 arrays; scalars are rounded to fp32. */
export interface SgdStep {
  param: number;
  /** Sum of gradients; the step takes `gradient · gradientScale`. */
  gradient: number;
  elements: number;
  /** One over the number of samples behind the sum, so that no pass of its own makes it a mean. */
  gradientScale: number;
  learningRate: number;
}

export interface MomentumStep extends SgdStep {
  velocity: number;
  momentum: number;
  nesterov: boolean;
}

/**
 * `stepSize` and `epsilon` carry the bias corrections: see `adamScalars`. Products of scalars are formed in float64
 * before they are rounded, so whoever repeats a step needs the same float64, not their fp32.
 */
export interface AdamStep extends Omit<SgdStep, 'learningRate'> {
  firstMoment: number;
  secondMoment: number;
  beta1: number;
  beta2: number;
  stepSize: number;
  epsilon: number;
}

/** A lossy encoding with its residual: addresses of fp32 arrays, but for `dst`, where the payload goes. */
export interface LossyStep {
  gradient: number;
  residual: number;
  elements: number;
  /** What the residual is multiplied by: a power of two, as is then one over it. */
  factor: number;
  dst: number;
  /** The next residual: neither of the other two, so that the step can be repeated. */
  next: number;
}

/** What the random bits of stochastic rounding depend on, and nothing else. */
export interface RoundingKey {
  seed: number;
  worker: number;
  step: number;
  block: number;
}

/** Bytes of the marks of a block: see assembly/topk-marked.ts. New ones are zeros. */
export const MARKS_BYTES = 64;

/** A difference of which marks tell where it is, and lists in the accumulator `acc`. */
export interface MarkedDifference extends DifferenceStep, TopKWork {
  acc: number;
  marks: number;
}

/** One difference that is encoded: `held` is what both ends hold, and has the decoded difference in it afterwards. */
export interface DifferenceStep {
  values: number;
  held: number;
  elements: number;
  dst: number;
}

/** Room that a selection of the `k` largest needs at least: for counts, and for a list of k positions and values. */
export const topkWorkBytes = (k: number): number => 25 * 1024 + 8 * k;

/** Where `gatherTopK` lists what may travel and `packTopK` selects from it, in `bytes`: the more, the longer the list. */
export interface TopKWork {
  work: number;
  bytes: number;
}

/** Momentum at the worker: see MomentumCorrection in the codecs. */
export interface VelocityStep {
  momentum: number;
  velocity: number;
  nextVelocity: number;
}

/** Where the pass before an optimizer reads and writes. `clipValue` may be Infinity, `l1` and `l2` zero. */
export interface PrepareStep {
  gradient: number;
  param: number;
  elements: number;
  gradientScale: number;
  clipValue: number;
  l1: number;
  l2: number;
}

export interface AdagradStep extends SgdStep {
  /** Sum of squared gradients. */
  sum: number;
  epsilon: number;
}

export interface RmspropStep extends SgdStep {
  /** Running mean of squared gradients. */
  square: number;
  /** Used, and an address, only where `momentum` is above 0. */
  velocity?: number;
  /** Running mean of gradients: where given, the variance takes the place of the mean square. */
  mean?: number;
  decay: number;
  momentum: number;
  epsilon: number;
}

/** `decayRate` is learning rate times weight decay. */
export interface AdamwStep extends AdamStep {
  decayRate: number;
}

/** As Adam's, with a learning rate of 1 in `stepSize`: the direction alone. */
export interface LambDirection extends AdamStep {
  weightDecay: number;
}

export interface LionStep extends SgdStep {
  moment: number;
  beta1: number;
  beta2: number;
  /** Learning rate times weight decay. */
  decayRate: number;
}

export interface Kernels {
  /** Shared between threads, and of fixed size: growth would leave older views short. */
  readonly memory: WasmMemory;
  /** Everything from this address up belongs to the caller. */
  readonly firstFreeByte: number;

  /** dst = fp16(src · scale), to nearest even; products of 65,520 and more, and NaN, come out as any bits. */
  packF16(src: number, elements: number, scale: number, dst: number): void;
  /** dst = fp32(src) · factor, from fp16. */
  unpackF16(src: number, elements: number, factor: number, dst: number): void;
  /** acc += fp32(src) · factor, from fp16. */
  addF16(src: number, elements: number, factor: number, acc: number): void;
  /** dst = fp16(src · 2^exponent) of rows of finite numbers, each with an exponent of its own (a signed byte). */
  packRowsF16(src: number, rows: number, width: number, dst: number, exponents: number): void;
  /** The way back; returns the rows that were unpacked, fewer where an exponent is outside of -112 to 126. */
  unpackRowsF16(src: number, exponents: number, rows: number, width: number, dst: number): number;
  /** dst = bf16(src), to nearest even. */
  packBf16(src: number, elements: number, dst: number): void;
  /** dst = fp32(src) · factor, from bf16. */
  unpackBf16(src: number, elements: number, factor: number, dst: number): void;
  /** acc += fp32(src) · factor, from bf16. */
  addBf16(src: number, elements: number, factor: number, acc: number): void;
  /** dst = src · factor; dst may be src. */
  scaleF32(src: number, elements: number, factor: number, dst: number): void;
  /** acc += src · factor. */
  addF32(src: number, elements: number, factor: number, acc: number): void;
  /** dst = src, byte for byte; the ranges may overlap. */
  copyBytes(src: number, bytes: number, dst: number): void;

  /** Largest magnitude: NaN if any is NaN, else Infinity if any is infinite; 0 of no elements. */
  absmax(src: number, elements: number): number;
  allFinite(src: number, elements: number): boolean;
  allFiniteF16(src: number, elements: number): boolean;
  allFiniteBf16(src: number, elements: number): boolean;
  /** The low 32 bits of the XXH64 (seed 0) of some bytes: the checksum of a payload. */
  xxh64(src: number, bytes: number): number;
  /** In float64, in an order that depends on `elements` alone. */
  sumOfSquares(src: number, elements: number): number;

  /** p -= learningRate · g. Like the other two: in place, returns `absmax` of the new parameters. */
  sgd(step: SgdStep): number;
  /** u = momentum · u + g; p -= learningRate · (nesterov ? g + momentum · u : u). */
  momentum(step: MomentumStep): number;
  /** m = β1 · m + (1 - β1) · g; v = β2 · v + (1 - β2) · g²; p -= stepSize · m / (√v + epsilon). */
  adam(step: AdamStep): number;
  /** g = clamp(g · gradientScale, ±clipValue) + 2 · l2 · p + l1 · sign(p), in place: what follows takes a scale of 1. */
  prepareGradient(step: PrepareStep): void;
  /** a += g²; p -= learningRate · g / √(a + epsilon). */
  adagrad(step: AdagradStep): number;
  /**
   * s = decay · s + (1 - decay) · g²; d = learningRate · g / √(s + epsilon); with momentum u = momentum · u + d in its
   * place; p -= d. With `mean`: m = decay · m + (1 - decay) · g, and s - m² in place of s under the root.
   */
  rmsprop(step: RmspropStep): number;
  /** As adam, and p -= decayRate · p in the same step. */
  adamw(step: AdamwStep): number;
  /** p -= learningRate · sign(β1 · m + (1 - β1) · g) + decayRate · p; m = β2 · m + (1 - β2) · g. */
  lion(step: LionStep): number;
  /**
   * Lamb's first pass: moments as adam's, gradient = stepSize · m / (√v + epsilon) + weightDecay · p. Its second is
   * `sgd` on that gradient, the learning rate times the trust ratio of the whole tensor (shared/optimizer/norms.ts).
   */
  lambDirection(step: LambDirection): void;

  /** `absmax` of a + b · factor, which is written nowhere. */
  absmaxOfSum(a: number, b: number, elements: number, factor: number): number;
  /**
   * dst = int8(gradient + residual · factor), a scale a group; what that leaves, divided by factor, is next. Like all
   * that encode with a residual returns `absmax` of the sum: what is written means something if that is finite.
   */
  packI8(step: LossyStep): number;
  /** The same, rounded up or down by chance; 255 bytes behind the payload are overwritten. */
  packRandomI8(step: LossyStep, key: RoundingKey): number;
  /** dst = int8(values - held), a scale a group; held += decoded. */
  packDifferenceI8(step: DifferenceStep): number;
  /** dst = fp32(src) · factor, from int8. */
  unpackI8(src: number, elements: number, factor: number, dst: number): void;
  /** acc += fp32(src) · factor, from int8. */
  addI8(src: number, elements: number, factor: number, acc: number): void;
  /** As packI8, with one bit an element and a magnitude a group. */
  packSign(step: LossyStep): number;
  packDifferenceSign(step: DifferenceStep): number;
  /** dst = fp32(src) · factor, from signs. */
  unpackSign(src: number, elements: number, factor: number, dst: number): void;
  /** acc += fp32(src) · factor, from signs. */
  addSign(src: number, elements: number, factor: number, acc: number): void;
  /**
   * Lists candidates for the k largest of gradient + residual · factor, and writes what is left if none of them
   * travels: next = sum / factor; with a velocity nextVelocity = gradient / factor + momentum · velocity, of which
   * next has momentum times as much in it. Returns `absmax` of the sum.
   */
  gatherTopK(step: LossyStep & TopKWork, k: number, velocity?: VelocityStep): number;
  /** dst = the k largest in fp16 of sum · scale, after `gatherTopK` with the same step; there next is what is left. */
  packTopK(step: LossyStep & TopKWork, k: number, scale: number, velocity?: VelocityStep): void;
  /** The same two for values - held; held += decoded. */
  gatherDifferenceTopK(step: DifferenceStep & TopKWork, k: number): number;
  packDifferenceTopK(step: DifferenceStep & TopKWork, k: number, scale: number): void;
  /** dst = decoded · factor, zeros but at the k positions of a checked payload; 8 · k bytes at `work` are used. */
  unpackTopK(src: number, elements: number, k: number, factor: number, dst: number, work: number): void;
  /** acc += decoded · factor at the k positions of a checked payload; the factor holds one over the scale. */
  addTopK(src: number, elements: number, k: number, factor: number, acc: number, work: number): void;
  /**
   * As unpackTopK where `first`, else addTopK, into a list that takes the place of the accumulator: all that is added to a
   * sum has at most an eighth of the elements.
   */
  addMarkedTopK(
    src: number,
    elements: number,
    k: number,
    factor: number,
    acc: number,
    marks: number,
    first: boolean,
  ): void;
  /** dst = the sum in such a list, as an array. */
  expandMarked(acc: number, elements: number, marks: number, dst: number): void;
  /** As sgd with such a sum; returns `absmax` of what it has changed. */
  sgdMarked(step: SgdStep, marks: number): number;
  /** As gatherDifferenceTopK and packDifferenceTopK, where values have changed by sgdMarked alone. */
  gatherMarkedTopK(step: MarkedDifference, k: number): number;
  packMarkedTopK(step: MarkedDifference, k: number, scale: number): void;
  /** Values or held have changed elsewhere; `equal`: they are equal everywhere, and nothing is pending. */
  forgetMarks(marks: number, equal: boolean): void;
  /** What is wrong with a payload of k positions: a number explained in assembly/topk.ts; 0: nothing. */
  faultTopK(src: number, elements: number, k: number): number;

  f32(pointer: number, elements: number): Float32Array<SharedArrayBuffer>;
  u16(pointer: number, elements: number): Uint16Array<SharedArrayBuffer>;
  u8(pointer: number, bytes: number): Uint8Array<SharedArrayBuffer>;
}

/**
 * The scalars of Adam's step `step` (from 1), bias corrections c1 = 1 - β1^step and c2 = 1 - β2^step folded in:
 * lr · (m / c1) / (√(v / c2) + ε) = (lr · √c2 / c1) · m / (√v + ε · √c2).
 * Computed once, by the primary, and sent to whoever repeats the step: `Math.pow` may differ between versions.
 * Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 2.
 */
export function adamScalars(
  step: number,
  options: { learningRate: number; beta1: number; beta2: number; epsilon: number },
): { stepSize: number; epsilon: number } {
  const c1 = 1 - options.beta1 ** step;
  const root = Math.sqrt(1 - options.beta2 ** step);
  return {
    stepSize: Math.fround((options.learningRate * root) / c1),
    epsilon: Math.fround(options.epsilon * root),
  };
}
