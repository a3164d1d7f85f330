// What a scenario is: a topology with flags, the faults that are done to it, and what must hold all the same. Data only;
// run-scenario.ts carries it out on real processes.
import type { KeyedRandom } from '../../shared/random.js';

export type Role = 'server' | 'worker';

/** What is done, and to whom. `at` counts epochs from the beginning of the run: 1.5 is the middle of the second one. */
export type Fault =
  /** kill -9. With `recovers` what was lost with it is there again before the next fault comes. */
  | { kind: 'kill'; at: number; role: Role; index: number; recovers?: boolean }
  /** SIGSTOP, and after so many seconds SIGCONT. */
  | { kind: 'stop'; at: number; role: Role; index: number; seconds: number }
  /** The link between all workers and a server gets slow, and after so many seconds as it was. */
  | { kind: 'slow'; at: number; index: number; delayMs: number; bytesPerSecond: number; seconds: number }
  /** One more server joins. */
  | { kind: 'join'; at: number }
  /** A server is emptied and ends. */
  | { kind: 'drain'; at: number; index: number }
  /** kill -9 of all processes while a snapshot is being written; they are started again and go on from the newest. */
  | { kind: 'kill-all'; at: number };

export interface Expected {
  /** The run ends as it should, with the weights of a run without faults. */
  sameBits: boolean;
  /** Steps that were done are never done again. */
  noStepLost: boolean;
  /** Each record of every epoch counts once. */
  records: boolean;
  /** Workers say whom they wait for: the one that was stopped. */
  waitIsNamed?: boolean;
  /** Longest time without progress. */
  stallMaxSeconds?: number;
  /** A server that was stopped and replaced notices, when it wakes up, that it is out, and ends. */
  fenced?: boolean;
  /** Snapshots fail, and that is told. */
  snapshotsFail?: boolean;
  /** The run ends with exit status 1, and its last words name this process. */
  fails?: { role: Role; index: number };
}

export interface Scenario {
  readonly summary: string;
  readonly servers: number;
  readonly workers: number;
  /** Flags of every worker. */
  readonly flags: readonly string[];
  /** Snapshots are taken, on a disk with room or on one that is too small. */
  readonly snapshots?: 'kept' | 'full-disk';
  /** Server that is reached through a proxy. */
  readonly proxied?: number;
  /** The mesh is coordinated by etcd, so that any server may die. */
  readonly etcd?: boolean;
  /** Seconds of silence after which a peer is given up; by default the product's own. */
  readonly peerDeadlineSeconds?: number;
  /** Drawn from the seed: who it is, and when. */
  faults(random: KeyedRandom): Fault[];
  readonly expects: Expected;
}

/** What holds where the weights are fixed by job and seed: nothing of a fault shows in the result. */
export const UNTOUCHED: Expected = { sameBits: true, noStepLost: true, records: true };

/** A moment within an epoch (0: the first), not too near its ends: in an evaluation nobody takes steps. */
export const within = (epoch: number, random: KeyedRandom): number => epoch + 0.3 + 0.4 * random.float();
