// Original file: proto/gradloom/v1/membership.proto

import type { WorkerStatus as _gradloom_v1_WorkerStatus, WorkerStatus__Output as _gradloom_v1_WorkerStatus__Output } from '../../gradloom/v1/WorkerStatus.js';
import type { Long } from '@grpc/proto-loader';

export interface RunStatus {
  'run'?: (string);
  'job'?: (string);
  /**
   * gathering, preparing, running
   */
  'state'?: (string);
  'workersExpected'?: (number);
  'workers'?: (_gradloom_v1_WorkerStatus)[];
  'step'?: (number | string | Long);
  'steps'?: (number | string | Long);
  /**
   * One sentence where somebody is waited for, else empty.
   */
  'waiting'?: (string);
  /**
   * Step of the newest whole snapshot and its folder; empty where there is none.
   */
  'snapshotStep'?: (number | string | Long);
  'snapshot'?: (string);
}

export interface RunStatus__Output {
  'run': (string);
  'job': (string);
  /**
   * gathering, preparing, running
   */
  'state': (string);
  'workersExpected': (number);
  'workers': (_gradloom_v1_WorkerStatus__Output)[];
  'step': (number);
  'steps': (number);
  /**
   * One sentence where somebody is waited for, else empty.
   */
  'waiting': (string);
  /**
   * Step of the newest whole snapshot and its folder; empty where there is none.
   */
  'snapshotStep': (number);
  'snapshot': (string);
}
