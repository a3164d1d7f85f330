// What a server's parts report, turned into the process's instruments. Each part knows only this interface,
// so that tests hand in one of their own.
import { performance } from 'node:perf_hooks';
import type { BlockLayout } from '../shared/blocks/blocks.js';
import { codecById } from '../shared/codec/registry.js';
import type { ServerMetrics as Instruments } from '../shared/metrics/metrics.js';
import { learningRateAt } from '../shared/optimizer/schedule.js';
import type { View__Output } from '../shared/rpc/generated/gradloom/v1/View.js';
import { type RunSpec, stalenessOf } from '../shared/run/spec.js';
import type { Usual } from '../shared/usual.js';
import type { HostedRun } from './hosted-run.js';
import type { Replicated } from './replication/backup-link.js';
import type { PhaseProbe } from './shard.js';
import type { Straggler } from './slowness-watch.js';
import type { SnapshotEvent } from './snapshot/keeper.js';
import type { Outcome } from './step-headers.js';

/** What is told of a run that this server holds. */
export interface RunFigures {
  readonly id: string;
  readonly spec: RunSpec;
  readonly view: View__Output;
  readonly layout: BlockLayout;
  readonly shard: { readonly initialized: boolean; readonly blockIndices: Iterable<number> };
}

export interface ServerMetrics {
  readonly probe: PhaseProbe;
  moved(direction: 'sent' | 'received', codec: number, payloadBytes: number, elements: number): void;
  /** Rows of a table, with the bytes of their payload. */
  rows(direction: 'sent' | 'received', table: string, rows: number, payloadBytes: number): void;
  /** What the tables of all runs hold now, by name. */
  tables(resident: ReadonlyMap<string, { rows: number; bytes: number }>): void;
  contribution(result: 'accepted' | 'duplicate' | 'late'): void;
  refused(code: string): void;
  held(bytes: number): void;
  blockApplied(): void;
  /** @param workers of the run */
  step(run: Pick<RunFigures, 'id' | 'spec'>, outcome: Outcome): void;
  waitedFor(rank: number, seconds: number): void;
  /** ssp, asp: a worker read a block that lacked so many of some worker's updates; the most that any read lacked. */
  read(run: string, rank: number, staleness: number, stalest: number): void;
  /** Ranks that have been waited for longer than is usual, of all ranks. */
  waiting(workers: number, ranks: readonly number[]): void;
  /** What waits take on the shards that are held, and when one is told of. */
  usual(runs: Iterable<Pick<HostedRun, 'id' | 'usualStep' | 'usualCopies'>>): void;
  /** The keeper: who makes the steps of its runs long now. */
  stragglers(found: readonly { readonly run: string; readonly straggler: Straggler }[]): void;
  /** Shards of runs that this server is the primary of. */
  runs(runs: Iterable<RunFigures>): void;
  /** A run has another view, whose rules and bound hold from now on. */
  viewEntered(run: RunFigures): void;
  /** A run goes on without one of its workers. */
  departed(putOut: boolean): void;
  /** A shard of another server, which is gone, is held as the primary now. */
  tookOver(): void;
  /** A block of a copy was another than that of this primary, and was sent again. */
  diverged(): void;
  /** Payload between the copies of a shard. */
  replicated(direction: 'sent' | 'received', what: Replicated, bytes: number): void;
  /** Shards that are held now. */
  copies(primary: number, backup: number): void;
  /** The keeper: a snapshot of a run is whole, or there is none. */
  snapshot(event: SnapshotEvent): void;
  /** A part of so many bytes is on the disk. */
  snapshotWritten(bytes: number): void;
  /** Bytes of blocks that were copied since they changed, and wait to be written. */
  snapshotCopies(bytes: number): void;
}

export function reportTo(metrics: Instruments): ServerMetrics {
  let ended = 0;
  let known = new Set<string>();
  let knownTables = new Set<string>();
  /** Ranks that are shown as waited for, or not. */
  const waitingFor: boolean[] = [];
  /** Series of those who are shown as slow. */
  let slow: Parameters<Instruments['stragglerRatio']['set']>[1][] = [];
  const describe = ({ id, spec }: RunFigures) => {
    metrics.runInfo.set(1, {
      run: id,
      training_job: spec.job,
      codec: spec.codec,
      consistency: spec.consistency,
    });
    metrics.stalenessBound.set(stalenessOf(spec), { run: id });
  };
  return {
    probe: {
      now: () => performance.now(),
      phase: (phase, since) =>
        metrics.applySeconds.add(Math.max(0, performance.now() - since) / 1000, { phase }),
    },
    moved(direction, id, payloadBytes, elements) {
      const codec = codecById(id);
      if (!codec) return;
      metrics.bytes.add(payloadBytes, { direction, codec: codec.name });
      metrics.elements.add(elements, { direction });
    },
    rows(direction, table, rows, payloadBytes) {
      metrics.rows.add(rows, { direction, table });
      metrics.rowBytes.add(payloadBytes, { direction, table });
    },
    tables(resident) {
      for (const table of knownTables)
        if (!resident.has(table)) {
          metrics.residentRows.forget({ table });
          metrics.residentRowBytes.forget({ table });
        }
      knownTables = new Set(resident.keys());
      for (const [table, { rows, bytes }] of resident) {
        metrics.residentRows.set(rows, { table });
        metrics.residentRowBytes.set(bytes, { table });
      }
    },
    contribution: (result) => metrics.contributions.add(1, { result }),
    refused: (code) => metrics.refusals.add(1, { code }),
    held: (bytes) => metrics.inFlightBytes.set(bytes),
    blockApplied: () => metrics.blocksApplied.add(1),
    step({ id: run, spec }, outcome) {
      const { optimizer } = spec;
      metrics.learningRate.set(learningRateAt(optimizer.schedule, optimizer.learningRate, outcome.step), {
        run,
      });
      for (let rank = 0; rank < spec.workers && outcome.contributors.length > 0; rank++)
        metrics.lateContributions.add(outcome.contributors.includes(rank) ? 0 : 1, { rank: String(rank) });
      metrics.steps.add(1, { outcome: outcome.skipped ? 'skipped' : 'applied' });
      if (!outcome.skipped) metrics.loss.set(outcome.loss, { run, split: 'train' });
    },
    waitedFor: (rank, seconds) => metrics.waitedForWorkerSeconds.add(seconds, { rank: String(rank) }),
    read(run, rank, staleness, stalest) {
      metrics.readStaleness.observe(staleness, { rank: String(rank) });
      metrics.readStalenessMax.set(stalest, { run });
    },
    waiting(workers, ranks) {
      const waitedFor = new Set(ranks);
      // Also those of a run that is over: nobody waits for them any more.
      for (let rank = 0; rank < Math.max(workers, waitingFor.length); rank++) {
        if (waitingFor[rank] === waitedFor.has(rank)) continue;
        waitingFor[rank] = waitedFor.has(rank);
        metrics.waitingForWorker.set(waitingFor[rank] ? 1 : 0, { rank: String(rank) });
      }
    },
    usual(runs) {
      const longest = new Map<
        string,
        { run: string; wait: 'step' | 'copies'; medianMs: number; deadlineMs: number }
      >();
      const take = (run: string, wait: 'step' | 'copies', { medianMs, deadlineMs }: Usual) => {
        const before = longest.get(`${wait} ${run}`);
        if (medianMs === undefined || (before && before.deadlineMs >= deadlineMs)) return;
        longest.set(`${wait} ${run}`, { run, wait, medianMs, deadlineMs });
      };
      for (const { id, usualStep, usualCopies } of runs) {
        take(id, 'step', usualStep);
        if (usualCopies) take(id, 'copies', usualCopies);
      }
      for (const { run, wait, medianMs, deadlineMs } of longest.values()) {
        metrics.usualWaitSeconds.set(medianMs / 1000, { run, wait });
        metrics.waitDeadlineSeconds.set(deadlineMs / 1000, { run, wait });
      }
    },
    stragglers(found) {
      for (const labels of slow) metrics.stragglerRatio.forget(labels);
      slow = found.map(({ run, straggler: { role, number, phase, ratio } }) => {
        const labels = { run, member: role, number: String(number), phase };
        metrics.stragglerRatio.set(ratio, labels);
        return labels;
      });
    },
    departed: (putOut) => metrics.departures.add(1, { cause: putOut ? 'put_out' : 'left' }),
    tookOver: () => metrics.takeovers.add(1),
    diverged: () => metrics.divergences.add(1),
    replicated: (direction, what, bytes) => metrics.replicationBytes.add(bytes, { direction, what }),
    copies(primary, backup) {
      metrics.shardCopies.set(primary, { copy: 'primary' });
      metrics.shardCopies.set(backup, { copy: 'backup' });
    },
    viewEntered(run) {
      metrics.runInfo.forget({ run: run.id });
      metrics.readStalenessMax.set(0, { run: run.id });
      metrics.viewNumber.set(run.view.number);
      describe(run);
    },
    snapshot({ run, step, seconds, failure }) {
      metrics.snapshots.add(1, { outcome: failure === undefined ? 'whole' : 'failed' });
      if (failure !== undefined) return;
      metrics.snapshotStep.set(step, { run });
      metrics.snapshotSeconds.observe(seconds ?? 0);
    },
    snapshotWritten: (bytes) => metrics.snapshotBytes.add(bytes),
    snapshotCopies: (bytes) => metrics.snapshotCopiedBytes.set(bytes),
    runs(runs) {
      const hosted = [...runs];
      const ids = new Set(hosted.map(({ id }) => id));
      for (const id of known) {
        if (ids.has(id)) continue;
        ended++;
        metrics.runInfo.forget({ run: id });
        metrics.loss.forget({ run: id });
        metrics.learningRate.forget({ run: id });
        metrics.readStalenessMax.forget({ run: id });
        metrics.stalenessBound.forget({ run: id });
        metrics.snapshotStep.forget({ run: id });
        metrics.usualWaitSeconds.forget({ run: id });
        metrics.waitDeadlineSeconds.forget({ run: id });
      }
      for (const { id } of hosted) {
        if (known.has(id)) continue;
        metrics.readStalenessMax.set(0, { run: id });
        metrics.snapshotStep.set(0, { run: id });
      }
      known = ids;
      for (const run of hosted) describe(run);
      const waiting = new Set(hosted.flatMap(({ id, shard }) => (shard.initialized ? [] : [id])));
      metrics.runs.set(ids.size - waiting.size, { state: 'training' });
      metrics.runs.set(waiting.size, { state: 'waiting' });
      metrics.runs.set(ended, { state: 'ended' });
      metrics.parameters.set(
        hosted.reduce(
          (sum, { shard, layout }) =>
            sum + [...shard.blockIndices].reduce((count, block) => count + layout.blocks[block].elements, 0),
          0,
        ),
      );
      const view = hosted.at(-1)?.view;
      if (!view) return;
      metrics.viewNumber.set(view.number);
      metrics.viewMembers.set(view.servers.length, { member: 'server' });
      metrics.viewMembers.set(view.workers.length, { member: 'worker' });
    },
  };
}
