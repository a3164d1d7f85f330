// Streams of gRPC messages as they lie on the wire, and pieces of them as a connection may give them.
import { FRAME_BYTES } from '../../shared/rpc/frame.js';

/** A message in its frame. */
export function framed(content: Uint8Array, compressed = 0): Buffer {
  return Buffer.concat([headOf(content.length, compressed), content]);
}

/** The head alone, which may announce more than ever comes. */
export function headOf(bytes: number, compressed = 0): Buffer {
  const head = Buffer.alloc(FRAME_BYTES);
  head[0] = compressed;
  head.writeUInt32BE(bytes, 1);
  return head;
}

/** The stream cut at these places. */
export function pieces(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set([0, ...cuts.map((cut) => cut % (stream.length + 1)), stream.length])].sort(
    (a, b) => a - b,
  );
  return places.slice(1).map((end, i) => stream.subarray(places[i], end));
}
