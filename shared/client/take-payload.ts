// A block that a server sent, on its way into the parameters: checked before any kernel decodes it.
import type { Codec } from '../codec/codec.js';
import { checkPayload, codecById } from '../codec/registry.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Bulk } from '../rpc/bulk.js';
import { stagePayload } from '../rpc/frame.js';
import { recycle } from '../rpc/receive.js';

/** What is wrong with a payload of `elements` elements that should be in the codec `expected`; undefined if nothing is. */
export function payloadFault(bulk: Bulk, elements: number, expected: Codec): string | undefined {
  const codec = codecById(bulk.codec);
  if (codec?.id !== expected.id)
    return `expected codec ${expected.name}, got ${codec?.name ?? `number ${bulk.codec}`}`;
  return checkPayload(expected, elements, bulk.payload.byteLength, bulk.scale);
}

export interface TakeInto {
  readonly kernels: Kernels;
  /** Byte address of room for the payload and STAGE_SPARE_BYTES. */
  readonly scratch: number;
  /** Byte address of the block's fp32 values: written, or (a lossy codec's differences) added to. */
  readonly target: number;
}

/** Decodes a payload and gives its memory back; or what is wrong with it, and then nothing has changed. */
export function takePayload(
  bulk: Bulk,
  elements: number,
  expected: Codec,
  { kernels, scratch, target }: TakeInto,
): string | undefined {
  const envelope = payloadFault(bulk, elements, expected);
  if (envelope) return envelope;
  const staged = stagePayload(kernels, bulk.payload, scratch);
  if (bulk.checksum !== undefined && kernels.xxh64(staged, bulk.payload.byteLength) !== bulk.checksum)
    return 'the payload is not the one whose checksum was sent';
  if (expected.lossy) {
    const inside = expected.payloadFault(kernels, staged, elements);
    if (inside) return inside;
    if (!expected.payloadFinite(kernels, staged, elements)) return 'it is not finite';
    expected.accumulate(kernels, staged, elements, bulk.scale, 1, target, false);
  } else expected.decode(kernels, staged, elements, bulk.scale, target);
  recycle(bulk.payload);
  return undefined;
}
