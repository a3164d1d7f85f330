// Original file: proto/gradloom/v1/replication.proto

import type { ReplicaApplied as _gradloom_v1_ReplicaApplied, ReplicaApplied__Output as _gradloom_v1_ReplicaApplied__Output } from '../../gradloom/v1/ReplicaApplied.js';
import type { Refusal as _gradloom_v1_Refusal, Refusal__Output as _gradloom_v1_Refusal__Output } from '../../gradloom/v1/Refusal.js';
import type { ReplicaCompared as _gradloom_v1_ReplicaCompared, ReplicaCompared__Output as _gradloom_v1_ReplicaCompared__Output } from '../../gradloom/v1/ReplicaCompared.js';

export interface ReplicaReply {
  'applied'?: (_gradloom_v1_ReplicaApplied | null);
  'refusal'?: (_gradloom_v1_Refusal | null);
  'compared'?: (_gradloom_v1_ReplicaCompared | null);
  'reply'?: "applied"|"refusal"|"compared";
}

export interface ReplicaReply__Output {
  'applied'?: (_gradloom_v1_ReplicaApplied__Output | null);
  'refusal'?: (_gradloom_v1_Refusal__Output | null);
  'compared'?: (_gradloom_v1_ReplicaCompared__Output | null);
  'reply'?: "applied"|"refusal"|"compared";
}
