// How rows travel: fp32, bf16, or fp16 with a power-of-two scale for each row. A scale for each message, as blocks have
// one, would depend on which rows share a server; so the bytes of a row depend on the row alone. Lossy codecs would
// need a residual for each row at each worker, which is a copy of the table. Work is done by the blocks' kernels, a
// message at a time, in memory of this module's own.

import type { DirectCodecName } from '../codec/codec.js';
import { codecs } from '../codec/registry.js';
import type { Kernels } from '../kernels/kernels.js';
import { loadKernels } from '../kernels/load.js';
import { ROWS_MESSAGE_MAX_BYTES } from '../limits.js';
import { STAGE_SPARE_BYTES, stagePayload } from '../rpc/frame.js';

/** In the order in which they are told to users. */
export const ROW_CODECS = ['fp32', 'fp16', 'bf16'] as const satisfies readonly DirectCodecName[];
export type RowCodecName = (typeof ROW_CODECS)[number];

let kernels: Kernels | undefined;
let values = 0;
let encoded = 0;

/** Memory for one message: its values, and its payload. */
function memory(): Kernels {
  if (!kernels) {
    kernels = loadKernels({ bytes: 2 * (ROWS_MESSAGE_MAX_BYTES + STAGE_SPARE_BYTES) });
    values = kernels.firstFreeByte;
    encoded = values + ROWS_MESSAGE_MAX_BYTES + STAGE_SPARE_BYTES;
  }
  return kernels;
}

/** Bytes of so many rows in a codec. */
export function rowsPayloadBytes(codec: RowCodecName, rows: number, width: number): number {
  return codecs[codec].payloadBytes(rows * width) + (codec === 'fp16' ? rows : 0);
}

/** Magnitudes that a codec takes are below this. */
export const rowMagnitudeLimit = (codec: RowCodecName): number => codecs[codec].magnitudeLimit;

/**
 * Rows of one message as they travel. Magnitudes must be below `rowMagnitudeLimit`.
 * @param rows one after the other; in fp32 the payload is a view of them
 */
export function encodeRows(codec: RowCodecName, rows: Float32Array, width: number): Buffer {
  if (codec === 'fp32') return Buffer.from(rows.buffer, rows.byteOffset, rows.byteLength);
  const wasm = memory();
  const count = rows.length / width;
  wasm.f32(values, rows.length).set(rows);
  const bytes = rowsPayloadBytes(codec, count, width);
  if (codec === 'bf16') wasm.packBf16(values, rows.length, encoded);
  else wasm.packRowsF16(values, count, width, encoded, encoded + 2 * rows.length);
  const payload = Buffer.allocUnsafeSlow(bytes);
  payload.set(wasm.u8(encoded, bytes));
  return payload;
}

/**
 * Decodes rows of one message into `out`, whose length is theirs; `payload` has `rowsPayloadBytes`.
 * @returns what is wrong with the payload: "expected …, got …"; undefined if nothing is
 */
export function decodeRows(
  codec: RowCodecName,
  payload: Uint8Array,
  width: number,
  out: Float32Array,
): string | undefined {
  if (codec === 'fp32') {
    new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(payload);
    return undefined;
  }
  const wasm = memory();
  const from = stagePayload(wasm, payload, encoded);
  if (codec === 'bf16') wasm.unpackBf16(from, out.length, 1, values);
  else {
    const rows = out.length / width;
    const done = wasm.unpackRowsF16(from, from + 2 * out.length, rows, width, values);
    if (done < rows)
      return `expected exponents of scales from -112 to 126, got ${(payload[2 * out.length + done] << 24) >> 24}`;
  }
  out.set(wasm.f32(values, out.length));
  return undefined;
}
