// Tells the keeper which other servers the open steps of this server's shards wait for: for their part in what all
// decide together (norms, or whose contributions a step takes), or for their copy of an update. Once a notice while it
// lasts, and once when it is over; so `gradloom status` can name them.
import { WAITING_NOTICE_MS } from '../shared/limits.js';
import { primaryOf } from '../shared/view.js';
import type { HostedRun } from './hosted-run.js';

export interface ServerWait {
  readonly step: number;
  /** Ids of those whose part in the step is missing. */
  readonly servers: number[];
  /** Ids of those whose copy of an update is missing. */
  readonly copies: number[];
  readonly seconds: number;
}

const NOBODY: ServerWait = { step: 0, servers: [], copies: [], seconds: 0 };

export class ServerWaits {
  /** Runs of which the keeper knows that they wait. */
  readonly #told = new Set<string>();

  constructor(readonly tell: (run: string, wait: ServerWait) => void) {}

  /** Called once a notice, with the shards that are held, by run. */
  look(runs: ReadonlyMap<string, ReadonlyMap<number, HostedRun>>): void {
    for (const id of this.#told) if (!runs.has(id)) this.#told.delete(id);
    for (const [id, shards] of runs) {
      const wait = waitOf([...shards.values()]);
      if (wait || this.#told.has(id)) this.tell(id, wait ?? NOBODY);
      if (wait) this.#told.add(id);
      else this.#told.delete(id);
    }
  }
}

/** For how long a step of a run's shards waits for each backup, at the most: what `gradloom why-slow` compares. */
export function copyTimesOf(
  shards: Iterable<Pick<HostedRun, 'copySeconds'>>,
): { server: number; seconds: number }[] {
  const longest = new Map<number, number>();
  for (const run of shards)
    for (const [server, seconds] of run.copySeconds())
      longest.set(server, Math.max(seconds, longest.get(server) ?? 0));
  return [...longest].map(([server, seconds]) => ({ server, seconds }));
}

/** Whom a run's shards wait for, each server once; undefined: nobody, or not for long. */
function waitOf(shards: readonly HostedRun[]): ServerWait | undefined {
  const parts = shards.map((run) => {
    const { step, waitedMs } = run.waiting();
    const copies = run.replicating();
    return {
      step,
      servers:
        waitedMs < WAITING_NOTICE_MS ? [] : run.serversWaitedFor().map((at) => primaryOf(run.view, at).id),
      copies: copies.waitedMs < WAITING_NOTICE_MS ? [] : copies.servers,
      waitedMs: Math.max(waitedMs, copies.waitedMs),
    };
  });
  const waits = parts.filter(({ servers, copies }) => servers.length + copies.length > 0);
  if (waits.length === 0) return undefined;
  return {
    step: Math.min(...waits.map(({ step }) => step)),
    servers: [...new Set(waits.flatMap(({ servers }) => servers))],
    copies: [...new Set(waits.flatMap(({ copies }) => copies))],
    seconds: Math.max(...waits.map(({ waitedMs }) => waitedMs)) / 1000,
  };
}
