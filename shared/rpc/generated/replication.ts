import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { AgreeHello as _gradloom_v1_AgreeHello, AgreeHello__Output as _gradloom_v1_AgreeHello__Output } from './gradloom/v1/AgreeHello.js';
import type { AgreeMessage as _gradloom_v1_AgreeMessage, AgreeMessage__Output as _gradloom_v1_AgreeMessage__Output } from './gradloom/v1/AgreeMessage.js';
import type { AgreeReply as _gradloom_v1_AgreeReply, AgreeReply__Output as _gradloom_v1_AgreeReply__Output } from './gradloom/v1/AgreeReply.js';
import type { Block as _gradloom_v1_Block, Block__Output as _gradloom_v1_Block__Output } from './gradloom/v1/Block.js';
import type { BlockNorms as _gradloom_v1_BlockNorms, BlockNorms__Output as _gradloom_v1_BlockNorms__Output } from './gradloom/v1/BlockNorms.js';
import type { Contribution as _gradloom_v1_Contribution, Contribution__Output as _gradloom_v1_Contribution__Output } from './gradloom/v1/Contribution.js';
import type { Departure as _gradloom_v1_Departure, Departure__Output as _gradloom_v1_Departure__Output } from './gradloom/v1/Departure.js';
import type { Fetch as _gradloom_v1_Fetch, Fetch__Output as _gradloom_v1_Fetch__Output } from './gradloom/v1/Fetch.js';
import type { Hello as _gradloom_v1_Hello, Hello__Output as _gradloom_v1_Hello__Output } from './gradloom/v1/Hello.js';
import type { Manifest as _gradloom_v1_Manifest, Manifest__Output as _gradloom_v1_Manifest__Output } from './gradloom/v1/Manifest.js';
import type { Optimizer as _gradloom_v1_Optimizer, Optimizer__Output as _gradloom_v1_Optimizer__Output } from './gradloom/v1/Optimizer.js';
import type { ParameterGroup as _gradloom_v1_ParameterGroup, ParameterGroup__Output as _gradloom_v1_ParameterGroup__Output } from './gradloom/v1/ParameterGroup.js';
import type { ParametersClient as _gradloom_v1_ParametersClient, ParametersDefinition as _gradloom_v1_ParametersDefinition } from './gradloom/v1/Parameters.js';
import type { PullMessage as _gradloom_v1_PullMessage, PullMessage__Output as _gradloom_v1_PullMessage__Output } from './gradloom/v1/PullMessage.js';
import type { PullReady as _gradloom_v1_PullReady, PullReady__Output as _gradloom_v1_PullReady__Output } from './gradloom/v1/PullReady.js';
import type { PullReply as _gradloom_v1_PullReply, PullReply__Output as _gradloom_v1_PullReply__Output } from './gradloom/v1/PullReply.js';
import type { PushAck as _gradloom_v1_PushAck, PushAck__Output as _gradloom_v1_PushAck__Output } from './gradloom/v1/PushAck.js';
import type { PushMessage as _gradloom_v1_PushMessage, PushMessage__Output as _gradloom_v1_PushMessage__Output } from './gradloom/v1/PushMessage.js';
import type { PushReady as _gradloom_v1_PushReady, PushReady__Output as _gradloom_v1_PushReady__Output } from './gradloom/v1/PushReady.js';
import type { PushReply as _gradloom_v1_PushReply, PushReply__Output as _gradloom_v1_PushReply__Output } from './gradloom/v1/PushReply.js';
import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from './gradloom/v1/Refusal.js';
import type { ReplicaApplied as _gradloom_v1_ReplicaApplied, ReplicaApplied__Output as _gradloom_v1_ReplicaApplied__Output } from './gradloom/v1/ReplicaApplied.js';
import type { ReplicaArray as _gradloom_v1_ReplicaArray, ReplicaArray__Output as _gradloom_v1_ReplicaArray__Output } from './gradloom/v1/ReplicaArray.js';
import type { ReplicaCompare as _gradloom_v1_ReplicaCompare, ReplicaCompare__Output as _gradloom_v1_ReplicaCompare__Output } from './gradloom/v1/ReplicaCompare.js';
import type { ReplicaCompared as _gradloom_v1_ReplicaCompared, ReplicaCompared__Output as _gradloom_v1_ReplicaCompared__Output } from './gradloom/v1/ReplicaCompared.js';
import type { ReplicaCopied as _gradloom_v1_ReplicaCopied, ReplicaCopied__Output as _gradloom_v1_ReplicaCopied__Output } from './gradloom/v1/ReplicaCopied.js';
import type { ReplicaHello as _gradloom_v1_ReplicaHello, ReplicaHello__Output as _gradloom_v1_ReplicaHello__Output } from './gradloom/v1/ReplicaHello.js';
import type { ReplicaKept as _gradloom_v1_ReplicaKept, ReplicaKept__Output as _gradloom_v1_ReplicaKept__Output } from './gradloom/v1/ReplicaKept.js';
import type { ReplicaMessage as _gradloom_v1_ReplicaMessage, ReplicaMessage__Output as _gradloom_v1_ReplicaMessage__Output } from './gradloom/v1/ReplicaMessage.js';
import type { ReplicaPart as _gradloom_v1_ReplicaPart, ReplicaPart__Output as _gradloom_v1_ReplicaPart__Output } from './gradloom/v1/ReplicaPart.js';
import type { ReplicaReply as _gradloom_v1_ReplicaReply, ReplicaReply__Output as _gradloom_v1_ReplicaReply__Output } from './gradloom/v1/ReplicaReply.js';
import type { ReplicaUpdate as _gradloom_v1_ReplicaUpdate, ReplicaUpdate__Output as _gradloom_v1_ReplicaUpdate__Output } from './gradloom/v1/ReplicaUpdate.js';
import type { ReplicaWithdrawn as _gradloom_v1_ReplicaWithdrawn, ReplicaWithdrawn__Output as _gradloom_v1_ReplicaWithdrawn__Output } from './gradloom/v1/ReplicaWithdrawn.js';
import type { ReplicationClient as _gradloom_v1_ReplicationClient, ReplicationDefinition as _gradloom_v1_ReplicationDefinition } from './gradloom/v1/Replication.js';
import type { Resume as _gradloom_v1_Resume, Resume__Output as _gradloom_v1_Resume__Output } from './gradloom/v1/Resume.js';
import type { RowTable as _gradloom_v1_RowTable, RowTable__Output as _gradloom_v1_RowTable__Output } from './gradloom/v1/RowTable.js';
import type { RunSpec as _gradloom_v1_RunSpec, RunSpec__Output as _gradloom_v1_RunSpec__Output } from './gradloom/v1/RunSpec.js';
import type { Schedule as _gradloom_v1_Schedule, Schedule__Output as _gradloom_v1_Schedule__Output } from './gradloom/v1/Schedule.js';
import type { ServerInfo as _gradloom_v1_ServerInfo, ServerInfo__Output as _gradloom_v1_ServerInfo__Output } from './gradloom/v1/ServerInfo.js';
import type { ShardCopies as _gradloom_v1_ShardCopies, ShardCopies__Output as _gradloom_v1_ShardCopies__Output } from './gradloom/v1/ShardCopies.js';
import type { Snapshots as _gradloom_v1_Snapshots, Snapshots__Output as _gradloom_v1_Snapshots__Output } from './gradloom/v1/Snapshots.js';
import type { StepCut as _gradloom_v1_StepCut, StepCut__Output as _gradloom_v1_StepCut__Output } from './gradloom/v1/StepCut.js';
import type { StepHeader as _gradloom_v1_StepHeader, StepHeader__Output as _gradloom_v1_StepHeader__Output } from './gradloom/v1/StepHeader.js';
import type { StepOutcome as _gradloom_v1_StepOutcome, StepOutcome__Output as _gradloom_v1_StepOutcome__Output } from './gradloom/v1/StepOutcome.js';
import type { Subscribe as _gradloom_v1_Subscribe, Subscribe__Output as _gradloom_v1_Subscribe__Output } from './gradloom/v1/Subscribe.js';
import type { Tensor as _gradloom_v1_Tensor, Tensor__Output as _gradloom_v1_Tensor__Output } from './gradloom/v1/Tensor.js';
import type { View as _gradloom_v1_View, View__Output as _gradloom_v1_View__Output } from './gradloom/v1/View.js';
import type { ViewNotice as _gradloom_v1_ViewNotice, ViewNotice__Output as _gradloom_v1_ViewNotice__Output } from './gradloom/v1/ViewNotice.js';
import type { Waiting as _gradloom_v1_Waiting, Waiting__Output as _gradloom_v1_Waiting__Output } from './gradloom/v1/Waiting.js';
import type { WorkerInfo as _gradloom_v1_WorkerInfo, WorkerInfo__Output as _gradloom_v1_WorkerInfo__Output } from './gradloom/v1/WorkerInfo.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  gradloom: {
    v1: {
      AgreeHello: MessageTypeDefinition<_gradloom_v1_AgreeHello, _gradloom_v1_AgreeHello__Output>
      AgreeMessage: MessageTypeDefinition<_gradloom_v1_AgreeMessage, _gradloom_v1_AgreeMessage__Output>
      AgreeReply: MessageTypeDefinition<_gradloom_v1_AgreeReply, _gradloom_v1_AgreeReply__Output>
      Block: MessageTypeDefinition<_gradloom_v1_Block, _gradloom_v1_Block__Output>
      BlockNorms: MessageTypeDefinition<_gradloom_v1_BlockNorms, _gradloom_v1_BlockNorms__Output>
      Codec: EnumTypeDefinition
      Consistency: EnumTypeDefinition
      Contribution: MessageTypeDefinition<_gradloom_v1_Contribution, _gradloom_v1_Contribution__Output>
      Departure: MessageTypeDefinition<_gradloom_v1_Departure, _gradloom_v1_Departure__Output>
      Fetch: MessageTypeDefinition<_gradloom_v1_Fetch, _gradloom_v1_Fetch__Output>
      Hello: MessageTypeDefinition<_gradloom_v1_Hello, _gradloom_v1_Hello__Output>
      Manifest: MessageTypeDefinition<_gradloom_v1_Manifest, _gradloom_v1_Manifest__Output>
      Optimizer: MessageTypeDefinition<_gradloom_v1_Optimizer, _gradloom_v1_Optimizer__Output>
      OptimizerKind: EnumTypeDefinition
      ParameterGroup: MessageTypeDefinition<_gradloom_v1_ParameterGroup, _gradloom_v1_ParameterGroup__Output>
      Parameters: SubtypeConstructor<typeof grpc.Client, _gradloom_v1_ParametersClient> & { service: _gradloom_v1_ParametersDefinition }
      PullMessage: MessageTypeDefinition<_gradloom_v1_PullMessage, _gradloom_v1_PullMessage__Output>
      PullReady: MessageTypeDefinition<_gradloom_v1_PullReady, _gradloom_v1_PullReady__Output>
      PullReply: MessageTypeDefinition<_gradloom_v1_PullReply, _gradloom_v1_PullReply__Output>
      PushAck: MessageTypeDefinition<_gradloom_v1_PushAck, _gradloom_v1_PushAck__Output>
      PushMessage: MessageTypeDefinition<_gradloom_v1_PushMessage, _gradloom_v1_PushMessage__Output>
      PushReady: MessageTypeDefinition<_gradloom_v1_PushReady, _gradloom_v1_PushReady__Output>
      PushReply: MessageTypeDefinition<_gradloom_v1_PushReply, _gradloom_v1_PushReply__Output>
      Refusal: MessageTypeDefinition<_gradloom_v1_Refusal, _gradloom_v1_Refusal__Output>
      RefusalCode: EnumTypeDefinition
      ReplicaApplied: MessageTypeDefinition<_gradloom_v1_ReplicaApplied, _gradloom_v1_ReplicaApplied__Output>
      ReplicaArray: MessageTypeDefinition<_gradloom_v1_ReplicaArray, _gradloom_v1_ReplicaArray__Output>
      ReplicaCompare: MessageTypeDefinition<_gradloom_v1_ReplicaCompare, _gradloom_v1_ReplicaCompare__Output>
      ReplicaCompared: MessageTypeDefinition<_gradloom_v1_ReplicaCompared, _gradloom_v1_ReplicaCompared__Output>
      ReplicaCopied: MessageTypeDefinition<_gradloom_v1_ReplicaCopied, _gradloom_v1_ReplicaCopied__Output>
      ReplicaHello: MessageTypeDefinition<_gradloom_v1_ReplicaHello, _gradloom_v1_ReplicaHello__Output>
      ReplicaKept: MessageTypeDefinition<_gradloom_v1_ReplicaKept, _gradloom_v1_ReplicaKept__Output>
      ReplicaMessage: MessageTypeDefinition<_gradloom_v1_ReplicaMessage, _gradloom_v1_ReplicaMessage__Output>
      ReplicaPart: MessageTypeDefinition<_gradloom_v1_ReplicaPart, _gradloom_v1_ReplicaPart__Output>
      ReplicaReply: MessageTypeDefinition<_gradloom_v1_ReplicaReply, _gradloom_v1_ReplicaReply__Output>
      ReplicaUpdate: MessageTypeDefinition<_gradloom_v1_ReplicaUpdate, _gradloom_v1_ReplicaUpdate__Output>
      ReplicaWithdrawn: MessageTypeDefinition<_gradloom_v1_ReplicaWithdrawn, _gradloom_v1_ReplicaWithdrawn__Output>
      Replication: SubtypeConstructor<typeof grpc.Client, _gradloom_v1_ReplicationClient> & { service: _gradloom_v1_ReplicationDefinition }
      Resume: MessageTypeDefinition<_gradloom_v1_Resume, _gradloom_v1_Resume__Output>
      RowInitializerKind: EnumTypeDefinition
      RowTable: MessageTypeDefinition<_gradloom_v1_RowTable, _gradloom_v1_RowTable__Output>
      RunSpec: MessageTypeDefinition<_gradloom_v1_RunSpec, _gradloom_v1_RunSpec__Output>
      Schedule: MessageTypeDefinition<_gradloom_v1_Schedule, _gradloom_v1_Schedule__Output>
      ScheduleKind: EnumTypeDefinition
      ServerInfo: MessageTypeDefinition<_gradloom_v1_ServerInfo, _gradloom_v1_ServerInfo__Output>
      ShardCopies: MessageTypeDefinition<_gradloom_v1_ShardCopies, _gradloom_v1_ShardCopies__Output>
      Snapshots: MessageTypeDefinition<_gradloom_v1_Snapshots, _gradloom_v1_Snapshots__Output>
      StepCut: MessageTypeDefinition<_gradloom_v1_StepCut, _gradloom_v1_StepCut__Output>
      StepHeader: MessageTypeDefinition<_gradloom_v1_StepHeader, _gradloom_v1_StepHeader__Output>
      StepOutcome: MessageTypeDefinition<_gradloom_v1_StepOutcome, _gradloom_v1_StepOutcome__Output>
      Subscribe: MessageTypeDefinition<_gradloom_v1_Subscribe, _gradloom_v1_Subscribe__Output>
      Tensor: MessageTypeDefinition<_gradloom_v1_Tensor, _gradloom_v1_Tensor__Output>
      TensorKind: EnumTypeDefinition
      View: MessageTypeDefinition<_gradloom_v1_View, _gradloom_v1_View__Output>
      ViewNotice: MessageTypeDefinition<_gradloom_v1_ViewNotice, _gradloom_v1_ViewNotice__Output>
      Waiting: MessageTypeDefinition<_gradloom_v1_Waiting, _gradloom_v1_Waiting__Output>
      WorkerInfo: MessageTypeDefinition<_gradloom_v1_WorkerInfo, _gradloom_v1_WorkerInfo__Output>
    }
  }
}

