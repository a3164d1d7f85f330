// Original file: proto/gradloom/v1/parameters.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AgreeMessage as _gradloom_v1_AgreeMessage, AgreeMessage__Output as _gradloom_v1_AgreeMessage__Output } from '../../gradloom/v1/AgreeMessage.js';
import type { AgreeReply as _gradloom_v1_AgreeReply, AgreeReply__Output as _gradloom_v1_AgreeReply__Output } from '../../gradloom/v1/AgreeReply.js';
import type { PullMessage as _gradloom_v1_PullMessage, PullMessage__Output as _gradloom_v1_PullMessage__Output } from '../../gradloom/v1/PullMessage.js';
import type { PullReply as _gradloom_v1_PullReply, PullReply__Output as _gradloom_v1_PullReply__Output } from '../../gradloom/v1/PullReply.js';
import type { PushMessage as _gradloom_v1_PushMessage, PushMessage__Output as _gradloom_v1_PushMessage__Output } from '../../gradloom/v1/PushMessage.js';
import type { PushReply as _gradloom_v1_PushReply, PushReply__Output as _gradloom_v1_PushReply__Output } from '../../gradloom/v1/PushReply.js';

export interface ParametersClient extends grpc.Client {
  /**
   * Between the servers of a run that must agree on something within a step: on norms of the whole gradient, where the
   * optimizer waits for them, and with backup workers on whose contributions a step takes. Each server opens one stream
   * to each other server that it has something to tell.
   */
  Agree(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_AgreeMessage, _gradloom_v1_AgreeReply__Output>;
  Agree(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_AgreeMessage, _gradloom_v1_AgreeReply__Output>;
  /**
   * Between the servers of a run that must agree on something within a step: on norms of the whole gradient, where the
   * optimizer waits for them, and with backup workers on whose contributions a step takes. Each server opens one stream
   * to each other server that it has something to tell.
   */
  agree(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_AgreeMessage, _gradloom_v1_AgreeReply__Output>;
  agree(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_AgreeMessage, _gradloom_v1_AgreeReply__Output>;
  
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
   * Between the servers of a run that must agree on something within a step: on norms of the whole gradient, where the
   * optimizer waits for them, and with backup workers on whose contributions a step takes. Each server opens one stream
   * to each other server that it has something to tell.
   */
  Agree: grpc.handleBidiStreamingCall<_gradloom_v1_AgreeMessage__Output, _gradloom_v1_AgreeReply>;
  
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
  Agree: MethodDefinition<_gradloom_v1_AgreeMessage, _gradloom_v1_AgreeReply, _gradloom_v1_AgreeMessage__Output, _gradloom_v1_AgreeReply__Output>
  Pull: MethodDefinition<_gradloom_v1_PullMessage, _gradloom_v1_PullReply, _gradloom_v1_PullMessage__Output, _gradloom_v1_PullReply__Output>
  Push: MethodDefinition<_gradloom_v1_PushMessage, _gradloom_v1_PushReply, _gradloom_v1_PushMessage__Output, _gradloom_v1_PushReply__Output>
}
