// Original file: proto/gradloom/v1/parameters.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Who is waited for, sent once a step has stayed incomplete for longer than is usual, and then every second.
 */
export interface Waiting {
  'step'?: (number | string | Long);
  'workers'?: (number)[];
  'seconds'?: (number | string);
  /**
   * Servers whose part in an agreement on the step is waited for, as indices into the view's servers.
   */
  'servers'?: (number)[];
  /**
   * Servers whose copy of this shard is waited for, by ServerInfo.id: nothing leaves before they have the update.
   */
  'copies'?: (number)[];
  /**
   * The median of the last waits of this kind; 0: none has ended yet.
   */
  'usualSeconds'?: (number | string);
}

/**
 * Who is waited for, sent once a step has stayed incomplete for longer than is usual, and then every second.
 */
export interface Waiting__Output {
  'step': (number);
  'workers': (number)[];
  'seconds': (number);
  /**
   * Servers whose part in an agreement on the step is waited for, as indices into the view's servers.
   */
  'servers': (number)[];
  /**
   * Servers whose copy of this shard is waited for, by ServerInfo.id: nothing leaves before they have the update.
   */
  'copies': (number)[];
  /**
   * The median of the last waits of this kind; 0: none has ended yet.
   */
  'usualSeconds': (number);
}
