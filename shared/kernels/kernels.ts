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

  /** dst = fp16(src · scale), to nearest even; infinity beyond the range. */
  packF16(src: number, elements: number, scale: number, dst: number): void;
  /** dst = fp32(src) · factor, from fp16. */
  unpackF16(src: number, elements: number, factor: number, dst: number): void;
  /** acc += fp32(src) · factor, from fp16. */
  addF16(src: number, elements: number, factor: number, acc: number): void;
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
