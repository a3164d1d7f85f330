// Original file: proto/gradloom/v1/membership.proto

import type { RunSpec as _gradloom_v1_RunSpec, RunSpec__Output as _gradloom_v1_RunSpec__Output } from '../../gradloom/v1/RunSpec.js';
import type { WorkerBack as _gradloom_v1_WorkerBack, WorkerBack__Output as _gradloom_v1_WorkerBack__Output } from '../../gradloom/v1/WorkerBack.js';

export interface WorkerHello {
  'protocolVersion'?: (number);
  /**
   * Empty: any run of this job that still waits for workers, else a new one.
   */
  'run'?: (string);
  'spec'?: (_gradloom_v1_RunSpec | null);
  'label'?: (string);
  /**
   * Made up by the worker, the same on every stream of it: by this the keeper that follows knows it again. Empty where
   * the mesh does not outlive its keeper.
   */
  'token'?: (string);
  /**
   * Set where the run had started for it under the keeper before.
   */
  'back'?: (_gradloom_v1_WorkerBack | null);
}

export interface WorkerHello__Output {
  'protocolVersion': (number);
  /**
   * Empty: any run of this job that still waits for workers, else a new one.
   */
  'run': (string);
  'spec': (_gradloom_v1_RunSpec__Output | null);
  'label': (string);
  /**
   * Made up by the worker, the same on every stream of it: by this the keeper that follows knows it again. Empty where
   * the mesh does not outlive its keeper.
   */
  'token': (string);
  /**
   * Set where the run had started for it under the keeper before.
   */
  'back': (_gradloom_v1_WorkerBack__Output | null);
}
