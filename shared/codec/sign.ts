// One bit an element and one fp32 magnitude, the mean, for every 2048: a 32nd of fp32. Useless without the residual,
// with it as good a direction as the gradient in the long run. A mean for fewer elements than a block is nearer to
// each of them, and can be taken while they are in the first-level cache.
// Karimireddy, Rebjock, Stich and Jaggi, "Error feedback fixes SignSGD and other gradient compression schemes",
// ICML 2019, which has one mean a tensor.
import { CODEC_IDS, encodableAbsmax, type LossyCodec } from './codec.js';

const GROUP_ELEMENTS = 2048;
/** The sum over a group stays below fp32's largest number. */
const MAGNITUDE_LIMIT = 2 ** 112;

const groupsOf = (elements: number) => Math.ceil(elements / GROUP_ELEMENTS);

export const sign: LossyCodec = {
  name: 'sign',
  id: CODEC_IDS.sign,
  lossy: true,
  scaled: false,
  magnitudeLimit: MAGNITUDE_LIMIT,
  payloadBytes: (elements) => 4 * groupsOf(elements) + Math.ceil(elements / 8),
  encode: (kernels, { lossScale, ...arrays }) => ({
    scale: 1,
    absmax: encodableAbsmax(sign, kernels.packSign({ ...arrays, factor: lossScale })),
  }),
  encodeDifference: (kernels, step) => ({
    scale: 1,
    absmax: encodableAbsmax(sign, kernels.packDifferenceSign(step)),
  }),
  decode: (kernels, src, elements, _scale, dst) => kernels.unpackSign(src, elements, 1, dst),
  accumulate(kernels, src, elements, _scale, weight, acc, first) {
    if (first) kernels.unpackSign(src, elements, weight, acc);
    else kernels.addSign(src, elements, weight, acc);
  },
  /** A mean is no larger than the largest; rounded it may just reach the limit. */
  payloadFinite: (kernels, src, elements) => kernels.absmax(src, groupsOf(elements)) <= MAGNITUDE_LIMIT,
  payloadFault(kernels, src, elements) {
    const used = elements % 8;
    const last = src + sign.payloadBytes(elements) - 1;
    if (used === 0 || kernels.u8(last, 1)[0] >> used === 0) return undefined;
    return `The last byte of ${elements} signs uses ${used} bits, this one has others set.`;
  },
};
