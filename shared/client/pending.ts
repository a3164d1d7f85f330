// What an exchange waits for: the new blocks of a step and the verdicts on it, or the blocks of a fetch.
import type { Block } from '../blocks/blocks.js';
import type { DirectCodecName } from '../codec/codec.js';
import type { StepOutcome__Output } from '../rpc/generated/gradloom/v1/StepOutcome.js';

/** How many steps the values that were read had seen. */
export interface Age {
  /** Steps of the worker that is furthest behind in the oldest of them. */
  step: number;
  /** Steps that the worker furthest ahead in the newest of them is ahead of that; 0: one version. */
  skew: number;
}

export interface Pending {
  /** Steps that blocks must have decided: exactly, or at least (a fetch). */
  step: number;
  fetched: boolean;
  target: number;
  codec: DirectCodecName | undefined;
  missing: Set<number>;
  outcome: StepOutcome__Output | undefined;
  /** Servers that have not told the step's outcome: also one without a block decides it, and must not be overtaken. */
  undecided: Set<number>;
  bytes: number;
  elements: number;
  decodeSeconds: number;
  /** Updates applied to the newest of the blocks. */
  updates: number;
  stepsSeen: Set<number>;
  /** The step was taken back, and is to be done again. */
  again: boolean;
  /** Settles when nothing is missing any more, or nothing more can come. */
  done: Promise<void>;
  resolve: () => void;
  reject: (error: Error) => void;
}

export type Asked = Pick<Pending, 'step' | 'fetched' | 'target' | 'codec'>;

/** @param servers those whose verdict is waited for */
export function startPending(asked: Asked, blocks: readonly Block[], servers: readonly number[]): Pending {
  let settle: Pick<Pending, 'resolve' | 'reject'> | undefined;
  const done = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return {
    ...asked,
    missing: new Set(blocks.map(({ index }) => index)),
    outcome: undefined,
    undecided: new Set(servers),
    bytes: 0,
    elements: 0,
    decodeSeconds: 0,
    updates: 0,
    stepsSeen: new Set(),
    again: false,
    done,
    ...(settle as unknown as Pick<Pending, 'resolve' | 'reject'>),
  };
}

/** @param step what was asked for, where nothing was to be read */
export function ageOf(seen: ReadonlySet<number>, step: number): Age {
  if (seen.size === 0) return { step, skew: 0 };
  const first = Math.min(...seen);
  return { step: first, skew: Math.max(...seen) - first };
}
