// Original file: proto/gradloom/v1/coordination.proto

import type { StoredServer as _gradloom_v1_StoredServer, StoredServer__Output as _gradloom_v1_StoredServer__Output } from '../../gradloom/v1/StoredServer.js';
import type { StoredEnd as _gradloom_v1_StoredEnd, StoredEnd__Output as _gradloom_v1_StoredEnd__Output } from '../../gradloom/v1/StoredEnd.js';

export interface StoredMesh {
  /**
   * Id of the next server, and number of the next run.
   */
  'nextServer'?: (number);
  'nextRun'?: (number);
  'servers'?: (_gradloom_v1_StoredServer)[];
  /**
   * The last ones: workers and servers that missed their end are told.
   */
  'ended'?: (_gradloom_v1_StoredEnd)[];
  /**
   * Ids of servers that are being emptied.
   */
  'draining'?: (number)[];
}

export interface StoredMesh__Output {
  /**
   * Id of the next server, and number of the next run.
   */
  'nextServer': (number);
  'nextRun': (number);
  'servers': (_gradloom_v1_StoredServer__Output)[];
  /**
   * The last ones: workers and servers that missed their end are told.
   */
  'ended': (_gradloom_v1_StoredEnd__Output)[];
  /**
   * Ids of servers that are being emptied.
   */
  'draining': (number)[];
}
