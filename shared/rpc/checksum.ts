// The checksum of a payload that does not lie in the kernels' memory yet, or not any more. Whoever has it there asks the
// kernel itself.
import type { Kernels } from '../kernels/kernels.js';
import { loadKernels } from '../kernels/load.js';
import { BLOCK_PAYLOAD_MAX_BYTES } from '../limits.js';
import { STAGE_SPARE_BYTES, stagePayload } from './frame.js';

let kernels: Kernels | undefined;

/** The low 32 bits of the XXH64 (seed 0) of at most BLOCK_PAYLOAD_MAX_BYTES. */
export function checksumOf(payload: Uint8Array): number {
  kernels ??= loadKernels({ bytes: BLOCK_PAYLOAD_MAX_BYTES + STAGE_SPARE_BYTES });
  return kernels.xxh64(stagePayload(kernels, payload, kernels.firstFreeByte), payload.byteLength);
}
