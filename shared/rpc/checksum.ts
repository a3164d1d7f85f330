// The checksum of a payload that does not lie in the kernels' memory yet, or not any more. Whoever has it there asks the
// kernel itself.
import type { Kernels } from '../kernels/kernels.js';
import { loadKernels } from '../kernels/load.js';
import { BLOCK_PAYLOAD_MAX_BYTES } from '../limits.js';
import { STAGE_SPARE_BYTES, stagePayload } from './frame.js';

let kernels: Kernels | undefined;

/** The low 32 bits of the XXH64 (seed 0) of a payload, or of several one behind the other: BLOCK_PAYLOAD_MAX_BYTES at most. */
export function checksumOf(payload: Uint8Array, ...more: Uint8Array[]): number {
  kernels ??= loadKernels({ bytes: BLOCK_PAYLOAD_MAX_BYTES + STAGE_SPARE_BYTES });
  const from = stagePayload(kernels, payload, kernels.firstFreeByte);
  let bytes = payload.byteLength;
  for (const part of more) {
    kernels.u8(from + bytes, part.byteLength).set(part);
    bytes += part.byteLength;
  }
  return kernels.xxh64(from, bytes);
}
