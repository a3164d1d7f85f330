// Original file: proto/gradloom/v1/rows.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { RowsPullMessage as _gradloom_v1_RowsPullMessage, RowsPullMessage__Output as _gradloom_v1_RowsPullMessage__Output } from '../../gradloom/v1/RowsPullMessage.js';
import type { RowsPullReply as _gradloom_v1_RowsPullReply, RowsPullReply__Output as _gradloom_v1_RowsPullReply__Output } from '../../gradloom/v1/RowsPullReply.js';
import type { RowsPushMessage as _gradloom_v1_RowsPushMessage, RowsPushMessage__Output as _gradloom_v1_RowsPushMessage__Output } from '../../gradloom/v1/RowsPushMessage.js';
import type { RowsPushReply as _gradloom_v1_RowsPushReply, RowsPushReply__Output as _gradloom_v1_RowsPushReply__Output } from '../../gradloom/v1/RowsPushReply.js';

export interface RowsClient extends grpc.Client {
  /**
   * Ids up; values down.
   */
  Pull(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_RowsPullMessage, _gradloom_v1_RowsPullReply__Output>;
  Pull(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_RowsPullMessage, _gradloom_v1_RowsPullReply__Output>;
  /**
   * Ids up; values down.
   */
  pull(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_RowsPullMessage, _gradloom_v1_RowsPullReply__Output>;
  pull(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_RowsPullMessage, _gradloom_v1_RowsPullReply__Output>;
  
  /**
   * Gradients of rows up; small acknowledgements down.
   */
  Push(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_RowsPushMessage, _gradloom_v1_RowsPushReply__Output>;
  Push(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_RowsPushMessage, _gradloom_v1_RowsPushReply__Output>;
  /**
   * Gradients of rows up; small acknowledgements down.
   */
  push(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_RowsPushMessage, _gradloom_v1_RowsPushReply__Output>;
  push(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_RowsPushMessage, _gradloom_v1_RowsPushReply__Output>;
  
}

export interface RowsHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Ids up; values down.
   */
  Pull: grpc.handleBidiStreamingCall<_gradloom_v1_RowsPullMessage__Output, _gradloom_v1_RowsPullReply>;
  
  /**
   * Gradients of rows up; small acknowledgements down.
   */
  Push: grpc.handleBidiStreamingCall<_gradloom_v1_RowsPushMessage__Output, _gradloom_v1_RowsPushReply>;
  
}

export interface RowsDefinition extends grpc.ServiceDefinition {
  Pull: MethodDefinition<_gradloom_v1_RowsPullMessage, _gradloom_v1_RowsPullReply, _gradloom_v1_RowsPullMessage__Output, _gradloom_v1_RowsPullReply__Output>
  Push: MethodDefinition<_gradloom_v1_RowsPushMessage, _gradloom_v1_RowsPushReply, _gradloom_v1_RowsPushMessage__Output, _gradloom_v1_RowsPushReply__Output>
}
