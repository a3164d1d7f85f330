// Whatever bytes come, a decoder gives a message or refuses them with an error that gRPC turns into a status, and what
// passes the checks of a payload is decoded to finite numbers, within its block.

import type { MethodDefinition } from '@grpc/grpc-js';
import test from 'ava';
import fc from 'fast-check';
import { payloadFault } from '../../shared/client/take-payload.js';
import { codecById, codecNames, codecs } from '../../shared/codec/registry.js';
import { loadKernels } from '../../shared/kernels/load.js';
import { BLOCK_PAYLOAD_MAX_BYTES } from '../../shared/limits.js';
import { checksumOf } from '../../shared/rpc/checksum.js';
import {
  deserializePull,
  deserializePush,
  membershipService,
  PROTOCOL_VERSION,
  parametersService,
} from '../../shared/rpc/proto.js';
import { toWire } from '../../shared/run/wire.js';
import { almost, fuzzed, oddFloat, oddNumber } from '../helpers/fuzz.js';
import { bulkOf, firstBulkOf, makeSpec, normals } from '../helpers/shards.js';

const method = (definition: unknown) => definition as MethodDefinition<object, object>;
const { Serve, Work, Describe, Status } = membershipService as unknown as Record<string, unknown>;
const { Push, Pull } = parametersService as unknown as Record<string, unknown>;
const spec = toWire(makeSpec());
const view = {
  number: 3,
  servers: [{ id: 1, address: 'h:1', weight: 1 }],
  workers: [{ rank: 0, label: 'w' }],
  placement: [0, 0, 0],
};
const refusal = { code: 3, sentence: 'no' };

/** Each message of the proto, with examples of it as they are sent. */
const messages: [
  name: string,
  read: (bytes: Buffer) => unknown,
  write: (value: object) => Buffer,
  values: object[],
][] = [
  [
    'ServerReport',
    method(Serve).requestDeserialize,
    method(Serve).requestSerialize,
    [
      { hello: { protocolVersion: PROTOCOL_VERSION, address: 'h:1', memoryBytes: 2 ** 32, label: 'l' } },
      { run: 'r', prepared: {} },
      { run: 'r', refused: refusal },
    ],
  ],
  [
    'ServerOrder',
    method(Serve).responseDeserialize,
    method(Serve).responseSerialize,
    [
      { welcome: { id: 3 } },
      { prepare: { run: 'r', spec, view } },
      { end: { run: 'r', reason: 'x' } },
      { refusal },
    ],
  ],
  [
    'WorkerReport',
    method(Work).requestDeserialize,
    method(Work).requestSerialize,
    [
      { hello: { protocolVersion: PROTOCOL_VERSION, run: 'r', spec, label: 'l' } },
      { progress: { step: 7, phase: 'compute', secondsInPhase: 0.5 } },
      { evaluation: { step: 7, records: 10, lossSum: 3, correct: 4 } },
      { done: { bytesPushed: 1, bytesPulled: 2 } },
    ],
  ],
  [
    'WorkerOrder',
    method(Work).responseDeserialize,
    method(Work).responseSerialize,
    [
      { welcome: { run: 'r', rank: 1, workersJoined: 1, workersExpected: 2, servers: 1 } },
      { start: { view } },
      { evaluation: { step: 1, records: 2, loss: 3, accuracy: 0.5 } },
      { ended: { failed: true, reason: 'x' } },
    ],
  ],
  [
    'DescribeReply',
    method(Describe).responseDeserialize,
    method(Describe).responseSerialize,
    [{ run: 'r', spec, view }, { refusal }],
  ],
  [
    'StatusReply',
    method(Status).responseDeserialize,
    method(Status).responseSerialize,
    [
      {
        servers: [{ info: view.servers[0], label: 'l', memoryBytes: 5 }],
        runs: [{ run: 'r', state: 'running' }],
      },
    ],
  ],
  [
    'PushMessage',
    deserializePush,
    method(Push).requestSerialize,
    [
      {
        hello: {
          protocolVersion: 1,
          run: 'r',
          view: 1,
          worker: 0,
          schemaHash: Buffer.alloc(32),
          observer: true,
        },
      },
      { header: { step: 3, samples: 8, allFinite: true, lossScale: 2, lossSum: 1, correct: 1 } },
      { contribution: bulkOf(3, 1, 'fp16', normals(9, 'c')) },
      { initial: bulkOf(0, 1, 'fp32', normals(9, 'i')) },
    ],
  ],
  [
    'PullMessage',
    method(Pull).requestDeserialize,
    method(Pull).requestSerialize,
    [{ subscribe: { codec: 2 } }, { fetch: { step: 5, codec: 1, blocks: [1, 2, 3] } }],
  ],
  [
    'PullReply',
    deserializePull,
    method(Pull).responseSerialize,
    [
      { block: bulkOf(3, 1, 'bf16', normals(9, 'b')) },
      { outcome: { step: 3, skipped: true, samples: 8, loss: 1, accuracy: 0.5, notFinite: [1] } },
      { waiting: { step: 3, workers: [0, 1], seconds: 2 } },
    ],
  ],
];

/** What a decoder may throw: an error that says what is wrong with the bytes, not one that shows a bug. */
const isRefusal = (error: unknown) =>
  error instanceof RangeError || (error instanceof Error && error.constructor === Error);

for (const [name, read, write, values] of messages)
  test(`${name}: any bytes are read, or refused`, (t) => {
    const examples = values.map(write);
    for (const example of examples) t.notThrows(() => read(example));
    let taken = 0;
    fc.assert(
      fc.property(almost(examples), (bytes) => {
        try {
          read(bytes);
          taken++;
        } catch (error) {
          return isRefusal(error);
        }
        return true;
      }),
      fuzzed(),
    );
    t.true(taken > 0);
  });

test('whatever payload passes the checks is decoded to finite numbers within its block', (t) => {
  const room = 64;
  const kernels = loadKernels({ bytes: 2 * BLOCK_PAYLOAD_MAX_BYTES });
  const source = kernels.firstFreeByte;
  const target = source + BLOCK_PAYLOAD_MAX_BYTES;
  const examples = codecNames.map((codec) => firstBulkOf(0, 0, codecs[codec], normals(23, codec)));
  let taken = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...examples),
      fc.option(almost(examples.map(({ payload }) => payload)), { nil: undefined }),
      fc.oneof(fc.constant(23), fc.integer({ min: 1, max: room })),
      fc.option(oddFloat, { nil: undefined }),
      fc.option(oddNumber, { nil: undefined }),
      (bulk, payload = bulk.payload, elements, scale = bulk.scale, id = bulk.codec) => {
        const codec = codecById(id);
        if (!codec) return true;
        const given = { ...bulk, codec: id, scale, payload, checksum: checksumOf(payload) };
        if (payloadFault(given, elements, codec) !== undefined) return true;
        kernels.u8(source, payload.length).set(payload);
        if (codec.lossy && codec.payloadFault(kernels, source, elements) !== undefined) return true;
        if (!codec.payloadFinite(kernels, source, elements)) return true;
        const decoded = kernels.f32(target, room);
        decoded.fill(7);
        codec.decode(kernels, source, elements, scale, target);
        taken++;
        return (
          decoded.subarray(0, elements).every((value) => Number.isFinite(value)) &&
          decoded.subarray(elements).every((value) => value === 7)
        );
      },
    ),
    fuzzed(),
  );
  t.true(taken > 100, `${taken} taken`);
  t.is(codecs.fp32.id, 1);
});
