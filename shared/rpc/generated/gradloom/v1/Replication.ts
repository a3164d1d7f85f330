// Original file: proto/gradloom/v1/replication.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ReplicaMessage as _gradloom_v1_ReplicaMessage, ReplicaMessage__Output as _gradloom_v1_ReplicaMessage__Output } from '../../gradloom/v1/ReplicaMessage.js';
import type { ReplicaReply as _gradloom_v1_ReplicaReply, ReplicaReply__Output as _gradloom_v1_ReplicaReply__Output } from '../../gradloom/v1/ReplicaReply.js';

export interface ReplicationClient extends grpc.Client {
  /**
   * One shard, from its primary to one backup. Begins with a copy of all that the shard holds. Where the backup is taken to
   * hold it, each block is compared first (`compare`), and either kept or copied.
   */
  Replicate(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_ReplicaMessage, _gradloom_v1_ReplicaReply__Output>;
  Replicate(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_ReplicaMessage, _gradloom_v1_ReplicaReply__Output>;
  /**
   * One shard, from its primary to one backup. Begins with a copy of all that the shard holds. Where the backup is taken to
   * hold it, each block is compared first (`compare`), and either kept or copied.
   */
  replicate(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_ReplicaMessage, _gradloom_v1_ReplicaReply__Output>;
  replicate(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_ReplicaMessage, _gradloom_v1_ReplicaReply__Output>;
  
}

export interface ReplicationHandlers extends grpc.UntypedServiceImplementation {
  /**
   * One shard, from its primary to one backup. Begins with a copy of all that the shard holds. Where the backup is taken to
   * hold it, each block is compared first (`compare`), and either kept or copied.
   */
  Replicate: grpc.handleBidiStreamingCall<_gradloom_v1_ReplicaMessage__Output, _gradloom_v1_ReplicaReply>;
  
}

export interface ReplicationDefinition extends grpc.ServiceDefinition {
  Replicate: MethodDefinition<_gradloom_v1_ReplicaMessage, _gradloom_v1_ReplicaReply, _gradloom_v1_ReplicaMessage__Output, _gradloom_v1_ReplicaReply__Output>
}
