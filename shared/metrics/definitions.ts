// The table of all metrics: the only place where a metric's name, help, labels and buckets stand.
// Dashboards are tested against it. Names follow Prometheus: base units (seconds, bytes), `_total` on counters.
// A label either lists its values, or is `bounded`: free text of which only so many are kept apart (instruments.ts).
// Every metric also has the label `role`, so that a server's bytes and a worker's are not added up.

import { CODECS, CONSISTENCIES } from '../config/options/exchange.js';

export type Role = 'server' | 'worker';

/** A label whose values are not known here: only the first `values` of them get series of their own. */
export interface BoundedLabel {
  readonly values: number;
}

export interface Definition {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly roles: readonly Role[];
  readonly labels: Readonly<Record<string, readonly string[] | BoundedLabel>>;
  /** Upper bounds of a histogram's buckets, in the unit of its name. */
  readonly buckets?: readonly number[];
}

/** Runs, codes of refusal and ranks of workers that a process shows apart; what is beyond is added up as `other`. */
const RUNS: BoundedLabel = { values: 16 };
const CODES: BoundedLabel = { values: 64 };
const RANKS: BoundedLabel = { values: 64 };
const TABLES: BoundedLabel = { values: 64 };

const BOTH = ['server', 'worker'] as const;
const DIRECTION = ['sent', 'received'] as const;

/** 1-2.5-5 steps from `from` to `to` inclusive, rounded so that they print short. */
function buckets(from: number, to: number): number[] {
  const found: number[] = [];
  for (let decade = Math.floor(Math.log10(from)); decade <= Math.ceil(Math.log10(to)); decade++) {
    for (const digits of [1, 2.5, 5]) {
      const bound = Number(`${digits}e${decade}`);
      if (bound >= from && bound <= to) found.push(bound);
    }
  }
  return found;
}

export const METRICS = {
  runInfo: {
    name: 'gradloom_run_info',
    help: 'Always 1: a run that this process takes part in, to join other series with.',
    type: 'gauge',
    roles: BOTH,
    labels: { run: RUNS, training_job: RUNS, codec: CODECS, consistency: CONSISTENCIES },
  },
  steps: {
    name: 'gradloom_steps_total',
    help: 'Steps that ended: applied, or skipped because a gradient was not finite; at a worker with backup workers also late, those that went on without it. Under local a server counts rounds.',
    type: 'counter',
    roles: BOTH,
    labels: { outcome: ['applied', 'skipped', 'late'] },
  },
  loss: {
    name: 'gradloom_loss',
    help: 'Latest loss: train is the mean over the samples of a step, test that of the last evaluation.',
    type: 'gauge',
    roles: BOTH,
    labels: { run: RUNS, split: ['train', 'test'] },
  },
  learningRate: {
    name: 'gradloom_learning_rate',
    help: "Learning rate of the step decided last, as the schedule has it: of the servers' optimizer, under local the outer one.",
    type: 'gauge',
    roles: ['server'],
    labels: { run: RUNS },
  },
  bytes: {
    name: 'gradloom_bytes_total',
    help: 'Payload of contributions and parameter blocks as it travelled, encoded.',
    type: 'counter',
    roles: BOTH,
    labels: { direction: DIRECTION, codec: CODECS },
  },
  elements: {
    name: 'gradloom_elements_total',
    help: 'Numbers that the payload stands for; 4 bytes each would be what fp32 takes.',
    type: 'counter',
    roles: BOTH,
    labels: { direction: DIRECTION },
  },
  inFlightBytes: {
    name: 'gradloom_in_flight_bytes',
    help: 'Contribution payload that is held: at a server received and not applied, at a worker sent and not acknowledged.',
    type: 'gauge',
    roles: BOTH,
    labels: {},
  },
  contributions: {
    name: 'gradloom_contributions_total',
    help: 'Contributions to a block that arrived: accepted, or a duplicate of one that was; with backup workers late, those that were dropped, also after they had been accepted.',
    type: 'counter',
    roles: ['server'],
    labels: { result: ['accepted', 'duplicate', 'late'] },
  },
  lateContributions: {
    name: 'gradloom_late_contributions_total',
    help: 'With backup workers: steps that went on without what this worker had for them. Each server counts all steps.',
    type: 'counter',
    roles: ['server'],
    labels: { rank: RANKS },
  },
  refusals: {
    name: 'gradloom_refusals_total',
    help: 'Messages that were refused, by the code of the refusal.',
    type: 'counter',
    roles: ['server'],
    labels: { code: CODES },
  },
  blocksApplied: {
    name: 'gradloom_blocks_applied_total',
    help: 'Updates of a block by the optimizer.',
    type: 'counter',
    roles: ['server'],
    labels: {},
  },
  applySeconds: {
    name: 'gradloom_apply_seconds_total',
    help: 'Time spent on contributions and new parameters, by phase; replicate: on the updates of shards that others lead, and on comparing copies.',
    type: 'counter',
    roles: ['server'],
    labels: { phase: ['decode', 'aggregate', 'optimizer', 'encode', 'replicate'] },
  },
  waitingForWorker: {
    name: 'gradloom_waiting_for_worker',
    help: '1 while this worker is the one that the current step waits for.',
    type: 'gauge',
    roles: ['server'],
    labels: { rank: RANKS },
  },
  waitedForWorkerSeconds: {
    name: 'gradloom_waited_for_worker_seconds_total',
    help: 'Time that steps waited for this worker after the others had contributed: who the straggler is.',
    type: 'counter',
    roles: ['server'],
    labels: { rank: RANKS },
  },
  usualWaitSeconds: {
    name: 'gradloom_usual_wait_seconds',
    help: 'Median of what the last steps of a run took on this server, and of what its updates waited for the copies on others.',
    type: 'gauge',
    roles: ['server'],
    labels: { run: RUNS, wait: ['step', 'copies'] },
  },
  waitDeadlineSeconds: {
    name: 'gradloom_wait_deadline_seconds',
    help: 'What such a wait may last before it is told who is waited for: follows what is measured.',
    type: 'gauge',
    roles: ['server'],
    labels: { run: RUNS, wait: ['step', 'copies'] },
  },
  stragglerRatio: {
    name: 'gradloom_straggler_ratio',
    help: 'At the keeper, while a worker (by rank) or a server (by id) makes the steps of a run long: how many times as long as its peers it takes, and in which phase.',
    type: 'gauge',
    roles: ['server'],
    labels: {
      run: RUNS,
      member: BOTH,
      number: RANKS,
      phase: [
        ...([
          'data',
          'rows',
          'compute',
          'optimizer',
          'encode',
          'decode',
          'exchange',
          'replicate',
          'silent',
        ] as const),
      ],
    },
  },
  readStaleness: {
    name: 'gradloom_read_staleness_steps',
    help: "Under ssp and asp, for each block that a worker read: steps that the block lacked of the slowest worker's updates, counted from the clock that the reader enters.",
    type: 'histogram',
    roles: ['server'],
    labels: { rank: RANKS },
    buckets: [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233],
  },
  readStalenessMax: {
    name: 'gradloom_read_staleness_max_steps',
    help: 'The largest staleness of any read of the run so far: never above the bound, under bsp 0.',
    type: 'gauge',
    roles: ['server'],
    labels: { run: RUNS },
  },
  stalenessBound: {
    name: 'gradloom_staleness_bound_steps',
    help: 'Staleness that the run allows a read: 0 under bsp, infinite under asp.',
    type: 'gauge',
    roles: ['server'],
    labels: { run: RUNS },
  },
  parameters: {
    name: 'gradloom_parameters',
    help: 'Parameters that this server holds.',
    type: 'gauge',
    roles: ['server'],
    labels: {},
  },
  runs: {
    name: 'gradloom_runs',
    help: 'Runs that this server knows, by state.',
    type: 'gauge',
    roles: ['server'],
    labels: { state: ['waiting', 'training', 'ended'] },
  },
  departures: {
    name: 'gradloom_departures_total',
    help: 'Workers without whom runs of this server have gone on: they left or died, or were put out.',
    type: 'counter',
    roles: ['server'],
    labels: { cause: ['left', 'put_out'] },
  },
  takeovers: {
    name: 'gradloom_takeovers_total',
    help: 'Shards that this server has taken over from a primary that was gone.',
    type: 'counter',
    roles: ['server'],
    labels: {},
  },
  shardCopies: {
    name: 'gradloom_shard_copies',
    help: 'Shards that this server holds: as the primary, or as a backup of another server (also while it is being copied).',
    type: 'gauge',
    roles: ['server'],
    labels: { copy: ['primary', 'backup'] },
  },
  divergences: {
    name: 'gradloom_copy_divergences_total',
    help: 'Blocks of a backup that were found to be others than those of this server, their primary, and were sent again.',
    type: 'counter',
    roles: ['server'],
    labels: {},
  },
  replicationBytes: {
    name: 'gradloom_replication_bytes_total',
    help: 'Payload between the copies of shards: updates, and arrays of blocks that were copied.',
    type: 'counter',
    roles: ['server'],
    labels: { direction: ['sent', 'received'], what: ['updates', 'blocks'] },
  },
  snapshots: {
    name: 'gradloom_snapshots_total',
    help: 'Snapshots of runs, at the keeper: whole, or failed.',
    type: 'counter',
    roles: ['server'],
    labels: { outcome: ['whole', 'failed'] },
  },
  snapshotSeconds: {
    name: 'gradloom_snapshot_seconds',
    help: 'Time from the cut of a snapshot until it was whole, at the keeper; training goes on meanwhile.',
    type: 'histogram',
    roles: ['server'],
    labels: {},
    buckets: buckets(0.01, 500),
  },
  snapshotStep: {
    name: 'gradloom_snapshot_step',
    help: 'Step of the newest whole snapshot of the run, at the keeper; 0 as long as there is none.',
    type: 'gauge',
    roles: ['server'],
    labels: { run: RUNS },
  },
  snapshotBytes: {
    name: 'gradloom_snapshot_bytes_total',
    help: 'Bytes that this process has written as its parts of snapshots.',
    type: 'counter',
    roles: BOTH,
    labels: {},
  },
  snapshotCopiedBytes: {
    name: 'gradloom_snapshot_copied_bytes',
    help: 'Blocks that changed before they were written into the snapshot under way: copies of them, which wait to be written.',
    type: 'gauge',
    roles: ['server'],
    labels: {},
  },
  viewNumber: {
    name: 'gradloom_view_number',
    help: 'Number of the newest view of the membership that this process has seen.',
    type: 'gauge',
    roles: BOTH,
    labels: {},
  },
  viewMembers: {
    name: 'gradloom_view_members',
    help: 'Servers and workers in the newest view.',
    type: 'gauge',
    roles: BOTH,
    labels: { member: BOTH },
  },
  samples: {
    name: 'gradloom_samples_total',
    help: 'Training samples whose gradient this worker contributed.',
    type: 'counter',
    roles: ['worker'],
    labels: {},
  },
  accuracy: {
    name: 'gradloom_accuracy_ratio',
    help: 'Latest accuracy, 0 to 1: train is that of a step, test that of the last evaluation.',
    type: 'gauge',
    roles: ['worker'],
    labels: { run: RUNS, split: ['train', 'test'] },
  },
  stepPhaseSeconds: {
    name: 'gradloom_step_phase_seconds',
    help: 'Time that one step took in each phase; step is the whole of it. With embedding tables the pull of the rows of a batch is one; under local the optimizer is a phase, and encode, wait and decode are those of a round, in its last step.',
    type: 'histogram',
    roles: ['worker'],
    labels: { phase: ['data', 'compute', 'encode', 'wait', 'decode', 'step', 'optimizer', 'rows'] },
    buckets: buckets(0.5e-3, 50),
  },
  epoch: {
    name: 'gradloom_epoch',
    help: 'Pass over the training set that is under way, from 1.',
    type: 'gauge',
    roles: ['worker'],
    labels: {},
  },
  rows: {
    name: 'gradloom_rows_total',
    help: 'Rows of embedding tables that travelled: values from servers to workers, gradients from workers to servers.',
    type: 'counter',
    roles: BOTH,
    labels: { direction: DIRECTION, table: TABLES },
  },
  rowBytes: {
    name: 'gradloom_row_bytes_total',
    help: 'Payload of these rows as it travelled, encoded; it is part of gradloom_bytes_total.',
    type: 'counter',
    roles: BOTH,
    labels: { direction: DIRECTION, table: TABLES },
  },
  residentRows: {
    name: 'gradloom_resident_rows',
    help: 'Rows of a table that have been updated on this server; the others have their initial values and take no memory.',
    type: 'gauge',
    roles: ['server'],
    labels: { table: TABLES },
  },
  residentRowBytes: {
    name: 'gradloom_resident_row_bytes',
    help: "Memory that a table takes on this server, in pages: rows, their optimizer's state and counts of updates.",
    type: 'gauge',
    roles: ['server'],
    labels: { table: TABLES },
  },
  cacheRequests: {
    name: 'gradloom_cache_requests_total',
    help: 'Records asked of the cache of prepared data: found (hit), or prepared anew (miss).',
    type: 'counter',
    roles: ['worker'],
    labels: { result: ['hit', 'miss'] },
  },
} as const satisfies Record<string, Definition>;

export type MetricTable = typeof METRICS;
