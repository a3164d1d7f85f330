// Looks at what the open steps of this server's shards wait for, and tells of every wait that lasts longer than is usual
// (shared/usual.ts): the workers who wait, the metrics, and the keeper of the other servers that are waited for, for
// their part in what all decide together (norms, or whose contributions a step takes) or for their copy of an update.
// The keeper is told while it lasts, and once when it is over; so `gradloom status` can name them.
import type { ShardTimes } from '../shared/rpc/generated/gradloom/v1/ShardTimes.js';
import { Notice } from '../shared/usual.js';
import { primaryOf } from '../shared/view.js';
import type { HostedRun, LateStep } from './hosted-run.js';

export interface ServerWait {
  readonly step: number;
  /** Ids of those whose part in the step is missing. */
  readonly servers: number[];
  /** Ids of those whose copy of an update is missing. */
  readonly copies: number[];
  readonly seconds: number;
  /** What such waits take in the median; 0: not known. */
  readonly usualSeconds: number;
}

const NOBODY: ServerWait = { step: 0, servers: [], copies: [], seconds: 0, usualSeconds: 0 };

export interface ServerWaitsOptions {
  /** Tells the keeper of a run's waits for other servers. */
  tell(run: string, wait: ServerWait): void;
  /** Ranks that are waited for, of so many workers. */
  onWorkers(workers: number, ranks: readonly number[]): void;
}

export class ServerWaits {
  /** Runs of which the keeper knows that they wait. */
  readonly #told = new Set<string>();
  readonly #notices = new WeakMap<HostedRun, Notice>();

  constructor(readonly options: ServerWaitsOptions) {}

  /** Called every NOTICE_MIN_MS, with the shards that are held, by run. */
  look(runs: ReadonlyMap<string, ReadonlyMap<number, HostedRun>>): void {
    const ranks = new Set<number>();
    let workers = 0;
    for (const id of this.#told) if (!runs.has(id)) this.#told.delete(id);
    for (const [id, shards] of runs) {
      const waits: ServerWait[] = [];
      let isDue = false;
      for (const run of shards.values()) {
        workers = Math.max(workers, run.spec.workers);
        const late = run.late();
        if (
          this.#noticeOf(run).isDue(late?.waitedMs ?? 0, late?.usual.deadlineMs ?? Number.POSITIVE_INFINITY)
        ) {
          isDue = true;
          run.announceWaiting(late?.usual);
        }
        if (!late) continue;
        for (const rank of late.workers) ranks.add(rank);
        if (late.servers.length + late.copies.length > 0) waits.push(waitOf(run, late));
      }
      if (waits.length > 0 && (isDue || !this.#told.has(id))) this.options.tell(id, together(waits));
      else if (waits.length === 0 && this.#told.has(id)) this.options.tell(id, NOBODY);
      if (waits.length > 0) this.#told.add(id);
      else this.#told.delete(id);
    }
    this.options.onWorkers(workers, [...ranks]);
  }

  #noticeOf(run: HostedRun): Notice {
    const notice = this.#notices.get(run) ?? new Notice();
    this.#notices.set(run, notice);
    return notice;
  }
}

/**
 * What steps take a run's shards, each time of the shard that takes longest: how long they wait for each backup, which
 * `gradloom why-slow` compares, and what is usual, which `gradloom status` shows.
 */
export function shardTimesOf(shards: readonly Pick<HostedRun, 'copySeconds' | 'usualStep'>[]): ShardTimes {
  const longest = new Map<number, number>();
  for (const run of shards)
    for (const [server, seconds] of run.copySeconds())
      longest.set(server, Math.max(seconds, longest.get(server) ?? 0));
  const measured = shards.filter(({ usualStep }) => usualStep.medianMs !== undefined);
  return {
    backups: [...longest].map(([server, seconds]) => ({ server, seconds })),
    usualStepSeconds: Math.max(0, ...measured.map(({ usualStep }) => usualStep.medianMs ?? 0)) / 1000,
    noticeSeconds: Math.max(0, ...measured.map(({ usualStep }) => usualStep.deadlineMs)) / 1000,
  };
}

function waitOf(run: HostedRun, { step, servers, copies, waitedMs, usual }: LateStep): ServerWait {
  return {
    ...{ step, copies },
    servers: servers.map((at) => primaryOf(run.view, at).id),
    seconds: waitedMs / 1000,
    usualSeconds: (usual.medianMs ?? 0) / 1000,
  };
}

/** Whom a run's shards wait for, each server once, and as long as the longest does. */
function together(waits: readonly ServerWait[]): ServerWait {
  const longest = waits.reduce((one, other) => (other.seconds > one.seconds ? other : one));
  return {
    ...longest,
    step: Math.min(...waits.map(({ step }) => step)),
    servers: [...new Set(waits.flatMap(({ servers }) => servers))],
    copies: [...new Set(waits.flatMap(({ copies }) => copies))],
  };
}
