// Original file: proto/gradloom/v1/membership.proto

import type { ServerBack as _gradloom_v1_ServerBack, ServerBack__Output as _gradloom_v1_ServerBack__Output } from '../../gradloom/v1/ServerBack.js';
import type { Long } from '@grpc/proto-loader';

export interface ServerHello {
  'protocolVersion'?: (number);
  /**
   * Where workers reach this server.
   */
  'address'?: (string);
  /**
   * Bytes of memory for shards.
   */
  'memoryBytes'?: (number | string | Long);
  'label'?: (string);
  /**
   * It is a worker, too, and goes with it.
   */
  'peer'?: (boolean);
  /**
   * Set where it was in the mesh under the keeper before: with etcd a mesh outlives its keeper.
   */
  'back'?: (_gradloom_v1_ServerBack | null);
}

export interface ServerHello__Output {
  'protocolVersion': (number);
  /**
   * Where workers reach this server.
   */
  'address': (string);
  /**
   * Bytes of memory for shards.
   */
  'memoryBytes': (number);
  'label': (string);
  /**
   * It is a worker, too, and goes with it.
   */
  'peer': (boolean);
  /**
   * Set where it was in the mesh under the keeper before: with etcd a mesh outlives its keeper.
   */
  'back': (_gradloom_v1_ServerBack__Output | null);
}
