// What a codec is: how a block of fp32 becomes the payload of a contribution (or of new parameters) and comes
// back. Encoding stands at the end of a worker's step and of a server's, decoding at the start of the sum over
// workers. All of it works on addresses in the kernels' memory, without a copy.
import type { Kernels, RoundingKey } from '../kernels/kernels.js';

/** Names of the codecs, with the numbers they have on the wire (`Codec` in the proto). */
export const CODEC_IDS = { fp32: 1, fp16: 2, bf16: 3, int8: 4, topk: 5, sign: 6 } as const;

export type CodecName = keyof typeof CODEC_IDS;
/** Codecs that lose so much that it must be sent later: a residual on the way up, differences on the way down. */
export type LossyCodecName = 'int8' | 'topk' | 'sign';
/** Codecs that round each element by itself, and so little that a residual would not pay for its memory. */
export type DirectCodecName = Exclude<CodecName, LossyCodecName>;

/** From here on a lossy codec refuses: what its decoder multiplies stays below fp32's largest number. */
export const LOSSY_MAGNITUDE_LIMIT = 2 ** 126;

/** What every codec has: everything but the encoding. */
export interface Decoder {
  readonly name: CodecName;
  readonly id: number;
  /** Whether blocks carry a scale; without, it is always 1. */
  readonly scaled: boolean;
  /**
   * Magnitudes that can be encoded are below this; NaN and infinity never are. Whoever writes a step header
   * compares the largest magnitude of each block with it, and says "not finite" if one is not below.
   */
  readonly magnitudeLimit: number;
  /** Exact length of the payload of a block. */
  payloadBytes(elements: number): number;
  /** Decodes a checked payload at `src` to `elements` fp32 at `dst`. */
  decode(kernels: Kernels, src: number, elements: number, scale: number, dst: number): void;
  /** acc = (first ? 0 : acc) + weight · decoded, in one pass. */
  accumulate(
    kernels: Kernels,
    src: number,
    elements: number,
    scale: number,
    weight: number,
    acc: number,
    first: boolean,
  ): void;
  /** Whether the payload holds neither NaN nor infinity: a pass over the payload, without decoding it. */
  payloadFinite(kernels: Kernels, src: number, elements: number): boolean;
}

export interface DirectCodec extends Decoder {
  readonly name: DirectCodecName;
  readonly lossy: false;
  /**
   * Encodes `elements` fp32 at `src` to `payloadBytes(elements)` bytes at `dst`.
   * @param absmax largest magnitude of the block, where the caller has it already (optimizers return it)
   * @returns the block's scale, a power of two
   * @throws NonFiniteError if a magnitude is NaN or not below `magnitudeLimit`
   */
  encode(kernels: Kernels, src: number, elements: number, dst: number, absmax?: number): number;
}

/** One lossy encoding: addresses of fp32 arrays of `elements`, but for `dst`. */
export interface LossyEncoding {
  gradient: number;
  /** What was left out before, unscaled: in units of the gradient without its loss scale. */
  residual: number;
  elements: number;
  /** The power of two that the gradient was multiplied by. */
  lossScale: number;
  /** Room of BLOCK_PAYLOAD_MAX_BYTES for the payload. */
  dst: number;
  /** Becomes the residual once the contribution counts; neither of the other two, which stay as they are. */
  next: number;
  /** int8 alone: rounds by chance, with bits that depend on this key; else to nearest. */
  rounding?: RoundingKey;
  /** topk alone, with momentum at the server: what makes up for it. */
  correction?: MomentumCorrection;
}

/**
 * Momentum at the worker, before the selection: velocity = momentum · velocity + gradient is what is sent or kept, and
 * where an element is sent its velocity begins again. The residual then holds momentum · velocity too, so that what
 * is encoded is still gradient + residual. Lin et al., "Deep gradient compression", ICLR 2018, section 3.
 */
export interface MomentumCorrection {
  momentum: number;
  /** Addresses of fp32 arrays, unscaled as the residual: the one that counts, and the next. */
  velocity: number;
  nextVelocity: number;
}

/** One difference of a block's new values to what whoever receives them holds: addresses of fp32 arrays. */
export interface DifferenceEncoding {
  /**
   * Addresses of the accumulator and its marks, where a codec has `marked` and they tell where values have changed: then
   * no more is looked at.
   */
  marked?: { acc: number; marks: number };
  values: number;
  /** Has the decoded difference added to it, with the bits that `accumulate` with weight 1 gives. */
  held: number;
  elements: number;
  /** Room of BLOCK_PAYLOAD_MAX_BYTES for the payload. */
  dst: number;
}

/** The scale of an encoded block, and the largest magnitude of what was encoded. */
export interface LossyEncoded {
  scale: number;
  absmax: number;
}

/** Sums of few elements, as lists in the place of the accumulator: see kernels/assembly/topk-marked.ts. */
export interface MarkedSums {
  /** How many elements of a block a payload brings. */
  count(elements: number): number;
  /** As the codec's `accumulate`. */
  accumulate(
    kernels: Kernels,
    src: number,
    elements: number,
    scale: number,
    weight: number,
    acc: number,
    marks: number,
    first: boolean,
  ): void;
}

export interface LossyCodec extends Decoder {
  readonly name: LossyCodecName;
  readonly lossy: true;
  /**
   * Encodes gradient + residual · lossScale; the same arrays give the same bytes again. No element of `next`, nor of
   * a velocity before momentum, is larger than `absmax` / lossScale and a rounding.
   * @throws NonFiniteError if an element is NaN or not below `magnitudeLimit`; `next` and `dst` then hold nothing
   */
  encode(kernels: Kernels, encoding: LossyEncoding): LossyEncoded;
  /**
   * Encodes values - held, and what that leaves is in the next difference.
   * @throws NonFiniteError if an element of it is NaN or not below `magnitudeLimit`; `held` is then spoilt
   */
  encodeDifference(kernels: Kernels, encoding: DifferenceEncoding): LossyEncoded;
  /** There where a payload brings so few elements of a block that its sum, too, is of few: what is done with these alone. */
  readonly marked?: MarkedSums;
  /** What is wrong with a payload of the right length, as a sentence; asked before any other kernel reads it. */
  payloadFault(kernels: Kernels, src: number, elements: number): string | undefined;
}

export type Codec = DirectCodec | LossyCodec;

/** A block to be encoded holds what the codec has no number for. The step header's verdict comes before this. */
export class NonFiniteError extends Error {
  override readonly name = 'NonFiniteError';
}

/**
 * The largest magnitude of a block, if the codec can encode it.
 * @throws NonFiniteError if it is NaN or not below the codec's limit
 */
export function encodableAbsmax(codec: Codec, absmax: number): number {
  if (!(absmax < codec.magnitudeLimit)) {
    throw new NonFiniteError(
      `A block to be encoded in ${codec.name} holds ${absmax}, magnitudes below ${codec.magnitudeLimit} were expected; skip the step.`,
    );
  }
  return absmax;
}
