// Original file: proto/gradloom/v1/parameters.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { NormsMessage as _gradloom_v1_NormsMessage, NormsMessage__Output as _gradloom_v1_NormsMessage__Output } from '../../gradloom/v1/NormsMessage.js';
import type { NormsReply as _gradloom_v1_NormsReply, NormsReply__Output as _gradloom_v1_NormsReply__Output } from '../../gradloom/v1/NormsReply.js';
import type { PullMessage as _gradloom_v1_PullMessage, PullMessage__Output as _gradloom_v1_PullMessage__Output } from '../../gradloom/v1/PullMessage.js';
import type { PullReply as _gradloom_v1_PullReply, PullReply__Output as _gradloom_v1_PullReply__Output } from '../../gradloom/v1/PullReply.js';
import type { PushMessage as _gradloom_v1_PushMessage, PushMessage__Output as _gradloom_v1_PushMessage__Output } from '../../gradloom/v1/PushMessage.js';
import type { PushReply as _gradloom_v1_PushReply, PushReply__Output as _gradloom_v1_PushReply__Output } from '../../gradloom/v1/PushReply.js';

export interface ParametersClient extends grpc.Client {
  /**
   * Between the servers of a run whose optimizer waits for norms of the whole gradient: each opens one stream to each
   * other server that it sends norms to.
   */
  Norms(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_NormsMessage, _gradloom_v1_NormsReply__Output>;
  Norms(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_NormsMessage, _gradloom_v1_NormsReply__Output>;
  /**
   * Between the servers of a run whose optimizer waits for norms of the whole gradient: each opens one stream to each
   * other server that it sends norms to.
   */
  norms(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_NormsMessage, _gradloom_v1_NormsReply__Output>;
  norms(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_NormsMessage, _gradloom_v1_NormsReply__Output>;
  
  /**
   * New blocks down; small requests up.
   */
  Pull(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_PullMessage, _gradloom_v1_PullReply__Output>;
  Pull(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_PullMessage, _gradloom_v1_PullReply__Output>;
  /**
   * New blocks down; small requests up.
   */
  pull(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_PullMessage, _gradloom_v1_PullReply__Output>;
  pull(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_PullMessage, _gradloom_v1_PullReply__Output>;
  
  /**
   * Contributions up; small acknowledgements down.
   */
  Push(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_PushMessage, _gradloom_v1_PushReply__Output>;
  Push(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_PushMessage, _gradloom_v1_PushReply__Output>;
  /**
   * Contributions up; small acknowledgements down.
   */
  push(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_PushMessage, _gradloom_v1_PushReply__Output>;
  push(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_PushMessage, _gradloom_v1_PushReply__Output>;
  
}

export interface ParametersHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Between the servers of a run whose optimizer waits for norms of the whole gradient: each opens one stream to each
   * other server that it sends norms to.
   */
  Norms: grpc.handleBidiStreamingCall<_gradloom_v1_NormsMessage__Output, _gradloom_v1_NormsReply>;
  
  /**
   * New blocks down; small requests up.
   */
  Pull: grpc.handleBidiStreamingCall<_gradloom_v1_PullMessage__Output, _gradloom_v1_PullReply>;
  
  /**
   * Contributions up; small acknowledgements down.
   */
  Push: grpc.handleBidiStreamingCall<_gradloom_v1_PushMessage__Output, _gradloom_v1_PushReply>;
  
}

export interface ParametersDefinition extends grpc.ServiceDefinition {
  Norms: MethodDefinition<_gradloom_v1_NormsMessage, _gradloom_v1_NormsReply, _gradloom_v1_NormsMessage__Output, _gradloom_v1_NormsReply__Output>
  Pull: MethodDefinition<_gradloom_v1_PullMessage, _gradloom_v1_PullReply, _gradloom_v1_PullMessage__Output, _gradloom_v1_PullReply__Output>
  Push: MethodDefinition<_gradloom_v1_PushMessage, _gradloom_v1_PushReply, _gradloom_v1_PushMessage__Output, _gradloom_v1_PushReply__Output>
}
