// bf16: the upper half of each fp32, rounded to nearest even: fp32's range with eight bits of fraction, so no
// scale.
import { CODEC_IDS, type DirectCodec, encodableAbsmax } from './codec.js';

export const bf16: DirectCodec = {
  name: 'bf16',
  id: CODEC_IDS.bf16,
  lossy: false,
  scaled: false,
  /** From here on fp32 rounds to bf16's infinity. */
  magnitudeLimit: (2 - 2 ** -8) * 2 ** 127,
  payloadBytes: (elements) => elements * 2,
  encode(kernels, src, elements, dst, absmax) {
    encodableAbsmax(bf16, absmax ?? kernels.absmax(src, elements));
    kernels.packBf16(src, elements, dst);
    return 1;
  },
  decode: (kernels, src, elements, _scale, dst) => kernels.unpackBf16(src, elements, 1, dst),
  accumulate(kernels, src, elements, _scale, weight, acc, first) {
    if (first) kernels.unpackBf16(src, elements, weight, acc);
    else kernels.addBf16(src, elements, weight, acc);
  },
  payloadFinite: (kernels, src, elements) => kernels.allFiniteBf16(src, elements),
};
