// All codecs, by name (options) and by number (the wire), and what is checked of a payload that came from the
// network before any kernel sees it.
import { BLOCK_ELEMENTS_MAX } from '../limits.js';
import { bf16 } from './bf16.js';
import type { Codec, CodecName, DirectCodec, DirectCodecName, LossyCodec, LossyCodecName } from './codec.js';
import { FP16_SCALE_MAX, FP16_SCALE_MIN, fp16 } from './fp16.js';
import { fp32 } from './fp32.js';
import { int8 } from './int8.js';
import { sign } from './sign.js';
import { TOPK_PERCENT_DEFAULT, topk } from './topk.js';

/** All codecs; top-k with its default percentage. */
export const codecs: Readonly<
  Record<DirectCodecName, DirectCodec> & Record<LossyCodecName, LossyCodec> & Record<CodecName, Codec>
> = { fp32, fp16, bf16, int8, topk: topk(TOPK_PERCENT_DEFAULT), sign };

export const codecNames = Object.keys(codecs) as CodecName[];
export const directCodecNames = codecNames.filter((name) => !codecs[name].lossy) as DirectCodecName[];
export const lossyCodecNames = codecNames.filter((name) => codecs[name].lossy) as LossyCodecName[];

/** The codec of a name, as a user gave it; undefined if there is none. */
export function codecByName(name: string): Codec | undefined {
  return Object.hasOwn(codecs, name) ? codecs[name as CodecName] : undefined;
}

/** The codec of a number, as it came off the wire; undefined if there is none. */
export function codecById(id: number): Codec | undefined {
  return codecNames.map((name) => codecs[name]).find((codec) => codec.id === id);
}

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Whether a number is a scale that the encoder of fp16 values can give: a power of two. */
function isScale(scale: number): boolean {
  float[0] = scale;
  const fraction = bits[0] & 0x007fffff;
  return float[0] === scale && fraction === 0 && scale >= FP16_SCALE_MIN && scale <= FP16_SCALE_MAX;
}

/**
 * What is wrong with the envelope of a payload, as a sentence; undefined if nothing is. Whether the numbers
 * inside are finite is asked of `codec.payloadFinite`, once they are in the kernels' memory.
 */
export function checkPayload(
  codec: Codec,
  elements: number,
  payloadBytes: number,
  scale: number,
): string | undefined {
  if (!Number.isInteger(elements) || elements < 1 || elements > BLOCK_ELEMENTS_MAX) {
    return `A block has 1 to ${BLOCK_ELEMENTS_MAX} elements, this one claims ${elements}.`;
  }
  const expected = codec.payloadBytes(elements);
  if (payloadBytes !== expected) {
    return `A payload of ${elements} elements in ${codec.name} has ${expected} bytes, this one has ${payloadBytes}.`;
  }
  if (codec.scaled ? !isScale(scale) : scale !== 1) {
    const wanted = codec.scaled ? 'a power of two from 2^-112 to 2^126' : '1';
    return `The scale of a block in ${codec.name} is ${wanted}, this one is ${scale}.`;
  }
  return undefined;
}
