// Original file: proto/gradloom/v1/membership.proto

import type { RunSpec as _gradloom_v1_RunSpec, RunSpec__Output as _gradloom_v1_RunSpec__Output } from '../../gradloom/v1/RunSpec.js';

export interface WorkerHello {
  'protocolVersion'?: (number);
  /**
   * Empty: any run of this job that still waits for workers, else a new one.
   */
  'run'?: (string);
  'spec'?: (_gradloom_v1_RunSpec | null);
  'label'?: (string);
}

export interface WorkerHello__Output {
  'protocolVersion': (number);
  /**
   * Empty: any run of this job that still waits for workers, else a new one.
   */
  'run': (string);
  'spec': (_gradloom_v1_RunSpec__Output | null);
  'label': (string);
}
