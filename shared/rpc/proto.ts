// Loads the public contract (proto/gradloom/v1) and puts the hand-written (de)serializers of the hot
// messages in place. Nobody else in the project touches proto files.
import { fileURLToPath } from 'node:url';
import type { MethodDefinition } from '@grpc/grpc-js';
import * as grpc from '@grpc/grpc-js';
import * as protoLoader from '@grpc/proto-loader';
import { protoPath as healthProto } from 'grpc-health-check';
import { decodeBulk } from './bulk.js';
import { Framed } from './frame.js';
import type { MembershipClient, MembershipDefinition } from './generated/gradloom/v1/Membership.js';
import type { ParametersClient, ParametersDefinition } from './generated/gradloom/v1/Parameters.js';
import type { ReplicationClient, ReplicationDefinition } from './generated/gradloom/v1/Replication.js';
import type { RowsClient, RowsDefinition } from './generated/gradloom/v1/Rows.js';
import { messageOf } from './grpc-internals.js';

/** Version of the protocol; nodes with different ones refuse each other. */
export const PROTOCOL_VERSION = 1;

const FILES = [
  'gradloom/v1/model.proto',
  'gradloom/v1/membership.proto',
  'gradloom/v1/parameters.proto',
  'gradloom/v1/rows.proto',
  'gradloom/v1/coordination.proto',
  'gradloom/v1/replication.proto',
];

/** Field numbers of the bulk messages within PushMessage, PullReply and ReplicaMessage. */
export const FIELD = { contribution: 3, initial: 4, block: 2, update: 2, array: 3, part: 9 } as const;
const PUSH_FIELDS = { 3: 'contribution', 4: 'initial' } as const;
const REPLICA_FIELDS = { 2: 'update', 3: 'array', 9: 'part' } as const;

const LOADING = { longs: Number, enums: Number, defaults: true, oneofs: true } as const;

/** The loaded package. */
export const packageDefinition = protoLoader.loadSync(FILES, {
  includeDirs: [fileURLToPath(new URL('../../../proto', import.meta.url))],
  ...LOADING,
});

/** What reflection tells of: the contract, and the standard service that servers have beside it. */
export const reflectedDefinition: protoLoader.PackageDefinition = {
  ...packageDefinition,
  ...protoLoader.loadSync(healthProto, LOADING),
};

export const parametersService = packageDefinition[
  'gradloom.v1.Parameters'
] as unknown as ParametersDefinition;
export const membershipService = packageDefinition[
  'gradloom.v1.Membership'
] as unknown as MembershipDefinition;

export const rowsService = packageDefinition['gradloom.v1.Rows'] as unknown as RowsDefinition;
export const replicationService = packageDefinition[
  'gradloom.v1.Replication'
] as unknown as ReplicationDefinition;

/** The codes of the generated (de)serializers, kept for tests that compare with the hand-written ones. */
export const generated = {
  pushMessage: { ...(parametersService.Push as unknown as MethodDefinition<object, object>) },
  pullReply: { ...(parametersService.Pull as unknown as MethodDefinition<object, object>) },
  replicaMessage: { ...(replicationService.Replicate as unknown as MethodDefinition<object, object>) },
};

/** Bytes of a message that is stored rather than sent, and back. */
export function messageCodec<I, O>(name: string): { encode(message: I): Buffer; decode(bytes: Buffer): O } {
  const type = packageDefinition[name] as unknown as protoLoader.MessageTypeDefinition<object, object>;
  return {
    encode: (message) => type.serialize(message as object),
    decode: (bytes) => type.deserialize(bytes) as O,
  };
}

type Serializer = (value: unknown) => Buffer;
type Deserializer = (bytes: Buffer) => unknown;

/** A bulk message, framed or not, is already in its wire form. */
const passBulk =
  (serialize: Serializer): Serializer =>
  (value) =>
    value instanceof Framed ? messageOf(value) : Buffer.isBuffer(value) ? value : serialize(value);

export function deserializePush(bytes: Buffer): unknown {
  const hot = decodeBulk(bytes, [FIELD.contribution, FIELD.initial]);
  if (!hot) return generated.pushMessage.requestDeserialize(bytes);
  const message = PUSH_FIELDS[hot.field as keyof typeof PUSH_FIELDS];
  return { message, [message]: hot.bulk };
}

export function deserializePull(bytes: Buffer): unknown {
  const hot = decodeBulk(bytes, [FIELD.block]);
  if (!hot) return generated.pullReply.responseDeserialize(bytes);
  return { reply: 'block', block: hot.bulk };
}

export function deserializeReplica(bytes: Buffer): unknown {
  const hot = decodeBulk(bytes, [FIELD.update, FIELD.array, FIELD.part]);
  if (!hot) return generated.replicaMessage.requestDeserialize(bytes);
  const message = REPLICA_FIELDS[hot.field as keyof typeof REPLICA_FIELDS];
  return { message, [message]: hot.bulk };
}

interface Codable {
  requestSerialize: Serializer;
  requestDeserialize: Deserializer;
  responseSerialize: Serializer;
  responseDeserialize: Deserializer;
}
const push = parametersService.Push as unknown as Codable;
push.requestSerialize = passBulk(push.requestSerialize);
push.requestDeserialize = deserializePush;
const pull = parametersService.Pull as unknown as Codable;
pull.responseSerialize = passBulk(pull.responseSerialize);
pull.responseDeserialize = deserializePull;
const replicate = replicationService.Replicate as unknown as Codable;
replicate.requestSerialize = passBulk(replicate.requestSerialize);
replicate.requestDeserialize = deserializeReplica;

type ClientConstructor<T> = new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: object,
) => T;

export const ParametersStub = grpc.makeClientConstructor(
  parametersService as unknown as grpc.ServiceDefinition,
  'Parameters',
) as unknown as ClientConstructor<ParametersClient>;
export const MembershipStub = grpc.makeClientConstructor(
  membershipService as unknown as grpc.ServiceDefinition,
  'Membership',
) as unknown as ClientConstructor<MembershipClient>;
export const ReplicationStub = grpc.makeClientConstructor(
  replicationService as unknown as grpc.ServiceDefinition,
  'Replication',
) as unknown as ClientConstructor<ReplicationClient>;
export const RowsStub = grpc.makeClientConstructor(
  rowsService as unknown as grpc.ServiceDefinition,
  'Rows',
) as unknown as ClientConstructor<RowsClient>;
