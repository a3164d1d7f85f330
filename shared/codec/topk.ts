// Top-k: of each block the given percentage of elements whose magnitudes are largest, in fp16 with the block's
// power-of-two scale; what is left out, rounding included, is the residual. At 1 % a block takes a 100th of fp32's
// bytes: about 9.4 bits of position and 16 of value for each element that travels.
// Aji and Heafield, "Sparse communication for distributed gradient descent", EMNLP 2017; Lin et al., "Deep
// gradient compression", ICLR 2018, with its momentum correction; its warm-up is topk-warm-up.ts.
import assert from 'node:assert';
import { TOPK_WORK_BYTES } from '../kernels/kernels.js';
import { BLOCK_ELEMENTS_MAX, BLOCK_PAYLOAD_MAX_BYTES } from '../limits.js';
import { CODEC_IDS, encodableAbsmax, LOSSY_MAGNITUDE_LIMIT, type LossyCodec } from './codec.js';
import { fp16Scale } from './fp16.js';

/** Percentage of a block's elements that travel where nothing is said. */
export const TOPK_PERCENT_DEFAULT = 1;
/** Beyond a quarter int8 loses less for as many bytes. */
export const TOPK_PERCENT_MAX = 25;

const GROUP_ELEMENTS = 256;
/** Where the selection counts: in the room for a payload, behind the largest that it can give. */
const WORK_AT_BYTES = BLOCK_PAYLOAD_MAX_BYTES / 2;

/** Elements of a block that travel: the percentage, rounded up. */
export function topkCount(elements: number, percent: number): number {
  return Math.ceil((elements * percent) / 100);
}

const FAULTS = [
  undefined,
  'it says that it holds another number',
  'its bit string names another number',
  'they do not ascend',
  'one is beyond the block',
];

/** The codec that sends `percent` % of each block; above 0, at most TOPK_PERCENT_MAX. */
export function topk(percent: number): LossyCodec {
  const payloadBytes = (elements: number) => {
    const k = topkCount(elements, percent);
    return 4 + Math.ceil((k + Math.ceil(elements / GROUP_ELEMENTS)) / 8) + 3 * k;
  };
  const codec: LossyCodec = {
    name: 'topk',
    id: CODEC_IDS.topk,
    lossy: true,
    scaled: true,
    magnitudeLimit: LOSSY_MAGNITUDE_LIMIT,
    payloadBytes,
    encode(kernels, { gradient, residual, elements, lossScale, absmax, dst, next, correction }) {
      const scale = fp16Scale(encodableAbsmax(codec, absmax));
      kernels.sumF32(gradient, residual, elements, lossScale, next);
      kernels.packTopK(next, elements, topkCount(elements, percent), scale, dst, dst + WORK_AT_BYTES);
      if (lossScale !== 1) kernels.scaleF32(next, elements, 1 / lossScale, next);
      if (correction) {
        const { momentum, velocity, nextVelocity } = correction;
        kernels.sumF32(gradient, velocity, elements, momentum * lossScale, nextVelocity);
        if (lossScale !== 1) kernels.scaleF32(nextVelocity, elements, 1 / lossScale, nextVelocity);
        kernels.zeroTopK(dst, elements, topkCount(elements, percent), nextVelocity);
        kernels.sumF32(next, nextVelocity, elements, momentum, next);
      }
      return scale;
    },
    decode(kernels, src, elements, scale, dst) {
      kernels.u8(dst, 4 * elements).fill(0);
      kernels.addTopK(src, elements, topkCount(elements, percent), 1 / scale, dst);
    },
    accumulate(kernels, src, elements, scale, weight, acc, first) {
      if (first) kernels.u8(acc, 4 * elements).fill(0);
      kernels.addTopK(src, elements, topkCount(elements, percent), weight / scale, acc);
    },
    payloadFinite: (kernels, src, elements) =>
      kernels.faultTopK(src, elements, topkCount(elements, percent)) !== 5,
    payloadFault(kernels, src, elements) {
      const k = topkCount(elements, percent);
      const fault = FAULTS[kernels.faultTopK(src, elements, k)];
      return fault && `A payload of ${elements} elements in topk holds ${k} ascending positions: ${fault}.`;
    },
  };
  return codec;
}

assert(
  topk(TOPK_PERCENT_MAX).payloadBytes(BLOCK_ELEMENTS_MAX) <= WORK_AT_BYTES &&
    WORK_AT_BYTES + TOPK_WORK_BYTES <= BLOCK_PAYLOAD_MAX_BYTES,
  'a payload and the counts of the selection must fit into the room for a payload',
);
