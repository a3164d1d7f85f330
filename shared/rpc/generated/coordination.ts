import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { BackupLost as _gradloom_v1_BackupLost, BackupLost__Output as _gradloom_v1_BackupLost__Output } from './gradloom/v1/BackupLost.js';
import type { ChangeReply as _gradloom_v1_ChangeReply, ChangeReply__Output as _gradloom_v1_ChangeReply__Output } from './gradloom/v1/ChangeReply.js';
import type { ChangeRequest as _gradloom_v1_ChangeRequest, ChangeRequest__Output as _gradloom_v1_ChangeRequest__Output } from './gradloom/v1/ChangeRequest.js';
import type { ChangeView as _gradloom_v1_ChangeView, ChangeView__Output as _gradloom_v1_ChangeView__Output } from './gradloom/v1/ChangeView.js';
import type { CopyDiverged as _gradloom_v1_CopyDiverged, CopyDiverged__Output as _gradloom_v1_CopyDiverged__Output } from './gradloom/v1/CopyDiverged.js';
import type { Departure as _gradloom_v1_Departure, Departure__Output as _gradloom_v1_Departure__Output } from './gradloom/v1/Departure.js';
import type { DescribeReply as _gradloom_v1_DescribeReply, DescribeReply__Output as _gradloom_v1_DescribeReply__Output } from './gradloom/v1/DescribeReply.js';
import type { DescribeRequest as _gradloom_v1_DescribeRequest, DescribeRequest__Output as _gradloom_v1_DescribeRequest__Output } from './gradloom/v1/DescribeRequest.js';
import type { DrainReply as _gradloom_v1_DrainReply, DrainReply__Output as _gradloom_v1_DrainReply__Output } from './gradloom/v1/DrainReply.js';
import type { DrainRequest as _gradloom_v1_DrainRequest, DrainRequest__Output as _gradloom_v1_DrainRequest__Output } from './gradloom/v1/DrainRequest.js';
import type { EndRun as _gradloom_v1_EndRun, EndRun__Output as _gradloom_v1_EndRun__Output } from './gradloom/v1/EndRun.js';
import type { EndedRun as _gradloom_v1_EndedRun, EndedRun__Output as _gradloom_v1_EndedRun__Output } from './gradloom/v1/EndedRun.js';
import type { Evaluation as _gradloom_v1_Evaluation, Evaluation__Output as _gradloom_v1_Evaluation__Output } from './gradloom/v1/Evaluation.js';
import type { EvaluationPart as _gradloom_v1_EvaluationPart, EvaluationPart__Output as _gradloom_v1_EvaluationPart__Output } from './gradloom/v1/EvaluationPart.js';
import type { EvaluationWait as _gradloom_v1_EvaluationWait, EvaluationWait__Output as _gradloom_v1_EvaluationWait__Output } from './gradloom/v1/EvaluationWait.js';
import type { FenceWorker as _gradloom_v1_FenceWorker, FenceWorker__Output as _gradloom_v1_FenceWorker__Output } from './gradloom/v1/FenceWorker.js';
import type { HoldRun as _gradloom_v1_HoldRun, HoldRun__Output as _gradloom_v1_HoldRun__Output } from './gradloom/v1/HoldRun.js';
import type { Manifest as _gradloom_v1_Manifest, Manifest__Output as _gradloom_v1_Manifest__Output } from './gradloom/v1/Manifest.js';
import type { MembershipClient as _gradloom_v1_MembershipClient, MembershipDefinition as _gradloom_v1_MembershipDefinition } from './gradloom/v1/Membership.js';
import type { Optimizer as _gradloom_v1_Optimizer, Optimizer__Output as _gradloom_v1_Optimizer__Output } from './gradloom/v1/Optimizer.js';
import type { ParameterGroup as _gradloom_v1_ParameterGroup, ParameterGroup__Output as _gradloom_v1_ParameterGroup__Output } from './gradloom/v1/ParameterGroup.js';
import type { PlaceShards as _gradloom_v1_PlaceShards, PlaceShards__Output as _gradloom_v1_PlaceShards__Output } from './gradloom/v1/PlaceShards.js';
import type { PrepareRun as _gradloom_v1_PrepareRun, PrepareRun__Output as _gradloom_v1_PrepareRun__Output } from './gradloom/v1/PrepareRun.js';
import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from './gradloom/v1/Refusal.js';
import type { Resume as _gradloom_v1_Resume, Resume__Output as _gradloom_v1_Resume__Output } from './gradloom/v1/Resume.js';
import type { RowTable as _gradloom_v1_RowTable, RowTable__Output as _gradloom_v1_RowTable__Output } from './gradloom/v1/RowTable.js';
import type { RunDone as _gradloom_v1_RunDone, RunDone__Output as _gradloom_v1_RunDone__Output } from './gradloom/v1/RunDone.js';
import type { RunPrepared as _gradloom_v1_RunPrepared, RunPrepared__Output as _gradloom_v1_RunPrepared__Output } from './gradloom/v1/RunPrepared.js';
import type { RunSpec as _gradloom_v1_RunSpec, RunSpec__Output as _gradloom_v1_RunSpec__Output } from './gradloom/v1/RunSpec.js';
import type { RunStatus as _gradloom_v1_RunStatus, RunStatus__Output as _gradloom_v1_RunStatus__Output } from './gradloom/v1/RunStatus.js';
import type { Schedule as _gradloom_v1_Schedule, Schedule__Output as _gradloom_v1_Schedule__Output } from './gradloom/v1/Schedule.js';
import type { ServerBack as _gradloom_v1_ServerBack, ServerBack__Output as _gradloom_v1_ServerBack__Output } from './gradloom/v1/ServerBack.js';
import type { ServerDrained as _gradloom_v1_ServerDrained, ServerDrained__Output as _gradloom_v1_ServerDrained__Output } from './gradloom/v1/ServerDrained.js';
import type { ServerHello as _gradloom_v1_ServerHello, ServerHello__Output as _gradloom_v1_ServerHello__Output } from './gradloom/v1/ServerHello.js';
import type { ServerInfo as _gradloom_v1_ServerInfo, ServerInfo__Output as _gradloom_v1_ServerInfo__Output } from './gradloom/v1/ServerInfo.js';
import type { ServerLeaving as _gradloom_v1_ServerLeaving, ServerLeaving__Output as _gradloom_v1_ServerLeaving__Output } from './gradloom/v1/ServerLeaving.js';
import type { ServerOrder as _gradloom_v1_ServerOrder, ServerOrder__Output as _gradloom_v1_ServerOrder__Output } from './gradloom/v1/ServerOrder.js';
import type { ServerProgress as _gradloom_v1_ServerProgress, ServerProgress__Output as _gradloom_v1_ServerProgress__Output } from './gradloom/v1/ServerProgress.js';
import type { ServerReport as _gradloom_v1_ServerReport, ServerReport__Output as _gradloom_v1_ServerReport__Output } from './gradloom/v1/ServerReport.js';
import type { ServerStatus as _gradloom_v1_ServerStatus, ServerStatus__Output as _gradloom_v1_ServerStatus__Output } from './gradloom/v1/ServerStatus.js';
import type { ServerTime as _gradloom_v1_ServerTime, ServerTime__Output as _gradloom_v1_ServerTime__Output } from './gradloom/v1/ServerTime.js';
import type { ServerWelcome as _gradloom_v1_ServerWelcome, ServerWelcome__Output as _gradloom_v1_ServerWelcome__Output } from './gradloom/v1/ServerWelcome.js';
import type { ShardCopies as _gradloom_v1_ShardCopies, ShardCopies__Output as _gradloom_v1_ShardCopies__Output } from './gradloom/v1/ShardCopies.js';
import type { ShardReplicated as _gradloom_v1_ShardReplicated, ShardReplicated__Output as _gradloom_v1_ShardReplicated__Output } from './gradloom/v1/ShardReplicated.js';
import type { ShardTimes as _gradloom_v1_ShardTimes, ShardTimes__Output as _gradloom_v1_ShardTimes__Output } from './gradloom/v1/ShardTimes.js';
import type { SnapshotPart as _gradloom_v1_SnapshotPart, SnapshotPart__Output as _gradloom_v1_SnapshotPart__Output } from './gradloom/v1/SnapshotPart.js';
import type { Snapshots as _gradloom_v1_Snapshots, Snapshots__Output as _gradloom_v1_Snapshots__Output } from './gradloom/v1/Snapshots.js';
import type { StartRun as _gradloom_v1_StartRun, StartRun__Output as _gradloom_v1_StartRun__Output } from './gradloom/v1/StartRun.js';
import type { StatusReply as _gradloom_v1_StatusReply, StatusReply__Output as _gradloom_v1_StatusReply__Output } from './gradloom/v1/StatusReply.js';
import type { StatusRequest as _gradloom_v1_StatusRequest, StatusRequest__Output as _gradloom_v1_StatusRequest__Output } from './gradloom/v1/StatusRequest.js';
import type { StepTimes as _gradloom_v1_StepTimes, StepTimes__Output as _gradloom_v1_StepTimes__Output } from './gradloom/v1/StepTimes.js';
import type { StoredEnd as _gradloom_v1_StoredEnd, StoredEnd__Output as _gradloom_v1_StoredEnd__Output } from './gradloom/v1/StoredEnd.js';
import type { StoredMesh as _gradloom_v1_StoredMesh, StoredMesh__Output as _gradloom_v1_StoredMesh__Output } from './gradloom/v1/StoredMesh.js';
import type { StoredRun as _gradloom_v1_StoredRun, StoredRun__Output as _gradloom_v1_StoredRun__Output } from './gradloom/v1/StoredRun.js';
import type { StoredServer as _gradloom_v1_StoredServer, StoredServer__Output as _gradloom_v1_StoredServer__Output } from './gradloom/v1/StoredServer.js';
import type { StoredWorker as _gradloom_v1_StoredWorker, StoredWorker__Output as _gradloom_v1_StoredWorker__Output } from './gradloom/v1/StoredWorker.js';
import type { Straggler as _gradloom_v1_Straggler, Straggler__Output as _gradloom_v1_Straggler__Output } from './gradloom/v1/Straggler.js';
import type { TakeSnapshot as _gradloom_v1_TakeSnapshot, TakeSnapshot__Output as _gradloom_v1_TakeSnapshot__Output } from './gradloom/v1/TakeSnapshot.js';
import type { Tensor as _gradloom_v1_Tensor, Tensor__Output as _gradloom_v1_Tensor__Output } from './gradloom/v1/Tensor.js';
import type { View as _gradloom_v1_View, View__Output as _gradloom_v1_View__Output } from './gradloom/v1/View.js';
import type { ViewEntered as _gradloom_v1_ViewEntered, ViewEntered__Output as _gradloom_v1_ViewEntered__Output } from './gradloom/v1/ViewEntered.js';
import type { ViewHeld as _gradloom_v1_ViewHeld, ViewHeld__Output as _gradloom_v1_ViewHeld__Output } from './gradloom/v1/ViewHeld.js';
import type { ViewTaken as _gradloom_v1_ViewTaken, ViewTaken__Output as _gradloom_v1_ViewTaken__Output } from './gradloom/v1/ViewTaken.js';
import type { WorkerBack as _gradloom_v1_WorkerBack, WorkerBack__Output as _gradloom_v1_WorkerBack__Output } from './gradloom/v1/WorkerBack.js';
import type { WorkerFenced as _gradloom_v1_WorkerFenced, WorkerFenced__Output as _gradloom_v1_WorkerFenced__Output } from './gradloom/v1/WorkerFenced.js';
import type { WorkerHello as _gradloom_v1_WorkerHello, WorkerHello__Output as _gradloom_v1_WorkerHello__Output } from './gradloom/v1/WorkerHello.js';
import type { WorkerInfo as _gradloom_v1_WorkerInfo, WorkerInfo__Output as _gradloom_v1_WorkerInfo__Output } from './gradloom/v1/WorkerInfo.js';
import type { WorkerIsDone as _gradloom_v1_WorkerIsDone, WorkerIsDone__Output as _gradloom_v1_WorkerIsDone__Output } from './gradloom/v1/WorkerIsDone.js';
import type { WorkerOffends as _gradloom_v1_WorkerOffends, WorkerOffends__Output as _gradloom_v1_WorkerOffends__Output } from './gradloom/v1/WorkerOffends.js';
import type { WorkerOrder as _gradloom_v1_WorkerOrder, WorkerOrder__Output as _gradloom_v1_WorkerOrder__Output } from './gradloom/v1/WorkerOrder.js';
import type { WorkerProgress as _gradloom_v1_WorkerProgress, WorkerProgress__Output as _gradloom_v1_WorkerProgress__Output } from './gradloom/v1/WorkerProgress.js';
import type { WorkerReport as _gradloom_v1_WorkerReport, WorkerReport__Output as _gradloom_v1_WorkerReport__Output } from './gradloom/v1/WorkerReport.js';
import type { WorkerStatus as _gradloom_v1_WorkerStatus, WorkerStatus__Output as _gradloom_v1_WorkerStatus__Output } from './gradloom/v1/WorkerStatus.js';
import type { WorkerWelcome as _gradloom_v1_WorkerWelcome, WorkerWelcome__Output as _gradloom_v1_WorkerWelcome__Output } from './gradloom/v1/WorkerWelcome.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  gradloom: {
    v1: {
      BackupLost: MessageTypeDefinition<_gradloom_v1_BackupLost, _gradloom_v1_BackupLost__Output>
      ChangeReply: MessageTypeDefinition<_gradloom_v1_ChangeReply, _gradloom_v1_ChangeReply__Output>
      ChangeRequest: MessageTypeDefinition<_gradloom_v1_ChangeRequest, _gradloom_v1_ChangeRequest__Output>
      ChangeView: MessageTypeDefinition<_gradloom_v1_ChangeView, _gradloom_v1_ChangeView__Output>
      Codec: EnumTypeDefinition
      Consistency: EnumTypeDefinition
      CopyDiverged: MessageTypeDefinition<_gradloom_v1_CopyDiverged, _gradloom_v1_CopyDiverged__Output>
      Departure: MessageTypeDefinition<_gradloom_v1_Departure, _gradloom_v1_Departure__Output>
      DescribeReply: MessageTypeDefinition<_gradloom_v1_DescribeReply, _gradloom_v1_DescribeReply__Output>
      DescribeRequest: MessageTypeDefinition<_gradloom_v1_DescribeRequest, _gradloom_v1_DescribeRequest__Output>
      DrainReply: MessageTypeDefinition<_gradloom_v1_DrainReply, _gradloom_v1_DrainReply__Output>
      DrainRequest: MessageTypeDefinition<_gradloom_v1_DrainRequest, _gradloom_v1_DrainRequest__Output>
      EndRun: MessageTypeDefinition<_gradloom_v1_EndRun, _gradloom_v1_EndRun__Output>
      EndedRun: MessageTypeDefinition<_gradloom_v1_EndedRun, _gradloom_v1_EndedRun__Output>
      Evaluation: MessageTypeDefinition<_gradloom_v1_Evaluation, _gradloom_v1_Evaluation__Output>
      EvaluationPart: MessageTypeDefinition<_gradloom_v1_EvaluationPart, _gradloom_v1_EvaluationPart__Output>
      EvaluationWait: MessageTypeDefinition<_gradloom_v1_EvaluationWait, _gradloom_v1_EvaluationWait__Output>
      FenceWorker: MessageTypeDefinition<_gradloom_v1_FenceWorker, _gradloom_v1_FenceWorker__Output>
      HoldRun: MessageTypeDefinition<_gradloom_v1_HoldRun, _gradloom_v1_HoldRun__Output>
      Manifest: MessageTypeDefinition<_gradloom_v1_Manifest, _gradloom_v1_Manifest__Output>
      Membership: SubtypeConstructor<typeof grpc.Client, _gradloom_v1_MembershipClient> & { service: _gradloom_v1_MembershipDefinition }
      Optimizer: MessageTypeDefinition<_gradloom_v1_Optimizer, _gradloom_v1_Optimizer__Output>
      OptimizerKind: EnumTypeDefinition
      ParameterGroup: MessageTypeDefinition<_gradloom_v1_ParameterGroup, _gradloom_v1_ParameterGroup__Output>
      PlaceShards: MessageTypeDefinition<_gradloom_v1_PlaceShards, _gradloom_v1_PlaceShards__Output>
      PrepareRun: MessageTypeDefinition<_gradloom_v1_PrepareRun, _gradloom_v1_PrepareRun__Output>
      Refusal: MessageTypeDefinition<_gradloom_v1_Refusal, _gradloom_v1_Refusal__Output>
      RefusalCode: EnumTypeDefinition
      Resume: MessageTypeDefinition<_gradloom_v1_Resume, _gradloom_v1_Resume__Output>
      RowInitializerKind: EnumTypeDefinition
      RowTable: MessageTypeDefinition<_gradloom_v1_RowTable, _gradloom_v1_RowTable__Output>
      RunDone: MessageTypeDefinition<_gradloom_v1_RunDone, _gradloom_v1_RunDone__Output>
      RunPrepared: MessageTypeDefinition<_gradloom_v1_RunPrepared, _gradloom_v1_RunPrepared__Output>
      RunSpec: MessageTypeDefinition<_gradloom_v1_RunSpec, _gradloom_v1_RunSpec__Output>
      RunStatus: MessageTypeDefinition<_gradloom_v1_RunStatus, _gradloom_v1_RunStatus__Output>
      Schedule: MessageTypeDefinition<_gradloom_v1_Schedule, _gradloom_v1_Schedule__Output>
      ScheduleKind: EnumTypeDefinition
      ServerBack: MessageTypeDefinition<_gradloom_v1_ServerBack, _gradloom_v1_ServerBack__Output>
      ServerDrained: MessageTypeDefinition<_gradloom_v1_ServerDrained, _gradloom_v1_ServerDrained__Output>
      ServerHello: MessageTypeDefinition<_gradloom_v1_ServerHello, _gradloom_v1_ServerHello__Output>
      ServerInfo: MessageTypeDefinition<_gradloom_v1_ServerInfo, _gradloom_v1_ServerInfo__Output>
      ServerLeaving: MessageTypeDefinition<_gradloom_v1_ServerLeaving, _gradloom_v1_ServerLeaving__Output>
      ServerOrder: MessageTypeDefinition<_gradloom_v1_ServerOrder, _gradloom_v1_ServerOrder__Output>
      ServerProgress: MessageTypeDefinition<_gradloom_v1_ServerProgress, _gradloom_v1_ServerProgress__Output>
      ServerReport: MessageTypeDefinition<_gradloom_v1_ServerReport, _gradloom_v1_ServerReport__Output>
      ServerStatus: MessageTypeDefinition<_gradloom_v1_ServerStatus, _gradloom_v1_ServerStatus__Output>
      ServerTime: MessageTypeDefinition<_gradloom_v1_ServerTime, _gradloom_v1_ServerTime__Output>
      ServerWelcome: MessageTypeDefinition<_gradloom_v1_ServerWelcome, _gradloom_v1_ServerWelcome__Output>
      ShardCopies: MessageTypeDefinition<_gradloom_v1_ShardCopies, _gradloom_v1_ShardCopies__Output>
      ShardReplicated: MessageTypeDefinition<_gradloom_v1_ShardReplicated, _gradloom_v1_ShardReplicated__Output>
      ShardTimes: MessageTypeDefinition<_gradloom_v1_ShardTimes, _gradloom_v1_ShardTimes__Output>
      SnapshotPart: MessageTypeDefinition<_gradloom_v1_SnapshotPart, _gradloom_v1_SnapshotPart__Output>
      Snapshots: MessageTypeDefinition<_gradloom_v1_Snapshots, _gradloom_v1_Snapshots__Output>
      StartRun: MessageTypeDefinition<_gradloom_v1_StartRun, _gradloom_v1_StartRun__Output>
      StatusReply: MessageTypeDefinition<_gradloom_v1_StatusReply, _gradloom_v1_StatusReply__Output>
      StatusRequest: MessageTypeDefinition<_gradloom_v1_StatusRequest, _gradloom_v1_StatusRequest__Output>
      StepTimes: MessageTypeDefinition<_gradloom_v1_StepTimes, _gradloom_v1_StepTimes__Output>
      StoredEnd: MessageTypeDefinition<_gradloom_v1_StoredEnd, _gradloom_v1_StoredEnd__Output>
      StoredMesh: MessageTypeDefinition<_gradloom_v1_StoredMesh, _gradloom_v1_StoredMesh__Output>
      StoredRun: MessageTypeDefinition<_gradloom_v1_StoredRun, _gradloom_v1_StoredRun__Output>
      StoredServer: MessageTypeDefinition<_gradloom_v1_StoredServer, _gradloom_v1_StoredServer__Output>
      StoredWorker: MessageTypeDefinition<_gradloom_v1_StoredWorker, _gradloom_v1_StoredWorker__Output>
      Straggler: MessageTypeDefinition<_gradloom_v1_Straggler, _gradloom_v1_Straggler__Output>
      TakeSnapshot: MessageTypeDefinition<_gradloom_v1_TakeSnapshot, _gradloom_v1_TakeSnapshot__Output>
      Tensor: MessageTypeDefinition<_gradloom_v1_Tensor, _gradloom_v1_Tensor__Output>
      TensorKind: EnumTypeDefinition
      View: MessageTypeDefinition<_gradloom_v1_View, _gradloom_v1_View__Output>
      ViewEntered: MessageTypeDefinition<_gradloom_v1_ViewEntered, _gradloom_v1_ViewEntered__Output>
      ViewHeld: MessageTypeDefinition<_gradloom_v1_ViewHeld, _gradloom_v1_ViewHeld__Output>
      ViewTaken: MessageTypeDefinition<_gradloom_v1_ViewTaken, _gradloom_v1_ViewTaken__Output>
      WorkerBack: MessageTypeDefinition<_gradloom_v1_WorkerBack, _gradloom_v1_WorkerBack__Output>
      WorkerFenced: MessageTypeDefinition<_gradloom_v1_WorkerFenced, _gradloom_v1_WorkerFenced__Output>
      WorkerHello: MessageTypeDefinition<_gradloom_v1_WorkerHello, _gradloom_v1_WorkerHello__Output>
      WorkerInfo: MessageTypeDefinition<_gradloom_v1_WorkerInfo, _gradloom_v1_WorkerInfo__Output>
      WorkerIsDone: MessageTypeDefinition<_gradloom_v1_WorkerIsDone, _gradloom_v1_WorkerIsDone__Output>
      WorkerOffends: MessageTypeDefinition<_gradloom_v1_WorkerOffends, _gradloom_v1_WorkerOffends__Output>
      WorkerOrder: MessageTypeDefinition<_gradloom_v1_WorkerOrder, _gradloom_v1_WorkerOrder__Output>
      WorkerProgress: MessageTypeDefinition<_gradloom_v1_WorkerProgress, _gradloom_v1_WorkerProgress__Output>
      WorkerReport: MessageTypeDefinition<_gradloom_v1_WorkerReport, _gradloom_v1_WorkerReport__Output>
      WorkerStatus: MessageTypeDefinition<_gradloom_v1_WorkerStatus, _gradloom_v1_WorkerStatus__Output>
      WorkerWelcome: MessageTypeDefinition<_gradloom_v1_WorkerWelcome, _gradloom_v1_WorkerWelcome__Output>
    }
  }
}

