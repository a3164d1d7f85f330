// Which server is the keeper, and what of it lasts: one interface. embedded.ts: the first server, for good, in memory.
// etcd.ts: the one that holds a lease in etcd; when it is gone another server goes on from what it has written there.
import type { Keepers } from '../../shared/client/keepers.js';
import type { State } from '../coordinator-state.js';

/** What the keeper must not forget, made to last. */
export interface Ledger {
  /**
   * Makes the state as it is when its turn comes last, then calls: in the order of the calls, and never where this
   * server is not the keeper any more.
   */
  write(state: () => State, then: () => void): void;
}

/** What a server does while it is the keeper. */
export interface Role {
  /** @param left what the keeper before has left; empty for a new mesh @param ledger undefined: nothing outlives it */
  begin(left: State, ledger?: Ledger): void;
  /** Another may be the keeper by now. */
  end(): void;
}

export interface Coordination {
  /**
   * Takes part, under the address by which others reach this server; begins the role when it is this server's.
   * Resolves to what finds the keeper. Throws RunError.
   */
  start(address: string, role: Role): Promise<Keepers>;
  /** The keeper at this address does not answer: where it is certain that it is no more, another can follow at once. */
  suspect?(keeper: string): void;
  /** Gives the role up, when what was written is there, so that another server can have it at once. */
  close(): Promise<void>;
}
