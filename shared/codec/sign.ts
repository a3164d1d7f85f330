// One bit an element and one magnitude a block, the mean of the magnitudes: a 32nd of fp32. Useless without the
// residual, with it as good a direction as the gradient in the long run.
// Karimireddy, Rebjock, Stich and Jaggi, "Error feedback fixes SignSGD and other gradient compression schemes",
// ICML 2019.
import { CODEC_IDS, encodableAbsmax, LOSSY_MAGNITUDE_LIMIT, type LossyCodec } from './codec.js';

export const sign: LossyCodec = {
  name: 'sign',
  id: CODEC_IDS.sign,
  lossy: true,
  scaled: true,
  magnitudeLimit: LOSSY_MAGNITUDE_LIMIT,
  payloadBytes: (elements) => Math.ceil(elements / 8),
  encode(kernels, { lossScale, absmax, ...step }) {
    encodableAbsmax(sign, absmax);
    return kernels.packSign({ ...step, factor: lossScale });
  },
  decode: (kernels, src, elements, scale, dst) => kernels.unpackSign(src, elements, scale, dst),
  accumulate(kernels, src, elements, scale, weight, acc, first) {
    if (first) kernels.unpackSign(src, elements, scale * weight, acc);
    else kernels.addSign(src, elements, scale * weight, acc);
  },
  /** Every string of bits is finite; the magnitude is checked with the envelope. */
  payloadFinite: () => true,
  payloadFault(kernels, src, elements) {
    const used = elements % 8;
    if (used === 0 || kernels.u8(src + (elements >> 3), 1)[0] >> used === 0) return undefined;
    return `The last byte of ${elements} signs uses ${used} bits, this one has others set.`;
  },
};
