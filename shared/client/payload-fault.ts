// What is checked of a block that a server sent, before any kernel sees it.
import type { Codec } from '../codec/codec.js';
import { checkPayload, codecById } from '../codec/registry.js';
import type { Bulk } from '../rpc/bulk.js';

/** What is wrong with a payload of `elements` elements that should be in the codec `expected`; undefined if nothing is. */
export function payloadFault(bulk: Bulk, elements: number, expected: Codec): string | undefined {
  const codec = codecById(bulk.codec);
  if (codec?.id !== expected.id)
    return `expected codec ${expected.name}, got ${codec?.name ?? `number ${bulk.codec}`}`;
  return checkPayload(expected, elements, bulk.payload.byteLength, bulk.scale);
}
