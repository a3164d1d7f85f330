// fp16 with one power-of-two scale a block, chosen so that the largest magnitude lands in [2^14, 2^15) when it
// is rounded (not before: then what was decoded encodes to the same bytes again). The block uses fp16's range from the top, so that small gradients don't vanish below 6e-8 and none overflows.
// (After Micikevicius et al., "Mixed precision training", ICLR 2018, with a scale a block instead of one a run.)
import { CODEC_IDS, type DirectCodec, encodableAbsmax } from './codec.js';

/** Exponent of the largest scaled magnitude. */
const TOP_EXPONENT = 14;
/** The inverse of the scale stays a normal fp32. */
export const FP16_SCALE_MAX = 2 ** 126;
/** No finite fp16 divided by the scale is beyond fp32. */
export const FP16_SCALE_MIN = 2 ** -112;

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** What fp16's rounding to eleven bits can carry into: half a unit in the last place, as bits of an fp32. */
const HALF_UNIT = 0x1000;

/** Exponent of a positive fp32 once it is rounded to fp16's precision; -127 of subnormals. */
function roundedExponent(x: number): number {
  float[0] = x;
  return ((bits[0] + HALF_UNIT) >>> 23) - 127;
}

/** The scale of a block whose largest magnitude is `absmax`: a power of two, 1 for a block of zeros. */
export function fp16Scale(absmax: number): number {
  if (absmax === 0) return 1;
  return Math.min(2 ** (TOP_EXPONENT - roundedExponent(absmax)), FP16_SCALE_MAX);
}

export const fp16: DirectCodec = {
  name: 'fp16',
  id: CODEC_IDS.fp16,
  lossy: false,
  scaled: true,
  /** What rounds to 2^127 or more would need a smaller scale than FP16_SCALE_MIN. */
  magnitudeLimit: (2 - 2 ** -11) * 2 ** 126,
  payloadBytes: (elements) => elements * 2,
  encode(kernels, src, elements, dst, absmax) {
    const scale = fp16Scale(encodableAbsmax(fp16, absmax ?? kernels.absmax(src, elements)));
    kernels.packF16(src, elements, scale, dst);
    return scale;
  },
  decode: (kernels, src, elements, scale, dst) => kernels.unpackF16(src, elements, 1 / scale, dst),
  accumulate(kernels, src, elements, scale, weight, acc, first) {
    if (first) kernels.unpackF16(src, elements, weight / scale, acc);
    else kernels.addF16(src, elements, weight / scale, acc);
  },
  payloadFinite: (kernels, src, elements) => kernels.allFiniteF16(src, elements),
};
