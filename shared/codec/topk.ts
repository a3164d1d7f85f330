// Top-k: of each block the given percentage of elements whose magnitudes are largest, in fp16 with the block's
// power-of-two scale; what is left out, rounding included, is the residual. At 1 % a block takes a 100th of fp32's
// bytes: about 9.4 bits of position and 16 of value for each element that travels.
// Aji and Heafield, "Sparse communication for distributed gradient descent", EMNLP 2017; Lin et al., "Deep
// gradient compression", ICLR 2018, with its momentum correction; its warm-up is topk-warm-up.ts.
import assert from 'node:assert';
import { topkWorkBytes } from '../kernels/kernels.js';
import { BLOCK_ELEMENTS_MAX, BLOCK_PAYLOAD_MAX_BYTES } from '../limits.js';
import { CODEC_IDS, encodableAbsmax, LOSSY_MAGNITUDE_LIMIT, type LossyCodec } from './codec.js';
import { fp16Scale } from './fp16.js';

/** Percentage of a block's elements that travel where nothing is said. */
export const TOPK_PERCENT_DEFAULT = 1;
/** Beyond a quarter int8 loses less for as many bytes. */
export const TOPK_PERCENT_MAX = 25;

const GROUP_ELEMENTS = 256;
const WORK_ALIGN_BYTES = 64;

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

/** Where the selection works: in the room for a payload, behind the one that it gives. */
function workBehind(dst: number, payloadBytes: number): { work: number; bytes: number } {
  const at = Math.ceil(payloadBytes / WORK_ALIGN_BYTES) * WORK_ALIGN_BYTES;
  return { work: dst + at, bytes: BLOCK_PAYLOAD_MAX_BYTES - at };
}

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
    encode(kernels, { lossScale, correction, rounding: _, ...arrays }) {
      const { elements } = arrays;
      const k = topkCount(elements, percent);
      const step = { ...arrays, factor: lossScale, ...workBehind(arrays.dst, payloadBytes(elements)) };
      const absmax = encodableAbsmax(codec, kernels.gatherTopK(step, k, correction));
      const scale = fp16Scale(absmax);
      kernels.packTopK(step, k, scale, correction);
      return { scale, absmax };
    },
    encodeDifference(kernels, { marked, ...arrays }) {
      const k = topkCount(arrays.elements, percent);
      const step = { ...arrays, ...workBehind(arrays.dst, payloadBytes(arrays.elements)) };
      const few = marked && { ...step, ...marked };
      const largest = few ? kernels.gatherMarkedTopK(few, k) : kernels.gatherDifferenceTopK(step, k);
      const absmax = encodableAbsmax(codec, largest);
      const scale = fp16Scale(absmax);
      if (few) kernels.packMarkedTopK(few, k, scale);
      else kernels.packDifferenceTopK(step, k, scale);
      return { scale, absmax };
    },
    marked: {
      count: (elements) => topkCount(elements, percent),
      accumulate: (kernels, src, elements, scale, weight, acc, marks, first) =>
        kernels.addMarkedTopK(src, elements, topkCount(elements, percent), weight / scale, acc, marks, first),
    },
    decode(kernels, src, elements, scale, dst) {
      const { work } = workBehind(src, payloadBytes(elements));
      kernels.unpackTopK(src, elements, topkCount(elements, percent), 1 / scale, dst, work);
    },
    accumulate(kernels, src, elements, scale, weight, acc, first) {
      const k = topkCount(elements, percent);
      const { work } = workBehind(src, payloadBytes(elements));
      if (first) kernels.unpackTopK(src, elements, k, weight / scale, acc, work);
      else kernels.addTopK(src, elements, k, weight / scale, acc, work);
    },
    payloadFinite(kernels, src, elements) {
      const k = topkCount(elements, percent);
      return kernels.allFiniteF16(src + payloadBytes(elements) - 2 * k, k);
    },
    payloadFault(kernels, src, elements) {
      const k = topkCount(elements, percent);
      const fault = FAULTS[kernels.faultTopK(src, elements, k)];
      return fault && `A payload of ${elements} elements in topk holds ${k} ascending positions: ${fault}.`;
    },
  };
  return codec;
}

const MOST = topkCount(BLOCK_ELEMENTS_MAX, TOPK_PERCENT_MAX);
assert(
  workBehind(0, topk(TOPK_PERCENT_MAX).payloadBytes(BLOCK_ELEMENTS_MAX)).bytes >=
    topkWorkBytes(MOST + MOST / 2),
  'behind a payload there must be room for a list of half as many again as travel',
);
