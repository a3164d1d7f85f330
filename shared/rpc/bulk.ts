// The hot messages, written and read by hand: Contribution (worker → server), Block (server → worker), and between the
// copies of a shard ReplicaUpdate, ReplicaPart and ReplicaArray.
// Byte for byte plain protobuf, as in proto/gradloom/v1/parameters.proto and replication.proto; by hand because the generated
// code copies the payload more often. A message here is its finished wire form, with gRPC's own five bytes before
// it: the payload is copied once, out of the memory in which the kernels work, so that memory may be used again at once.
import { checksumOf } from './checksum.js';
import { copyMemory, FRAME_BYTES, type Framed, FramePool } from './frame.js';

/**
 * What travels beside the payload. `fetched` belongs to Block alone, `clockMin` and `clockMax` to ssp and asp, `scalars` to
 * ReplicaUpdate and ReplicaPart; in ReplicaArray `codec` is the number of the array. In ReplicaUpdate `clockMin` is the number of
 * parts, in ReplicaPart `fetched` whether it is the first.
 */
export interface BulkFields {
  step: number;
  block: number;
  codec: number;
  scale: number;
  version?: number;
  fetched?: boolean;
  clockMin?: number;
  clockMax?: number;
  scalars?: readonly number[];
  /** Of the payload, where the caller has it already: see checksumOf. */
  checksum?: number;
}

export interface Bulk extends Required<Omit<BulkFields, 'checksum' | 'scalars'>> {
  /** There where some came. */
  scalars?: readonly number[];
  /** undefined: it was written in this process. */
  checksum: number | undefined;
  /** A view of the received message, which nobody writes to; from this process, of memory that is written to again. */
  payload: Buffer;
}

const WIRE_VARINT = 0;
const WIRE_64BIT = 1;
const WIRE_BYTES = 2;
const WIRE_32BIT = 5;
/** Most scalars of one message. */
const SCALARS_MAX = 8;
/** Upper bound of everything but the payload: tags, varints of at most 8 bytes, two fixed32, scalars. */
const HEADER_MAX_BYTES = 96 + 2 + 8 * SCALARS_MAX;

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++;
  return length;
}

function writeVarint(buffer: Buffer, at: number, value: number): number {
  let rest = value;
  let position = at;
  while (rest >= 128) {
    buffer[position++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  buffer[position++] = rest;
  return position;
}

const scratch = Buffer.alloc(HEADER_MAX_BYTES);

/** The wire form of a message whose field `outerField` is a Contribution or Block with this payload, in its frame. */
export function frameBulk(
  outerField: number,
  fields: BulkFields,
  payload: Uint8Array,
  pool: FramePool,
): Framed {
  let inner = 0;
  scratch[inner++] = 0x08;
  inner = writeVarint(scratch, inner, fields.step);
  scratch[inner++] = 0x10;
  inner = writeVarint(scratch, inner, fields.block);
  scratch[inner++] = 0x18;
  inner = writeVarint(scratch, inner, fields.codec);
  scratch[inner++] = 0x25;
  inner = scratch.writeFloatLE(fields.scale, inner);
  const checksumAt = inner + 1;
  scratch[inner] = 0x2d;
  inner += 5;
  if (fields.version !== undefined) {
    scratch[inner++] = 0x30;
    inner = writeVarint(scratch, inner, fields.version);
  }
  if (fields.fetched) {
    scratch[inner++] = 0x38;
    scratch[inner++] = 1;
  }
  if (fields.scalars !== undefined) {
    if (fields.scalars.length > SCALARS_MAX)
      throw new RangeError(`at most ${SCALARS_MAX} scalars fit, got ${fields.scalars.length}`);
    scratch[inner++] = 0x42;
    inner = writeVarint(scratch, inner, 8 * fields.scalars.length);
    for (const scalar of fields.scalars) inner = scratch.writeDoubleLE(scalar, inner);
  }
  if (fields.clockMin !== undefined) {
    scratch[inner++] = 0x68;
    inner = writeVarint(scratch, inner, fields.clockMin);
  }
  if (fields.clockMax !== undefined) {
    scratch[inner++] = 0x70;
    inner = writeVarint(scratch, inner, fields.clockMax);
  }
  scratch[inner++] = 0x7a;
  inner = writeVarint(scratch, inner, payload.byteLength);

  const innerBytes = inner + payload.byteLength;
  const messageBytes = 1 + varintLength(innerBytes) + innerBytes;
  const message = pool.frame(messageBytes, messageBytes - payload.byteLength, payload);
  const { framed } = message;
  framed[FRAME_BYTES] = (outerField << 3) | WIRE_BYTES;
  const start = writeVarint(framed, FRAME_BYTES + 1, innerBytes);
  const copy = framed.subarray(start + inner);
  copyMemory(payload, copy);
  scratch.writeUInt32LE(fields.checksum ?? checksumOf(copy), checksumAt);
  scratch.copy(framed, start, 0, inner);
  return message;
}

/** The same without its frame, in a buffer of its own. */
export function encodeBulk(outerField: number, fields: BulkFields, payload: Uint8Array): Buffer {
  return frameBulk(outerField, fields, payload, new FramePool()).message;
}

function doubles(packed: Buffer): number[] {
  if (packed.length % 8 !== 0 || packed.length > 8 * SCALARS_MAX)
    throw new RangeError(`expected at most ${SCALARS_MAX} doubles, got ${packed.length} bytes`);
  return Array.from({ length: packed.length / 8 }, (_, at) => packed.readDoubleLE(8 * at));
}

class Reader {
  at = 0;
  constructor(readonly buffer: Buffer) {}

  varint(): number {
    let value = 0;
    let factor = 1;
    for (let count = 0; count < 10; count++) {
      if (this.at >= this.buffer.length) throw new RangeError('a varint runs past the end of the message');
      const byte = this.buffer[this.at++];
      value += (byte & 127) * factor;
      if (byte < 128) {
        if (!Number.isSafeInteger(value)) throw new RangeError('a number beyond 2^53');
        return value;
      }
      factor *= 128;
    }
    throw new RangeError('a varint of more than 10 bytes');
  }

  bytes(length: number): Buffer {
    if (length > this.buffer.length - this.at)
      throw new RangeError('a field runs past the end of the message');
    this.at += length;
    return this.buffer.subarray(this.at - length, this.at);
  }

  skip(wireType: number): void {
    if (wireType === WIRE_VARINT) this.varint();
    else if (wireType === WIRE_64BIT) this.bytes(8);
    else if (wireType === WIRE_BYTES) this.bytes(this.varint());
    else if (wireType === WIRE_32BIT) this.bytes(4);
    else throw new RangeError(`wire type ${wireType} is not supported`);
  }
}

/**
 * If the message's only field is number `outerFields[…]`, its number and content, read by hand;
 * undefined for any other message, which the generated code reads. Throws RangeError on a malformed one.
 */
export function decodeBulk(
  buffer: Buffer,
  outerFields: readonly number[],
): { field: number; bulk: Bulk } | undefined {
  if (buffer.length === 0 || (buffer[0] & 7) !== WIRE_BYTES || buffer[0] >= 128) return undefined;
  const field = buffer[0] >> 3;
  if (!outerFields.includes(field)) return undefined;
  const outer = new Reader(buffer);
  outer.at = 1;
  const inner = outer.bytes(outer.varint());
  if (outer.at !== buffer.length) return undefined;

  const bulk: Bulk = {
    step: 0,
    block: 0,
    codec: 0,
    scale: 0,
    checksum: 0,
    version: 0,
    fetched: false,
    clockMin: 0,
    clockMax: 0,
    payload: Buffer.alloc(0),
  };
  const reader = new Reader(inner);
  while (reader.at < inner.length) {
    const tag = reader.varint();
    if (tag === 0x08) bulk.step = reader.varint();
    else if (tag === 0x10) bulk.block = reader.varint();
    else if (tag === 0x18) bulk.codec = reader.varint();
    else if (tag === 0x25) bulk.scale = reader.bytes(4).readFloatLE();
    else if (tag === 0x2d) bulk.checksum = reader.bytes(4).readUInt32LE();
    else if (tag === 0x30) bulk.version = reader.varint();
    else if (tag === 0x38) bulk.fetched = reader.varint() !== 0;
    else if (tag === 0x42) bulk.scalars = doubles(reader.bytes(reader.varint()));
    else if (tag === 0x68) bulk.clockMin = reader.varint();
    else if (tag === 0x70) bulk.clockMax = reader.varint();
    else if (tag === 0x7a) bulk.payload = reader.bytes(reader.varint());
    else if (tag >> 3 === 0) throw new RangeError('field number 0');
    else reader.skip(tag & 7);
  }
  return { field, bulk };
}

/** Whether the payload is the one that was sent. */
export function checksumMatches(bulk: Pick<Bulk, 'checksum' | 'payload'>): boolean {
  return checksumOf(bulk.payload) === bulk.checksum;
}
