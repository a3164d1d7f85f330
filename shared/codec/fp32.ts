// fp32: the block as it is, little-endian.
import { CODEC_IDS, type DirectCodec, encodableAbsmax } from './codec.js';

export const fp32: DirectCodec = {
  name: 'fp32',
  id: CODEC_IDS.fp32,
  lossy: false,
  scaled: false,
  magnitudeLimit: Number.POSITIVE_INFINITY,
  payloadBytes: (elements) => elements * 4,
  encode(kernels, src, elements, dst, absmax) {
    encodableAbsmax(fp32, absmax ?? kernels.absmax(src, elements));
    kernels.copyBytes(src, elements * 4, dst);
    return 1;
  },
  decode: (kernels, src, elements, _scale, dst) => kernels.copyBytes(src, elements * 4, dst),
  accumulate(kernels, src, elements, _scale, weight, acc, first) {
    if (first) kernels.scaleF32(src, elements, weight, acc);
    else kernels.addF32(src, elements, weight, acc);
  },
  payloadFinite: (kernels, src, elements) => kernels.allFinite(src, elements),
};
