// What the training thread and the exchange thread say to each other. Tensors do not travel here: they lie in
// memory that both see.

import type { WaitTold } from '../../shared/client/exchange-options.js';
import type { Bytes } from '../../shared/client/membership.js';
import type { RowGradients } from '../../shared/client/rows.js';
import type { WasmMemory } from '../../shared/kernels/webassembly.js';
import type { WorkerWelcome__Output } from '../../shared/rpc/generated/gradloom/v1/WorkerWelcome.js';
import type { RunSpec } from '../../shared/run/spec.js';
import type { WantedRows } from '../rows/model-rows.js';
import type { TrainEvent } from '../training/events.js';

/** Phases of the compute thread, as its progress clock tells them. */
export const PHASES = ['start', 'data', 'compute', 'exchange', 'evaluate', 'save', 'rows'] as const;
export type Phase = (typeof PHASES)[number];

/** What the exchange thread is started with. */
export interface ThreadData {
  memory: WasmMemory;
  /** Byte addresses in the memory: see ExchangeMemory. */
  gradients: number;
  parameters: number;
  scratch: number;
  /** Under `local`: see LocalMemory; else 0. */
  own: number;
  residuals: number;
  /** The compute thread's progress: step, phase (index into PHASES), and since when (ms since the epoch, halves). */
  clock: SharedArrayBuffer;
  /** See Maxima; undefined where what is exchanged is no gradient of the compute thread's. */
  maxima?: SharedArrayBuffer;
  spec: RunSpec;
  join: string;
  run: string;
  label: string;
  peerDeadlineMs: number;
  metrics: { host: string; port: number };
  /** Folder of the snapshots of all runs, where the run takes some. */
  snapshots?: string;
  /** Folder of the snapshot that the run goes on from. */
  resume?: string;
  /** A node with both roles: what its server is started with. */
  serve?: ServeOptions;
}

export interface ServeOptions {
  /** HOST:PORT; port 0 picks a free one. */
  listen: string;
  advertise?: string;
  /** HOST:PORT of the keeper; without it this node is the keeper. */
  join?: string;
  memoryBytes: number;
  /** As of `ServerOptions`. */
  snapshots?: string;
  resume?: string;
}

export interface StepPhases {
  dataSeconds: number;
  computeSeconds: number;
  /** Where the run has tables: the pull of the batch's rows. */
  rowsSeconds?: number;
}

/** A step of the training thread. */
export interface StepDone {
  epoch: number;
  samples: number;
  lossSum: number;
  correct: number;
  phases: StepPhases;
  /** Where the run has tables: gradients of their rows. */
  rows?: readonly RowGradients[];
}

export type ToThread =
  | { kind: 'initialize' }
  /** Pull into the parameters' memory what travels in training. */
  | { kind: 'pull'; step: number }
  /** Pull the fp32 masters into the gradients' memory. */
  | { kind: 'masters'; step: number }
  | ({ kind: 'step' } & StepDone)
  /** Pull rows; exactly: not as they travel in training. */
  | { kind: 'rows'; wanted: readonly WantedRows[]; exact: boolean }
  /** Read all updated rows of the tables; with a file, save them there. */
  | { kind: 'tables'; file?: string }
  | { kind: 'evaluation'; view: number; step: number; records: number; lossSum: number; correct: number }
  | { kind: 'cache'; hits: number; misses: number }
  | ({ kind: 'done' } & Bytes)
  | { kind: 'leave' };

export interface Stepped {
  /** Under `local`: what came of this worker's own step. */
  local?: { skipped: boolean; optimizerSeconds: number };
  /** What came of the exchange; undefined within a round of `local`. */
  exchanged?: Exchanged;
}

export interface Exchanged {
  /** Steps decided (under `local` rounds): with backup workers the next one may be further on than the one after. */
  step: number;
  /** With backup workers: steps that went on without each worker, by rank, since the last exchange; else empty. */
  late: number[];
  /**
   * This worker's steps of the round, skipped ones not counted; 1 but for `local`. With backup workers all steps since
   * the last exchange that were applied, as samples, loss and accuracy are theirs.
   */
  steps: number;
  skipped: boolean;
  notFinite: number[];
  samples: number;
  loss: number;
  accuracy: number;
  encodeSeconds: number;
  waitSeconds: number;
  decodeSeconds: number;
  bytesPushed: number;
  bytesPulled: number;
  bytesRetried: number;
  elementsPushed: number;
  /** Whether each worker had a clock of its own: what is said here is then of this one alone. */
  clocked: boolean;
}

/** The updated rows of all tables. */
export interface ReadTables {
  /** For each table the SHA-256 of its ids (uint32, ascending) and that of their rows (fp32), little-endian. */
  digests: Uint8Array[];
}

export interface Pulled {
  /** Updates applied to the model: under ssp and asp each worker's contributions are one. */
  updates: number;
  /** Steps that the values have seen. */
  step: number;
}

/** A view that holds from a step on. */
export interface ViewFigures {
  number: number;
  fromStep: number;
  consistency: RunSpec['consistency'];
  /** Only with ssp. */
  staleness?: number;
  /** Ranks of those who go on. */
  members: number[];
  /** Who has left, and the steps whose shares it leaves to the others. */
  departed?: { rank: number; reason: string; lostFrom: number; lostTo: number };
}

export type FromThread =
  | { kind: 'serving'; address: string }
  | { kind: 'ready'; metrics: string }
  | { kind: 'welcome'; welcome: WorkerWelcome__Output }
  | { kind: 'started'; run: string; rank: number; servers: number; workers: number; replicas: number }
  | ({ kind: 'waiting' } & WaitTold)
  /** A node with both roles that keeps the mesh: of a snapshot of a run. */
  | { kind: 'snapshot'; snapshot: Extract<TrainEvent, { event: 'snapshot' }> }
  | ({ kind: 'view' } & ViewFigures)
  | { kind: 'takeover'; shard: number; step: number; from: string; to: string }
  | { kind: 'failed'; message: string; mistake: boolean }
  /** Answers, one to each request, in order. */
  | {
      kind: 'answer';
      answer:
        | Stepped
        | Bytes
        | Pulled
        | ReadTables
        | Float32Array[]
        | { loss: number; accuracy: number; records: number }
        | undefined;
    };
