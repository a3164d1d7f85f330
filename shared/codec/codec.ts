// What a codec is: how a block of fp32 becomes the payload of a contribution (or of new parameters) and comes
// back. Encoding stands at the end of a worker's step and of a server's, decoding at the start of the sum over
// workers. All of it works on addresses in the kernels' memory, without a copy.
import type { Kernels } from '../kernels/kernels.js';

/** Names of the codecs, with the numbers they have on the wire (`Codec` in the proto). */
export const CODEC_IDS = { fp32: 1, fp16: 2, bf16: 3 } as const;

export type CodecName = keyof typeof CODEC_IDS;

export interface Codec {
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
  /**
   * Encodes `elements` fp32 at `src` to `payloadBytes(elements)` bytes at `dst`.
   * @param absmax largest magnitude of the block, where the caller has it already (optimizers return it)
   * @returns the block's scale, a power of two
   * @throws NonFiniteError if a magnitude is NaN or not below `magnitudeLimit`
   */
  encode(kernels: Kernels, src: number, elements: number, dst: number, absmax?: number): number;
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

/** A block to be encoded holds what the codec has no number for. The step header's verdict comes before this. */
export class NonFiniteError extends Error {
  override readonly name = 'NonFiniteError';
}

/**
 * The largest magnitude of a block, measured unless it is known.
 * @throws NonFiniteError if it is NaN or not below the codec's limit
 */
export function encodableAbsmax(
  codec: Codec,
  kernels: Kernels,
  src: number,
  elements: number,
  known?: number,
): number {
  const absmax = known ?? kernels.absmax(src, elements);
  if (!(absmax < codec.magnitudeLimit)) {
    throw new NonFiniteError(
      `A block to be encoded in ${codec.name} holds ${absmax}, magnitudes below ${codec.magnitudeLimit} were expected; skip the step.`,
    );
  }
  return absmax;
}
