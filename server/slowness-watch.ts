// What the keeper knows of the pace of each run: when every worker was last heard of, and since which step somebody has
// been slower than its peers. The clock is handed in.
import { SERVERS_MAX } from '../shared/limits.js';
import type { ShardTimes__Output } from '../shared/rpc/generated/gradloom/v1/ShardTimes.js';
import type { StepTimes__Output } from '../shared/rpc/generated/gradloom/v1/StepTimes.js';
import { refuse } from '../shared/rpc/refusal.js';
import type { Run, WorkerEntry } from './keeper/run.js';
import {
  type CopyTime,
  judge,
  OWN_PHASES,
  type PhaseSeconds,
  ratioOf,
  SERVER_SILENCE_MAX_SECONDS,
  SILENCE_MAX_SECONDS,
  type Slowness,
  type WorkerTimes,
} from './slowness.js';

/** As the status of a run has it. */
export interface Straggler extends Slowness {
  /** A worker's label, a server's address. */
  readonly name: string;
  /** Since when, and for how many steps. */
  readonly fromStep: number;
  readonly steps: number;
  readonly ratio: number;
}

/** What a primary of shards has said last, and what workers had said by then of how long they wait for it. */
interface Told {
  readonly times: ShardTimes__Output;
  readonly nowMs: number;
  /** Seconds, by the workers' connections. */
  readonly seen: ReadonlyMap<number, number>;
}

interface Since {
  slowness: Slowness;
  fromStep: number;
}

/** What came in a heartbeat: throws Refused where it cannot be. @param own seconds that are of no server */
function checkTimes(
  own: readonly number[],
  servers: readonly { readonly seconds: number }[],
  missing: readonly number[] = [],
): void {
  const seconds = [...own, ...servers.map((server) => server.seconds)];
  if (
    Math.max(servers.length, missing.length) > SERVERS_MAX ||
    seconds.some((value) => !(value >= 0 && Number.isFinite(value)))
  )
    throw refuse(
      'MALFORMED',
      `expected times of at least 0 seconds, of at most ${SERVERS_MAX} servers, got others`,
    );
}

const ownSecondsOf = (times: StepTimes__Output) =>
  [...OWN_PHASES, 'wait' as const].map((phase) => times[phase]);

/** What a step takes a worker; undefined before its first. Throws Refused. */
export function stepSecondsOf(times: StepTimes__Output | null): number | undefined {
  if (!times || times.steps === 0) return undefined;
  const own = ownSecondsOf(times);
  checkTimes(own, times.servers);
  return own.reduce((sum, seconds) => sum + seconds, 0);
}

export class SlownessWatch {
  readonly #heardMs = new Map<number, number>();
  readonly #times = new Map<number, StepTimes__Output>();
  readonly #since = new WeakMap<Run, Since>();
  /** By primary. */
  readonly #shards = new WeakMap<Run, Map<number, Told>>();

  /** A worker of a run has said how it is getting on. Throws Refused. */
  heard(run: Run, connection: number, times: StepTimes__Output | null, nowMs: number): void {
    if (times) {
      checkTimes(ownSecondsOf(times), times.servers, times.missing);
      this.#times.set(connection, times);
    }
    this.#heardMs.set(connection, nowMs);
    this.#judge(run, nowMs);
  }

  /** The primary of shards of a run has said what steps take it, and how long they wait for its backups. Throws Refused. */
  shards(run: Run, primary: number, times: ShardTimes__Output, nowMs: number): void {
    checkTimes([times.usualStepSeconds, times.noticeSeconds], times.backups);
    const seen = run.workers.flatMap(({ connection }): [number, number][] => {
      const time = this.#times.get(connection)?.servers.find(({ server }) => server === primary);
      return time ? [[connection, time.seconds]] : [];
    });
    const known = this.#shards.get(run) ?? new Map<number, Told>();
    this.#shards.set(run, known.set(primary, { times, nowMs, seen: new Map(seen) }));
  }

  /** What a step of a run usually takes, and how long one may last before it is told who is waited for; 0: not known. */
  pace(run: Run): { usualStepSeconds: number; noticeSeconds: number } {
    const told = this.#shardsOf(run).map(([, { times }]) => times);
    return {
      usualStepSeconds: Math.max(0, ...told.map(({ usualStepSeconds }) => usualStepSeconds)),
      noticeSeconds: Math.max(0, ...told.map(({ noticeSeconds }) => noticeSeconds)),
    };
  }

  left(connection: number): void {
    this.#heardMs.delete(connection);
    this.#times.delete(connection);
  }

  /** Ids of the servers whose blocks a worker waited for when it was last heard of. */
  missingOf({ connection }: Pick<WorkerEntry, 'connection'>): readonly number[] {
    return this.#times.get(connection)?.missing ?? [];
  }

  /** Since a server's last word of its shards; 0 for one that has none, or none yet. */
  serverSecondsSilent(run: Run, server: number, nowMs: number): number {
    return Math.max(0, nowMs - (this.#shards.get(run)?.get(server)?.nowMs ?? nowMs)) / 1000;
  }

  timesOf({ connection }: WorkerEntry): StepTimes__Output | undefined {
    return this.#times.get(connection);
  }

  secondsSilent({ connection }: Pick<WorkerEntry, 'connection'>, nowMs: number): number {
    return Math.max(0, nowMs - (this.#heardMs.get(connection) ?? nowMs)) / 1000;
  }

  /** Who makes the steps of a run long; undefined where nobody stands out. */
  straggler(run: Run, nowMs: number): Straggler | undefined {
    const since = this.#judge(run, nowMs);
    if (!since) return undefined;
    const { role, number, phase, seconds, peersSeconds, waitedShare } = since.slowness;
    const worker = run.workers.find(({ rank }) => rank === number);
    const server = run.servers.find(({ id }) => id === number);
    return {
      ...{ role, number, phase, seconds, peersSeconds, waitedShare, ratio: ratioOf(since.slowness) },
      name: (role === 'worker' ? worker?.label : server?.address) ?? '',
      fromStep: since.fromStep,
      steps: leastStep(run) - since.fromStep,
    };
  }

  #judge(run: Run, nowMs: number): Since | undefined {
    const timed = run.workers.flatMap((worker) => this.#timesOf(run, worker, nowMs) ?? []);
    // Nobody is compared before all have taken a step.
    const slowness =
      run.state === 'running' && timed.length === run.workers.length
        ? judge(timed, SILENCE_MAX_SECONDS, this.#copyTimesOf(run))
        : undefined;
    const before = this.#since.get(run);
    if (!slowness) {
      this.#since.delete(run);
      return undefined;
    }
    const isSame = before?.slowness.role === slowness.role && before.slowness.number === slowness.number;
    const since = { slowness, fromStep: isSame ? before.fromStep : leastStep(run) };
    this.#since.set(run, since);
    return since;
  }

  /** What was told by those who are primaries still. */
  #shardsOf(run: Run): [number, Told][] {
    return [...(this.#shards.get(run) ?? [])].filter(([server]) =>
      run.view?.shards.some(({ primary }) => primary === server),
    );
  }

  /** As the view has the copies: what was told of others is no more. */
  #copyTimesOf(run: Run): CopyTime[] {
    return this.#shardsOf(run).flatMap(([primary, { times }]) =>
      times.backups.flatMap(({ server: backup, seconds }) =>
        run.view?.shards.some((copies) => copies.primary === primary && copies.backups.includes(backup))
          ? [{ primary, backup, seconds }]
          : [],
      ),
    );
  }

  #timesOf(run: Run, worker: WorkerEntry, nowMs: number): WorkerTimes | undefined {
    const times = this.#times.get(worker.connection);
    if (!times || times.steps === 0) return undefined;
    return {
      rank: worker.rank,
      seconds: times as PhaseSeconds,
      phase: worker.phase,
      secondsInPhase: worker.secondsInPhase,
      secondsSilent: this.secondsSilent(worker, nowMs),
      // One that has been replaced is told of until the next step is done.
      servers: new Map(
        times.servers.flatMap(({ server, seconds }) =>
          run.servers.some(({ id }) => id === server)
            ? [[server, this.#asKnown(run, worker, server, nowMs) ?? seconds]]
            : [],
        ),
      ),
    };
  }

  /**
   * How long a worker waited for a server's blocks when that was last heard of: it has not said yet what of a longer wait
   * is that for its backups. Undefined where it says nothing any more, or has no backups.
   */
  #asKnown(run: Run, { connection }: WorkerEntry, server: number, nowMs: number): number | undefined {
    const told = this.#shards.get(run)?.get(server);
    const isSilent = this.serverSecondsSilent(run, server, nowMs) > SERVER_SILENCE_MAX_SECONDS;
    return !told || isSilent || told.times.backups.length === 0 ? undefined : told.seen.get(connection);
  }
}

const leastStep = (run: Run): number => Math.min(...run.workers.map(({ step }) => step));
