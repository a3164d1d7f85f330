// Whom a client's step waits for, in names: what servers tell of their waits, as far as this client waits itself, and for
// longer than it usually does. A server that holds a step up because it stands still cannot tell so; that it is silent
// for longer than one that waits would be does. Pure: the clock is handed in.
import { WAITING_NOTICE_MS } from '../limits.js';
import type { Waiting__Output } from '../rpc/generated/gradloom/v1/Waiting.js';
import type { Usual } from '../usual.js';
import type { WaitTold } from './exchange-options.js';
import type { ServerLinks } from './server-links.js';

/** Notices that are due and do not come from a server, before it counts as one that stands still. */
const NOTICES_MISSED = 2;

/** What this client waits for itself. */
export interface OwnWait {
  /** Steps decided so far. */
  readonly step: number;
  /** Since when its step is under way (ms, monotonic); undefined: what it waits for is no step. */
  readonly sinceMs: number | undefined;
  /** Shards of which something is missing. */
  readonly missing: readonly number[];
}

export interface UsualWaits {
  /** From the beginning of this client's exchange to its end. */
  readonly exchange: Usual;
  /** From one step's end to the next: servers go by these. */
  readonly step: Usual;
}

export class Waits {
  readonly #workers: readonly { label: string }[];
  readonly #links: Pick<ServerLinks, 'nameOf' | 'addressOf'>;
  readonly #usual: UsualWaits;
  /** When each shard's server last said anything (ms, monotonic). */
  readonly #heardMs: number[] = [];

  constructor(
    workers: readonly { label: string }[],
    links: Pick<ServerLinks, 'nameOf' | 'addressOf'>,
    usual: UsualWaits,
  ) {
    this.#workers = workers;
    this.#links = links;
    this.#usual = usual;
  }

  /** A shard's server has said something. */
  heard(shard: number, nowMs: number): void {
    this.#heardMs[shard] = nowMs;
  }

  /** What is to be told where the server of a shard says whom it waits for; undefined: nothing yet. */
  told(shard: number, waiting: Waiting__Output, wait: OwnWait, nowMs: number): WaitTold | undefined {
    const { step, workers, servers, copies } = waiting;
    const { sinceMs, missing } = wait;
    let { seconds, usualSeconds } = waiting;
    if (sinceMs !== undefined) {
      // Servers have waited from the step before on; this client, from its own contributions on.
      const waitedMs = nowMs - sinceMs;
      if (waitedMs < this.#usual.exchange.unusualMs) return undefined;
      seconds = Math.min(seconds, waitedMs / 1000);
      usualSeconds = (this.#usual.exchange.medianMs ?? 0) / 1000;
    }
    const worker = (rank: number) => `worker ${rank} (${this.#workers[rank]?.label ?? 'unknown'})`;
    const other = (at: number) => `${this.#links.nameOf(at)}, whose part in the step is missing`;
    const copy = (id: number) => `server ${id}, whose copy of shard ${shard} is missing`;
    const late = (at: number) => `${this.#links.nameOf(at)}, whose blocks of the step are missing`;
    // A server that is past the step of this client waits for all to be: for its copies, or others are those to wait for.
    const isPast = sinceMs !== undefined && step > wait.step;
    // Workers that are not there yet wait for who stands still as this one does.
    const silent = workers.length > 0 ? this.#silent(wait, nowMs) : [];
    const told = silent.length > 0 ? silent.map(late) : workers.map(worker);
    const whom = isPast ? missing.map(late) : [...told, ...servers.map(other)];
    const names = copies.length > 0 && isPast ? copies.map(copy) : [...whom, ...copies.map(copy)];
    if (names.length === 0) return undefined;
    return {
      step,
      seconds,
      ...(usualSeconds > 0 && { usualSeconds }),
      server: this.#links.addressOf(shard),
      workers: names,
    };
  }

  /**
   * Shards whose blocks are missing, and whose servers have said nothing for so long that, if they waited, they would have
   * told for whom: they do when the step, which was open before this client's exchange began, is late by their deadline.
   */
  #silent({ sinceMs, missing }: OwnWait, nowMs: number): number[] {
    if (sinceMs === undefined) return [];
    const dueMs = sinceMs + this.#usual.step.deadlineMs;
    const longMs = NOTICES_MISSED * WAITING_NOTICE_MS;
    return missing.filter((shard) => nowMs - Math.max(dueMs, this.#heardMs[shard] ?? 0) >= longMs);
  }
}
