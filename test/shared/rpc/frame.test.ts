// Buffers of bulk messages: framed as gRPC wants it, used again only when nobody needs them, payloads copied as fast
// as shared memory allows.
import test from 'ava';
import fc from 'fast-check';
import { decodeBulk, frameBulk } from '../../../shared/rpc/bulk.js';
import { FRAME_BYTES, FramePool, STAGE_SPARE_BYTES, stagePayload } from '../../../shared/rpc/frame.js';
import { deserializePull, FIELD, generated } from '../../../shared/rpc/proto.js';

const seeded = { seed: 20_260_301, numRuns: 100 };
const fields = { step: 7, block: 3, codec: 2, scale: 256, version: 8, fetched: true };
const shared = (bytes: number) => new Uint8Array(new SharedArrayBuffer(bytes));

test('a frame is five bytes of length before a message that the generated code reads', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(7), (content, offset) => {
      const memory = shared(400);
      memory.set(content, offset);
      const payload = memory.subarray(offset, offset + content.length);
      const { framed, message } = frameBulk(FIELD.block, fields, payload, new FramePool());
      t.is(framed[0], 0);
      t.is(framed.readUInt32BE(1), message.length);
      t.is(framed.length, FRAME_BYTES + message.length);
      const read = generated.pullReply.responseDeserialize(message) as {
        block: { payload: Buffer; checksum: number; fetched: boolean; version: number };
      };
      t.deepEqual(new Uint8Array(read.block.payload), content);
      t.true(read.block.fetched);
      t.is(read.block.version, 8);
      t.deepEqual(
        (deserializePull(message) as { block: { checksum: number } }).block.checksum,
        read.block.checksum,
      );
    }),
    seeded,
  );
});

test('a payload lies in its message as it lay in shared memory, so that words are copied', (t) => {
  for (let offset = 0; offset < 8; offset++) {
    const payload = shared(64).subarray(offset, offset + 40);
    const { framed } = frameBulk(FIELD.block, fields, payload, new FramePool());
    t.is((framed.byteOffset + framed.length - 40) % 8, offset);
  }
});

test('a staged payload lies as it lay in its message, within the spare bytes', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(7), fc.nat(40), (content, offset, room) => {
      const received = new Uint8Array(200);
      received.set(content, offset);
      const payload = received.subarray(offset, offset + content.length);
      const memory = shared(200);
      const u8 = (at: number, bytes: number) => memory.subarray(at, at + bytes);
      const address = stagePayload({ u8 }, payload, room);
      t.true(address >= room && address < room + STAGE_SPARE_BYTES);
      t.is(address % 8, offset);
      t.deepEqual(new Uint8Array(u8(address, content.length)), content);
    }),
    seeded,
  );
});

test('a buffer is used again only after every user has released its message', (t) => {
  const pool = new FramePool();
  const payload = Uint8Array.from({ length: 50 }, (_, i) => i);
  const first = frameBulk(FIELD.block, fields, payload, pool);
  const second = frameBulk(FIELD.block, fields, payload, pool);
  t.not(first.framed.buffer, second.framed.buffer);
  first.share(1);
  first.release();
  t.not(frameBulk(FIELD.block, fields, payload, pool).framed.buffer, first.framed.buffer);
  first.release();
  t.is(frameBulk(FIELD.block, fields, payload, pool).framed.buffer, first.framed.buffer);
});

test('a larger message gets a larger buffer, and what was too small does not come back', (t) => {
  const pool = new FramePool();
  const small = frameBulk(FIELD.block, fields, new Uint8Array(10), pool);
  const large = frameBulk(FIELD.block, fields, new Uint8Array(1000), pool);
  small.release();
  const again = frameBulk(FIELD.block, fields, new Uint8Array(1000), pool);
  t.not(again.framed.buffer, small.framed.buffer);
  large.release();
  const smaller = frameBulk(FIELD.block, fields, new Uint8Array(10), pool);
  t.is(smaller.framed.buffer, large.framed.buffer);
  t.is(decodeBulk(smaller.message, [FIELD.block])?.bulk.payload.length, 10);
});
