import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Departure as _gradloom_v1_Departure, Departure__Output as _gradloom_v1_Departure__Output } from './gradloom/v1/Departure.js';
import type { Manifest as _gradloom_v1_Manifest, Manifest__Output as _gradloom_v1_Manifest__Output } from './gradloom/v1/Manifest.js';
import type { Optimizer as _gradloom_v1_Optimizer, Optimizer__Output as _gradloom_v1_Optimizer__Output } from './gradloom/v1/Optimizer.js';
import type { ParameterGroup as _gradloom_v1_ParameterGroup, ParameterGroup__Output as _gradloom_v1_ParameterGroup__Output } from './gradloom/v1/ParameterGroup.js';
import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from './gradloom/v1/Refusal.js';
import type { Resume as _gradloom_v1_Resume, Resume__Output as _gradloom_v1_Resume__Output } from './gradloom/v1/Resume.js';
import type { RowTable as _gradloom_v1_RowTable, RowTable__Output as _gradloom_v1_RowTable__Output } from './gradloom/v1/RowTable.js';
import type { RunSpec as _gradloom_v1_RunSpec, RunSpec__Output as _gradloom_v1_RunSpec__Output } from './gradloom/v1/RunSpec.js';
import type { Schedule as _gradloom_v1_Schedule, Schedule__Output as _gradloom_v1_Schedule__Output } from './gradloom/v1/Schedule.js';
import type { ServerInfo as _gradloom_v1_ServerInfo, ServerInfo__Output as _gradloom_v1_ServerInfo__Output } from './gradloom/v1/ServerInfo.js';
import type { ShardCopies as _gradloom_v1_ShardCopies, ShardCopies__Output as _gradloom_v1_ShardCopies__Output } from './gradloom/v1/ShardCopies.js';
import type { Snapshots as _gradloom_v1_Snapshots, Snapshots__Output as _gradloom_v1_Snapshots__Output } from './gradloom/v1/Snapshots.js';
import type { StoredEnd as _gradloom_v1_StoredEnd, StoredEnd__Output as _gradloom_v1_StoredEnd__Output } from './gradloom/v1/StoredEnd.js';
import type { StoredMesh as _gradloom_v1_StoredMesh, StoredMesh__Output as _gradloom_v1_StoredMesh__Output } from './gradloom/v1/StoredMesh.js';
import type { StoredRun as _gradloom_v1_StoredRun, StoredRun__Output as _gradloom_v1_StoredRun__Output } from './gradloom/v1/StoredRun.js';
import type { StoredServer as _gradloom_v1_StoredServer, StoredServer__Output as _gradloom_v1_StoredServer__Output } from './gradloom/v1/StoredServer.js';
import type { StoredWorker as _gradloom_v1_StoredWorker, StoredWorker__Output as _gradloom_v1_StoredWorker__Output } from './gradloom/v1/StoredWorker.js';
import type { Tensor as _gradloom_v1_Tensor, Tensor__Output as _gradloom_v1_Tensor__Output } from './gradloom/v1/Tensor.js';
import type { View as _gradloom_v1_View, View__Output as _gradloom_v1_View__Output } from './gradloom/v1/View.js';
import type { WorkerInfo as _gradloom_v1_WorkerInfo, WorkerInfo__Output as _gradloom_v1_WorkerInfo__Output } from './gradloom/v1/WorkerInfo.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  gradloom: {
    v1: {
      Codec: EnumTypeDefinition
      Consistency: EnumTypeDefinition
      Departure: MessageTypeDefinition<_gradloom_v1_Departure, _gradloom_v1_Departure__Output>
      Manifest: MessageTypeDefinition<_gradloom_v1_Manifest, _gradloom_v1_Manifest__Output>
      Optimizer: MessageTypeDefinition<_gradloom_v1_Optimizer, _gradloom_v1_Optimizer__Output>
      OptimizerKind: EnumTypeDefinition
      ParameterGroup: MessageTypeDefinition<_gradloom_v1_ParameterGroup, _gradloom_v1_ParameterGroup__Output>
      Refusal: MessageTypeDefinition<_gradloom_v1_Refusal, _gradloom_v1_Refusal__Output>
      RefusalCode: EnumTypeDefinition
      Resume: MessageTypeDefinition<_gradloom_v1_Resume, _gradloom_v1_Resume__Output>
      RowInitializerKind: EnumTypeDefinition
      RowTable: MessageTypeDefinition<_gradloom_v1_RowTable, _gradloom_v1_RowTable__Output>
      RunSpec: MessageTypeDefinition<_gradloom_v1_RunSpec, _gradloom_v1_RunSpec__Output>
      Schedule: MessageTypeDefinition<_gradloom_v1_Schedule, _gradloom_v1_Schedule__Output>
      ScheduleKind: EnumTypeDefinition
      ServerInfo: MessageTypeDefinition<_gradloom_v1_ServerInfo, _gradloom_v1_ServerInfo__Output>
      ShardCopies: MessageTypeDefinition<_gradloom_v1_ShardCopies, _gradloom_v1_ShardCopies__Output>
      Snapshots: MessageTypeDefinition<_gradloom_v1_Snapshots, _gradloom_v1_Snapshots__Output>
      StoredEnd: MessageTypeDefinition<_gradloom_v1_StoredEnd, _gradloom_v1_StoredEnd__Output>
      StoredMesh: MessageTypeDefinition<_gradloom_v1_StoredMesh, _gradloom_v1_StoredMesh__Output>
      StoredRun: MessageTypeDefinition<_gradloom_v1_StoredRun, _gradloom_v1_StoredRun__Output>
      StoredServer: MessageTypeDefinition<_gradloom_v1_StoredServer, _gradloom_v1_StoredServer__Output>
      StoredWorker: MessageTypeDefinition<_gradloom_v1_StoredWorker, _gradloom_v1_StoredWorker__Output>
      Tensor: MessageTypeDefinition<_gradloom_v1_Tensor, _gradloom_v1_Tensor__Output>
      TensorKind: EnumTypeDefinition
      View: MessageTypeDefinition<_gradloom_v1_View, _gradloom_v1_View__Output>
      WorkerInfo: MessageTypeDefinition<_gradloom_v1_WorkerInfo, _gradloom_v1_WorkerInfo__Output>
    }
  }
}

