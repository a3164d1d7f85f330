// Original file: proto/gradloom/v1/membership.proto

import type { Long } from '@grpc/proto-loader';

/**
 * A worker or a server that is slower than its peers.
 */
export interface Straggler {
  /**
   * worker or server
   */
  'role'?: (string);
  /**
   * A worker's rank, a server's id.
   */
  'number'?: (number);
  /**
   * A worker's label, a server's address.
   */
  'name'?: (string);
  /**
   * The phase that it is slow in: a phase of a step; `exchange` of a server, or `replicate` where others wait for its
   * copies of their blocks; `silent` of a worker that says nothing.
   */
  'phase'?: (string);
  /**
   * What the phase takes there, and the median of its peers.
   */
  'seconds'?: (number | string);
  'peersSeconds'?: (number | string);
  /**
   * Step at which it was first seen so, without a break since, and the steps from there on.
   */
  'fromStep'?: (number | string | Long);
  'steps'?: (number | string | Long);
  /**
   * Part of a step that the other workers spend waiting, in the median.
   */
  'waitedShare'?: (number | string);
}

/**
 * A worker or a server that is slower than its peers.
 */
export interface Straggler__Output {
  /**
   * worker or server
   */
  'role': (string);
  /**
   * A worker's rank, a server's id.
   */
  'number': (number);
  /**
   * A worker's label, a server's address.
   */
  'name': (string);
  /**
   * The phase that it is slow in: a phase of a step; `exchange` of a server, or `replicate` where others wait for its
   * copies of their blocks; `silent` of a worker that says nothing.
   */
  'phase': (string);
  /**
   * What the phase takes there, and the median of its peers.
   */
  'seconds': (number);
  'peersSeconds': (number);
  /**
   * Step at which it was first seen so, without a break since, and the steps from there on.
   */
  'fromStep': (number);
  'steps': (number);
  /**
   * Part of a step that the other workers spend waiting, in the median.
   */
  'waitedShare': (number);
}
