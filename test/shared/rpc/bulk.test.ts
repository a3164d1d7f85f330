// The hand-written wire form of the hot messages against the generated one, both ways; what is malformed; and
// that the generated types and the proto's numbers are current.

import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import { CODEC_IDS } from '../../../shared/codec/codec.js';
import { keyedRandom } from '../../../shared/random.js';
import { checksumMatches, decodeBulk, encodeBulk } from '../../../shared/rpc/bulk.js';
import { checksumOf } from '../../../shared/rpc/checksum.js';
import {
  deserializePull,
  deserializePush,
  deserializeReplica,
  FIELD,
  generated,
  packageDefinition,
} from '../../../shared/rpc/proto.js';
import { temporaryFolder } from '../../helpers/folder.js';

const fixed = { seed: 20_266, numRuns: 500 };

const anyPayload = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const anyCount = fc.oneof(
  fc.nat(300),
  fc.constantFrom(127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER),
  fc.maxSafeNat(),
);
const anyScale = fc.oneof(
  fc.integer({ min: -126, max: 127 }).map((exponent) => 2 ** exponent),
  fc.float({ noNaN: true }),
);
const anyFields = fc.record({
  step: anyCount,
  block: fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
  codec: fc.constantFrom(...Object.values(CODEC_IDS)),
  scale: anyScale,
});
const anyBlockFields = fc.record({
  step: anyCount,
  block: fc.nat(70_000),
  codec: fc.constantFrom(...Object.values(CODEC_IDS)),
  scale: anyScale,
  version: anyCount,
  fetched: fc.boolean(),
  clockMin: anyCount,
  clockMax: anyCount,
});

const contributionBytes = (message: object) => generated.pushMessage.requestSerialize(message);
const blockBytes = (message: object) => generated.pullReply.responseSerialize(message);

for (const kind of ['contribution', 'initial'] as const) {
  test(`${kind}: what is written by hand is read by the generated code`, (t) => {
    fc.assert(
      fc.property(anyFields, anyPayload, (fields, payload) => {
        const bytes = encodeBulk(FIELD[kind], fields, payload);
        t.like(generated.pushMessage.requestDeserialize(bytes), {
          message: kind,
          [kind]: { ...fields, checksum: checksumOf(payload), payload },
        });
      }),
      fixed,
    );
  });

  test(`${kind}: what the generated code writes is read by hand`, (t) => {
    fc.assert(
      fc.property(anyFields, anyPayload, (fields, payload) => {
        const sent = { ...fields, checksum: checksumOf(payload), payload };
        const bytes = contributionBytes({ [kind]: sent });
        t.truthy(decodeBulk(bytes, [FIELD[kind]]));
        const message = deserializePush(bytes) as Record<string, object>;
        t.is(message.message as unknown, kind);
        t.like(message[kind], { ...sent, version: 0, fetched: false });
        t.true(checksumMatches(message[kind] as never));
      }),
      fixed,
    );
  });
}

test('block: what is written by hand is read by the generated code', (t) => {
  fc.assert(
    fc.property(anyBlockFields, anyPayload, (fields, payload) => {
      t.like(generated.pullReply.responseDeserialize(encodeBulk(FIELD.block, fields, payload)), {
        reply: 'block',
        block: { ...fields, checksum: checksumOf(payload), payload },
      });
    }),
    fixed,
  );
});

/** As the generated code knows them, by the names that they have by hand. */
const REPLICA_NAMES = {
  update: { clockMin: 'parts' },
  part: { fetched: 'first' },
  array: { codec: 'array', fetched: 'due' },
} as const;

for (const kind of ['update', 'part', 'array'] as const)
  test(`${kind} between copies: written by hand it is read by the generated code, and the other way round`, (t) => {
    const scalars = fc.array(fc.double({ noNaN: true }), { maxLength: 4 });
    const hand = fc.record({ step: anyCount, block: fc.nat(70_000), version: anyCount, scalars });
    fc.assert(
      fc.property(
        hand,
        fc.nat(9),
        anyScale,
        fc.boolean(),
        fc.nat(9),
        anyPayload,
        (given, parts, scale, flag, array, payload) => {
          const { version, scalars, ...both } = given;
          const fields = {
            update: { ...given, codec: 1, scale: 0, clockMin: parts },
            part: { ...both, scalars, codec: 4, scale, fetched: flag },
            array: { ...both, version, codec: array, scale: 0, fetched: flag },
          }[kind];
          const names: Record<string, string> = REPLICA_NAMES[kind];
          const wire = Object.fromEntries(
            Object.entries(fields).map(([name, value]) => [names[name] ?? name, value]),
          );
          if (kind !== 'part') delete wire.scale;
          const message = { ...wire, checksum: checksumOf(payload), payload };
          const bytes = encodeBulk(FIELD[kind], fields, payload);
          t.like(generated.replicaMessage.requestDeserialize(bytes), { [kind]: message });
          const back = deserializeReplica(
            generated.replicaMessage.requestSerialize({ [kind]: message }) as Buffer,
          );
          t.like((back as Record<string, object>)[kind], {
            ...fields,
            ...(scalars.length === 0 && { scalars: undefined }),
            payload,
          });
        },
      ),
      fixed,
    );
  });

test('block: what the generated code writes is read by hand', (t) => {
  fc.assert(
    fc.property(anyBlockFields, anyPayload, (fields, payload) => {
      const block = { ...fields, checksum: checksumOf(payload), payload };
      t.deepEqual(deserializePull(blockBytes({ block })), { reply: 'block', block } as unknown);
    }),
    fixed,
  );
});

test('a message that the generated code leaves out as all defaults is read as all defaults', (t) => {
  const message = deserializePush(contributionBytes({ contribution: {} })) as Record<string, object>;
  t.like(message.contribution, { step: 0, block: 0, codec: 0, scale: 0, checksum: 0 });
  t.is((message.contribution as { payload: Buffer }).payload.length, 0);
});

test('messages that are not bulk are read by the generated code', (t) => {
  const hello = {
    protocolVersion: 1,
    run: 'r',
    view: 2,
    worker: 3,
    schemaHash: Buffer.from([1]),
    observer: false,
  };
  t.like(deserializePush(contributionBytes({ hello })), { message: 'hello', hello });
  t.like(deserializePull(blockBytes({ ready: { step: 5 } })), { reply: 'ready', ready: { step: 5 } });
  t.is(decodeBulk(Buffer.alloc(0), [3]), undefined);
});

/** Fields of every wire type with numbers that the proto does not know. */
const unknownFields = [
  Buffer.from([0x80, 0x03, 0x96, 0x01]),
  Buffer.from([0x81, 0x03, 1, 2, 3, 4, 5, 6, 7, 8]),
  Buffer.from([0x82, 0x03, 3, 1, 2, 3]),
  Buffer.from([0x85, 0x03, 1, 2, 3, 4]),
];

test('fields of a later version are passed over, wherever they stand', (t) => {
  const fields = { step: 7, block: 3, codec: 2, scale: 4 };
  const payload = Buffer.from('payload');
  const inner = encodeBulk(FIELD.contribution, fields, payload).subarray(2);
  for (const unknown of unknownFields)
    for (const content of [Buffer.concat([unknown, inner]), Buffer.concat([inner, unknown])]) {
      const bytes = Buffer.concat([Buffer.from([0x1a, content.length]), content]);
      t.like(decodeBulk(bytes, [FIELD.contribution])?.bulk, fields);
      t.deepEqual(decodeBulk(bytes, [FIELD.contribution])?.bulk.payload, payload);
      t.like(generated.pushMessage.requestDeserialize(bytes), { contribution: fields });
    }
  // Beside the message: the generated code reads the whole.
  const outside = Buffer.concat([Buffer.from([0x1a, inner.length]), inner, unknownFields[0]]);
  t.is(decodeBulk(outside, [FIELD.contribution]), undefined);
  t.like(deserializePush(outside), { message: 'contribution', contribution: fields });
});

for (const [title, hex] of [
  ['a length beyond the message', '1a05'],
  ['a payload beyond the message', '1a037aff01'],
  ['a varint without an end', '1a0308ffff'],
  ['a varint of eleven bytes', '1a0c08ffffffffffffffffffff01'],
  ['a step beyond 2^53', '1a0a08ffffffffffffffff7f'],
  ['a scale of three bytes', '1a0425000000'],
  ['field number 0', '1a020000'],
  ['a group', '1a020b0c'],
  ['wire type 7', '1a0107'],
] as const)
  test(`${title} is malformed`, (t) => {
    t.throws(() => decodeBulk(Buffer.from(hex, 'hex'), [FIELD.contribution]), { instanceOf: RangeError });
    t.throws(() => deserializePush(Buffer.from(hex, 'hex')), { instanceOf: RangeError });
  });

test('40,000 random, truncated and changed messages end in a message or an error', (t) => {
  const random = keyedRandom(1, 'fuzz');
  let read = 0;
  let malformed = 0;
  const feed = (bytes: Buffer) => {
    for (const deserialize of [deserializePush, deserializePull])
      try {
        deserialize(bytes);
        read++;
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        malformed++;
      }
  };
  const whole = [
    encodeBulk(FIELD.contribution, { step: 300, block: 70_000, codec: 2, scale: 2 }, Buffer.alloc(40, 7)),
    encodeBulk(
      FIELD.block,
      { step: 9, block: 1, codec: 1, scale: 1, version: 8, fetched: true },
      Buffer.alloc(9),
    ),
    contributionBytes({
      header: { step: 3, samples: 32, allFinite: true, lossScale: 1, lossSum: 2, correct: 1 },
    }),
  ];
  for (let round = 0; round < 10_000; round++) {
    const [first] = [whole[round % whole.length]];
    feed(Buffer.from(Array.from({ length: random.below(40) }, () => random.below(256))));
    feed(first.subarray(0, random.below(first.length)));
    const changed = Buffer.from(first);
    for (let count = 1 + random.below(3); count > 0; count--)
      changed[random.below(changed.length)] = random.below(256);
    feed(changed);
    // A bulk field around noise, so that the hand-written reader is in it for sure.
    const noise = Buffer.from(Array.from({ length: random.below(100) }, () => random.below(256)));
    feed(Buffer.concat([Buffer.from([random.below(2) ? 0x1a : 0x12, noise.length]), noise]));
  }
  t.is(read + malformed, 80_000);
  t.true(read > 1000 && malformed > 1000);
});

test("the codecs' numbers are those of the proto", (t) => {
  const { type } = packageDefinition['gradloom.v1.Codec'] as unknown as {
    type: { value: { name: string; number: number }[] };
  };
  const inProto = type.value.filter(({ number }) => number !== 0);
  t.deepEqual(
    Object.fromEntries(inProto.map(({ name, number }) => [name, number])),
    Object.fromEntries(Object.entries(CODEC_IDS).map(([name, id]) => [`CODEC_${name.toUpperCase()}`, id])),
  );
});

test('the generated types are those of the proto files', async (t) => {
  const root = fileURLToPath(new URL('../../../../', import.meta.url));
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const checkedIn = 'shared/rpc/generated';
  const [command, ...flags] = (scripts.generate as string).split(/\s+/);
  t.true(flags.includes(checkedIn));
  const folder = await temporaryFolder(t);
  await promisify(execFile)(
    join(root, 'node_modules/.bin', command),
    flags.map((flag) => (flag === checkedIn ? folder : flag)),
    { cwd: root },
  );
  const filesOf = async (path: string) =>
    (await readdir(path, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(path.length).replace(/^\//, ''))
      .sort();
  const fresh = await filesOf(folder);
  t.deepEqual(await filesOf(join(root, checkedIn)), fresh);
  for (const file of fresh)
    t.is(
      await readFile(join(root, checkedIn, file), 'utf8'),
      await readFile(join(folder, file), 'utf8'),
      `${file}: run npm run generate`,
    );
});
