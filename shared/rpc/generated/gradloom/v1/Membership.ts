// Original file: proto/gradloom/v1/membership.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ChangeReply as _gradloom_v1_ChangeReply, ChangeReply__Output as _gradloom_v1_ChangeReply__Output } from '../../gradloom/v1/ChangeReply.js';
import type { ChangeRequest as _gradloom_v1_ChangeRequest, ChangeRequest__Output as _gradloom_v1_ChangeRequest__Output } from '../../gradloom/v1/ChangeRequest.js';
import type { DescribeReply as _gradloom_v1_DescribeReply, DescribeReply__Output as _gradloom_v1_DescribeReply__Output } from '../../gradloom/v1/DescribeReply.js';
import type { DescribeRequest as _gradloom_v1_DescribeRequest, DescribeRequest__Output as _gradloom_v1_DescribeRequest__Output } from '../../gradloom/v1/DescribeRequest.js';
import type { DrainReply as _gradloom_v1_DrainReply, DrainReply__Output as _gradloom_v1_DrainReply__Output } from '../../gradloom/v1/DrainReply.js';
import type { DrainRequest as _gradloom_v1_DrainRequest, DrainRequest__Output as _gradloom_v1_DrainRequest__Output } from '../../gradloom/v1/DrainRequest.js';
import type { ServerOrder as _gradloom_v1_ServerOrder, ServerOrder__Output as _gradloom_v1_ServerOrder__Output } from '../../gradloom/v1/ServerOrder.js';
import type { ServerReport as _gradloom_v1_ServerReport, ServerReport__Output as _gradloom_v1_ServerReport__Output } from '../../gradloom/v1/ServerReport.js';
import type { StatusReply as _gradloom_v1_StatusReply, StatusReply__Output as _gradloom_v1_StatusReply__Output } from '../../gradloom/v1/StatusReply.js';
import type { StatusRequest as _gradloom_v1_StatusRequest, StatusRequest__Output as _gradloom_v1_StatusRequest__Output } from '../../gradloom/v1/StatusRequest.js';
import type { WorkerOrder as _gradloom_v1_WorkerOrder, WorkerOrder__Output as _gradloom_v1_WorkerOrder__Output } from '../../gradloom/v1/WorkerOrder.js';
import type { WorkerReport as _gradloom_v1_WorkerReport, WorkerReport__Output as _gradloom_v1_WorkerReport__Output } from '../../gradloom/v1/WorkerReport.js';

export interface MembershipClient extends grpc.Client {
  /**
   * Changes a running run at a step boundary; answered when it is decided from which step on.
   */
  Change(argument: _gradloom_v1_ChangeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_ChangeReply__Output>): grpc.ClientUnaryCall;
  Change(argument: _gradloom_v1_ChangeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_gradloom_v1_ChangeReply__Output>): grpc.ClientUnaryCall;
  Change(argument: _gradloom_v1_ChangeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_ChangeReply__Output>): grpc.ClientUnaryCall;
  Change(argument: _gradloom_v1_ChangeRequest, callback: grpc.requestCallback<_gradloom_v1_ChangeReply__Output>): grpc.ClientUnaryCall;
  /**
   * Changes a running run at a step boundary; answered when it is decided from which step on.
   */
  change(argument: _gradloom_v1_ChangeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_ChangeReply__Output>): grpc.ClientUnaryCall;
  change(argument: _gradloom_v1_ChangeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_gradloom_v1_ChangeReply__Output>): grpc.ClientUnaryCall;
  change(argument: _gradloom_v1_ChangeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_ChangeReply__Output>): grpc.ClientUnaryCall;
  change(argument: _gradloom_v1_ChangeRequest, callback: grpc.requestCallback<_gradloom_v1_ChangeReply__Output>): grpc.ClientUnaryCall;
  
  /**
   * The spec and the view of a running run, for those who only read its parameters.
   */
  Describe(argument: _gradloom_v1_DescribeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_DescribeReply__Output>): grpc.ClientUnaryCall;
  Describe(argument: _gradloom_v1_DescribeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_gradloom_v1_DescribeReply__Output>): grpc.ClientUnaryCall;
  Describe(argument: _gradloom_v1_DescribeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_DescribeReply__Output>): grpc.ClientUnaryCall;
  Describe(argument: _gradloom_v1_DescribeRequest, callback: grpc.requestCallback<_gradloom_v1_DescribeReply__Output>): grpc.ClientUnaryCall;
  /**
   * The spec and the view of a running run, for those who only read its parameters.
   */
  describe(argument: _gradloom_v1_DescribeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_DescribeReply__Output>): grpc.ClientUnaryCall;
  describe(argument: _gradloom_v1_DescribeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_gradloom_v1_DescribeReply__Output>): grpc.ClientUnaryCall;
  describe(argument: _gradloom_v1_DescribeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_DescribeReply__Output>): grpc.ClientUnaryCall;
  describe(argument: _gradloom_v1_DescribeRequest, callback: grpc.requestCallback<_gradloom_v1_DescribeReply__Output>): grpc.ClientUnaryCall;
  
  /**
   * Empties a server while runs go on: others take over its shards. Answered when it holds nothing any more.
   */
  Drain(argument: _gradloom_v1_DrainRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_DrainReply__Output>): grpc.ClientUnaryCall;
  Drain(argument: _gradloom_v1_DrainRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_gradloom_v1_DrainReply__Output>): grpc.ClientUnaryCall;
  Drain(argument: _gradloom_v1_DrainRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_DrainReply__Output>): grpc.ClientUnaryCall;
  Drain(argument: _gradloom_v1_DrainRequest, callback: grpc.requestCallback<_gradloom_v1_DrainReply__Output>): grpc.ClientUnaryCall;
  /**
   * Empties a server while runs go on: others take over its shards. Answered when it holds nothing any more.
   */
  drain(argument: _gradloom_v1_DrainRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_DrainReply__Output>): grpc.ClientUnaryCall;
  drain(argument: _gradloom_v1_DrainRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_gradloom_v1_DrainReply__Output>): grpc.ClientUnaryCall;
  drain(argument: _gradloom_v1_DrainRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_DrainReply__Output>): grpc.ClientUnaryCall;
  drain(argument: _gradloom_v1_DrainRequest, callback: grpc.requestCallback<_gradloom_v1_DrainReply__Output>): grpc.ClientUnaryCall;
  
  /**
   * A server joins the mesh and stays for the life of its stream.
   */
  Serve(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_ServerReport, _gradloom_v1_ServerOrder__Output>;
  Serve(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_ServerReport, _gradloom_v1_ServerOrder__Output>;
  /**
   * A server joins the mesh and stays for the life of its stream.
   */
  serve(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_ServerReport, _gradloom_v1_ServerOrder__Output>;
  serve(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_ServerReport, _gradloom_v1_ServerOrder__Output>;
  
  /**
   * What is going on: servers, runs, who waits for whom.
   */
  Status(argument: _gradloom_v1_StatusRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_StatusReply__Output>): grpc.ClientUnaryCall;
  Status(argument: _gradloom_v1_StatusRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_gradloom_v1_StatusReply__Output>): grpc.ClientUnaryCall;
  Status(argument: _gradloom_v1_StatusRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_StatusReply__Output>): grpc.ClientUnaryCall;
  Status(argument: _gradloom_v1_StatusRequest, callback: grpc.requestCallback<_gradloom_v1_StatusReply__Output>): grpc.ClientUnaryCall;
  /**
   * What is going on: servers, runs, who waits for whom.
   */
  status(argument: _gradloom_v1_StatusRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_StatusReply__Output>): grpc.ClientUnaryCall;
  status(argument: _gradloom_v1_StatusRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_gradloom_v1_StatusReply__Output>): grpc.ClientUnaryCall;
  status(argument: _gradloom_v1_StatusRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_gradloom_v1_StatusReply__Output>): grpc.ClientUnaryCall;
  status(argument: _gradloom_v1_StatusRequest, callback: grpc.requestCallback<_gradloom_v1_StatusReply__Output>): grpc.ClientUnaryCall;
  
  /**
   * A worker joins a run and stays until it has ended.
   */
  Work(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_WorkerReport, _gradloom_v1_WorkerOrder__Output>;
  Work(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_WorkerReport, _gradloom_v1_WorkerOrder__Output>;
  /**
   * A worker joins a run and stays until it has ended.
   */
  work(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_WorkerReport, _gradloom_v1_WorkerOrder__Output>;
  work(options?: grpc.CallOptions): grpc.ClientDuplexStream<_gradloom_v1_WorkerReport, _gradloom_v1_WorkerOrder__Output>;
  
}

export interface MembershipHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Changes a running run at a step boundary; answered when it is decided from which step on.
   */
  Change: grpc.handleUnaryCall<_gradloom_v1_ChangeRequest__Output, _gradloom_v1_ChangeReply>;
  
  /**
   * The spec and the view of a running run, for those who only read its parameters.
   */
  Describe: grpc.handleUnaryCall<_gradloom_v1_DescribeRequest__Output, _gradloom_v1_DescribeReply>;
  
  /**
   * Empties a server while runs go on: others take over its shards. Answered when it holds nothing any more.
   */
  Drain: grpc.handleUnaryCall<_gradloom_v1_DrainRequest__Output, _gradloom_v1_DrainReply>;
  
  /**
   * A server joins the mesh and stays for the life of its stream.
   */
  Serve: grpc.handleBidiStreamingCall<_gradloom_v1_ServerReport__Output, _gradloom_v1_ServerOrder>;
  
  /**
   * What is going on: servers, runs, who waits for whom.
   */
  Status: grpc.handleUnaryCall<_gradloom_v1_StatusRequest__Output, _gradloom_v1_StatusReply>;
  
  /**
   * A worker joins a run and stays until it has ended.
   */
  Work: grpc.handleBidiStreamingCall<_gradloom_v1_WorkerReport__Output, _gradloom_v1_WorkerOrder>;
  
}

export interface MembershipDefinition extends grpc.ServiceDefinition {
  Change: MethodDefinition<_gradloom_v1_ChangeRequest, _gradloom_v1_ChangeReply, _gradloom_v1_ChangeRequest__Output, _gradloom_v1_ChangeReply__Output>
  Describe: MethodDefinition<_gradloom_v1_DescribeRequest, _gradloom_v1_DescribeReply, _gradloom_v1_DescribeRequest__Output, _gradloom_v1_DescribeReply__Output>
  Drain: MethodDefinition<_gradloom_v1_DrainRequest, _gradloom_v1_DrainReply, _gradloom_v1_DrainRequest__Output, _gradloom_v1_DrainReply__Output>
  Serve: MethodDefinition<_gradloom_v1_ServerReport, _gradloom_v1_ServerOrder, _gradloom_v1_ServerReport__Output, _gradloom_v1_ServerOrder__Output>
  Status: MethodDefinition<_gradloom_v1_StatusRequest, _gradloom_v1_StatusReply, _gradloom_v1_StatusRequest__Output, _gradloom_v1_StatusReply__Output>
  Work: MethodDefinition<_gradloom_v1_WorkerReport, _gradloom_v1_WorkerOrder, _gradloom_v1_WorkerReport__Output, _gradloom_v1_WorkerOrder__Output>
}
