// Received messages: put together from pieces of any size, in memory that is used again only when it was given back.
import test from 'ava';
import fc from 'fast-check';
import { RECEIVE_POOL_MAX_BYTES, RECEIVE_POOLED_MIN_BYTES } from '../../../shared/limits.js';
import { FRAME_BYTES } from '../../../shared/rpc/frame.js';
import { MessageReader, recycle } from '../../../shared/rpc/receive.js';
import { framed, headOf, pieces } from '../../helpers/frames.js';

const seeded = { seed: 20_261_121, numRuns: 200 };

test.serial('messages come out as they were sent, however the stream was cut', (t) => {
  const large = fc.nat(3 * RECEIVE_POOLED_MIN_BYTES).map((bytes) => new Uint8Array(bytes).fill(bytes & 255));
  const contents = fc.array(fc.oneof(fc.uint8Array({ maxLength: 40 }), large), { maxLength: 6 });
  fc.assert(
    fc.property(contents, fc.array(fc.nat(), { maxLength: 20 }), fc.boolean(), (sent, cuts, giveBack) => {
      const reader = new MessageReader(-1);
      const messages = sent.map((content, i) => framed(content, i % 2));
      const received: Buffer[] = [];
      for (const piece of pieces(Buffer.concat(messages), cuts))
        for (const message of reader.write(piece)) {
          received.push(giveBack ? Buffer.from(message) : message);
          if (giveBack) recycle(message);
        }
      t.is(received.length, messages.length);
      received.forEach((message, i) => {
        t.true(message.equals(messages[i]));
      });
    }),
    seeded,
  );
});

test.serial('memory of a message is used again after it was given back, and not before', (t) => {
  const reader = new MessageReader(-1);
  const receive = () => reader.write(framed(new Uint8Array(5 * RECEIVE_POOLED_MIN_BYTES + 1)))[0];
  const first = receive();
  const second = receive();
  t.not(first.buffer, second.buffer);
  recycle(first.subarray(FRAME_BYTES + 3));
  recycle(first);
  const third = receive();
  t.is(third.buffer, first.buffer);
  t.not(receive().buffer, first.buffer, 'given back twice, it is lent once');
});

test.serial('memory of others is left alone, small messages too', (t) => {
  const foreign = Buffer.alloc(5 * RECEIVE_POOLED_MIN_BYTES);
  recycle(foreign);
  const reader = new MessageReader(-1);
  t.not(reader.write(framed(new Uint8Array(foreign.length - FRAME_BYTES)))[0].buffer, foreign.buffer);
  const small = reader.write(framed(new Uint8Array(10)))[0];
  recycle(small);
  t.deepEqual(
    new Uint8Array(reader.write(framed(new Uint8Array(10).fill(7)))[0].subarray(5)),
    new Uint8Array(10).fill(7),
  );
});

test.serial('what is kept unused is bounded', (t) => {
  const bytes = 1 << 20;
  const reader = new MessageReader(-1);
  const content = framed(new Uint8Array(bytes));
  const receive = () => reader.write(content)[0];
  const count = RECEIVE_POOL_MAX_BYTES / bytes + 8;
  const lent = Array.from({ length: count }, receive);
  for (const message of lent) recycle(message);
  const again = new Set(Array.from({ length: count }, () => receive().buffer));
  const reused = lent.filter((message) => again.has(message.buffer)).length;
  t.true(reused > 0 && reused < count, `${reused} of ${count} came back`);
});

test.serial('a message larger than the limit is refused when it is announced', (t) => {
  const reader = new MessageReader(100);
  t.is(reader.write(framed(new Uint8Array(100))).length, 1);
  t.throws(() => reader.write(headOf(101)), { message: /at most 100 bytes, got one of 101/ });
});
