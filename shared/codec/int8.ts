// int8 with one fp32 scale for every 256 elements: the group's largest magnitude becomes ±127, the others are
// rounded to nearest. fp32 scales cost 1.6 % where fp16 ones would cost 0.8 %, but have fp32's range, so that no
// scale of scales is needed; 256 elements are two cache pages, small enough that one outlier spoils little.
// (After Dettmers, "8-bit approximations for parallelism in deep learning", ICLR 2016, with a scale a group.)
import { CODEC_IDS, encodableAbsmax, LOSSY_MAGNITUDE_LIMIT, type LossyCodec } from './codec.js';

const GROUP_ELEMENTS = 256;
/** No encoder gives a larger scale, and 128 times it is a number. */
const SCALE_LIMIT = 2 ** 120;

const groupsOf = (elements: number) => Math.ceil(elements / GROUP_ELEMENTS);

export const int8: LossyCodec = {
  name: 'int8',
  id: CODEC_IDS.int8,
  lossy: true,
  scaled: false,
  magnitudeLimit: LOSSY_MAGNITUDE_LIMIT,
  payloadBytes: (elements) => 4 * groupsOf(elements) + elements,
  encode(kernels, { lossScale, rounding, ...arrays }) {
    const step = { ...arrays, factor: lossScale };
    const absmax = rounding ? kernels.packRandomI8(step, rounding) : kernels.packI8(step);
    return { scale: 1, absmax: encodableAbsmax(int8, absmax) };
  },
  encodeDifference: (kernels, step) => ({
    scale: 1,
    absmax: encodableAbsmax(int8, kernels.packDifferenceI8(step)),
  }),
  decode: (kernels, src, elements, _scale, dst) => kernels.unpackI8(src, elements, 1, dst),
  accumulate(kernels, src, elements, _scale, weight, acc, first) {
    if (first) kernels.unpackI8(src, elements, weight, acc);
    else kernels.addI8(src, elements, weight, acc);
  },
  payloadFinite: (kernels, src, elements) => kernels.absmax(src, groupsOf(elements)) < SCALE_LIMIT,
  payloadFault: () => undefined,
};
