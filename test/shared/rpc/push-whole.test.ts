// Streams that push whole messages: whoever reads them gets what the plain stream would have given, only in other pieces.
import { Readable } from 'node:stream';
import test from 'ava';
import fc from 'fast-check';
import { RECEIVE_POOLED_MIN_BYTES } from '../../../shared/limits.js';
import { FRAME_BYTES } from '../../../shared/rpc/frame.js';
import { isWhole, MessageReader, pushWhole } from '../../../shared/rpc/receive.js';
import { framed, headOf, pieces } from '../../helpers/frames.js';

const seeded = { seed: 20_261_121, numRuns: 200 };

function openStream(maxBytes = -1): Readable {
  const stream = new Readable({ read: () => undefined });
  pushWhole(stream, maxBytes);
  return stream;
}

/** All that a reader gets of a stream into which these pieces were pushed and which then ended. */
async function read(stream: Readable, pushed: readonly Buffer[]): Promise<Buffer[]> {
  const got: Buffer[] = [];
  stream.on('data', (piece: Buffer) => got.push(piece));
  for (const piece of pushed) stream.push(piece);
  stream.push(null);
  await new Promise((resolve) => stream.on('end', resolve));
  return got;
}

const content = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.nat(3 * RECEIVE_POOLED_MIN_BYTES).map((bytes) => new Uint8Array(bytes).fill(bytes & 255)),
);

test('each message is pushed as one piece, however the stream was cut', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(content, { maxLength: 6 }),
      fc.array(fc.nat(), { maxLength: 20 }),
      async (contents, cuts) => {
        const sent = contents.map((each, i) => framed(each, i % 2));
        const got = await read(openStream(), pieces(Buffer.concat(sent), cuts));
        t.deepEqual(
          got.map((piece) => piece.length),
          sent.map((message) => message.length),
        );
        t.true(Buffer.concat(got).equals(Buffer.concat(sent)));
        t.true(got.every(isWhole));
      },
    ),
    seeded,
  );
});

test('a stream cut at any byte, or at every byte, gives the same messages', async (t) => {
  const sent = [[], [1], new Array(300).fill(7), [2, 3]].map((each) => framed(Uint8Array.from(each)));
  const stream = Buffer.concat(sent);
  for (const cuts of [[...stream.keys()], ...[...stream.keys()].map((cut) => [cut])])
    t.deepEqual(await read(openStream(), pieces(stream, cuts)), sent);
});

test('a reader that stands still gets as many bytes as a plain stream would take, and the message under way', (t) => {
  fc.assert(
    fc.property(
      fc.array(content, { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat(), { maxLength: 20 }),
      (contents, cuts) => {
        const sent = contents.map((each) => framed(each));
        const stream = openStream();
        const plain = new Readable({ read: () => undefined });
        const reader = new MessageReader(-1);
        for (const piece of pieces(Buffer.concat(sent), cuts)) {
          const ended = reader.write(piece).map((message) => plain.push(message));
          t.is(stream.push(piece), ended.at(-1) ?? true);
          t.is(stream.readableLength, plain.readableLength);
        }
        t.is(stream.readableLength, Buffer.concat(sent).length);
      },
    ),
    seeded,
  );
});

test('what stood still and is read later comes whole', async (t) => {
  const sent = [10, 100_000, 0, 20_000].map((bytes) => framed(new Uint8Array(bytes).fill(9)));
  const stream = openStream();
  for (const piece of pieces(Buffer.concat(sent), [3, 50, 30_000, 90_000, 100_019])) stream.push(piece);
  const got = await read(stream, []);
  t.deepEqual(got, sent);
  t.true(got.every(isWhole));
});

test('what a reader took in pieces of its own is not called whole', (t) => {
  const stream = openStream();
  stream.push(Buffer.concat([framed(new Uint8Array(10)), framed(new Uint8Array(20))]));
  const together = stream.read() as Buffer;
  t.is(together.length, 30 + 2 * FRAME_BYTES);
  t.false(isWhole(together));
});

test('a message that its stream did not end is left out, and the stream ends', async (t) => {
  const first = framed(new Uint8Array(10));
  for (const left of [1, FRAME_BYTES, FRAME_BYTES + 1, 40_000])
    t.deepEqual(
      await read(openStream(), [Buffer.concat([first, framed(new Uint8Array(50_000)).subarray(0, left)])]),
      [first],
    );
});

test('a message above the limit goes on as it came, after those before it, for the reader to refuse', async (t) => {
  const fits = framed(new Uint8Array(100).fill(1));
  const head = headOf(2 ** 32 - 1);
  const rest = Buffer.alloc(50, 2);
  for (const cuts of [[], [107], [fits.length], [fits.length + FRAME_BYTES]]) {
    const pushed = pieces(Buffer.concat([fits, head]), cuts);
    const got = await read(openStream(100), [...pushed, rest]);
    t.deepEqual(got, [fits, head, rest]);
    t.deepEqual(got.map(isWhole), [true, false, false]);
  }
});
