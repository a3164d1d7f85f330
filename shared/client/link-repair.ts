// A link that is lost is made again: to the same server, or to the one that has taken over its shard as soon as a view
// says which. What the shard has done meanwhile comes first, then the rest of what was under way is sent again, the same
// bytes; what was read is read again. Only where it takes longer than twice the peer deadline the exchange fails.
import { performance } from 'node:perf_hooks';
import { RunError } from '../errors.js';
import { RECONNECT_MS, VIEW_POLL_MS, WAITING_NOTICE_MS } from '../limits.js';
import { RefusalCode, Refused } from '../rpc/refusal.js';
import { Notice } from '../usual.js';
import type { LinkHandlers, ServerLink } from './server-link.js';
import type { ServerLinks } from './server-links.js';

/** What a server says that does not hold the shard, or not yet. */
const NOT_YET: readonly number[] = [
  RefusalCode.REFUSAL_CODE_NOT_NOW,
  RefusalCode.REFUSAL_CODE_UNKNOWN_RUN,
  RefusalCode.REFUSAL_CODE_STALE_VIEW,
];

/** Peer deadlines: the one after which the keeper gives a server up, and one for who takes over. */
const KEEPER_AND_OWN = 2;

export interface LinkRepairOptions {
  readonly links: ServerLinks;
  readonly peerDeadlineMs: number;
  /** Handlers of a new link of a shard. */
  handlersOf(shard: number): LinkHandlers;
  /** Number of the view under which the client works. */
  view(): number;
  /** Brings a new link to where the old one was; resolves when the server has told all that it had. */
  subscribe(link: ServerLink): Promise<void>;
  /** The link is in its place: what was under way over the old one goes on. */
  resume(link: ServerLink): void;
  /** Of whoever is told no views: asks who holds the shards now, and says it. Throws RunError where the run is over. */
  look?(): Promise<void>;
  onWaiting(shard: number, seconds: number): void;
  /** How long (ms) what goes over the links may take before it is told who is waited for. */
  deadlineMs(): number;
  /** What the client is in the midst of, and since when, in words that follow its name: for the error of one that gives up. */
  doing(): string;
  fail(error: RunError): void;
  /** Milliseconds; both by default those of the process. */
  now?: () => number;
  sleep?: (ms: number) => Promise<void>;
}

interface Repair {
  /** How the link was lost. */
  readonly lost: RunError;
  /** Ends the attempt under way. */
  giveUp(error: RunError): void;
  /** Another server is the one to be reached now. */
  isMoved: boolean;
  /** Resolves when the link is made again, or the exchange has failed. */
  done: Promise<void>;
}

export class LinkRepair {
  readonly #options: LinkRepairOptions;
  /** Shards whose link is being made again. */
  readonly #broken = new Map<number, Repair>();
  #isLooking = false;

  constructor(options: LinkRepairOptions) {
    this.#options = options;
  }

  /** Whether what comes of a shard is what its link has missed. */
  isRepairing(shard: number): boolean {
    return this.#broken.has(shard);
  }

  /** Resolves when no link is missing, or none is to be had any more. */
  async settled(): Promise<void> {
    while (this.#broken.size > 0 && !this.#options.links.hasFailed)
      await Promise.all([...this.#broken.values()].map(({ done }) => done));
  }

  /** A link was lost, or its server is not the primary of its shard any more. */
  lost(shard: number, error: RunError): void {
    // Who stands still does not answer: another server may.
    const broken = this.#broken.get(shard);
    if (broken) {
      broken.isMoved = true;
      return broken.giveUp(error);
    }
    // What it refused, it refuses again.
    if (error instanceof Refused && !NOT_YET.includes(error.code)) return this.#options.fail(error);
    const repair: Repair = {
      lost: error,
      giveUp: () => undefined,
      isMoved: false,
      done: Promise.resolve(),
    };
    this.#broken.set(shard, repair);
    repair.done = this.#repair(shard, repair, error);
    if (!this.#isLooking) void this.#look();
  }

  /** As long as a link is missing. */
  async #look(): Promise<void> {
    const { links, look, fail } = this.#options;
    if (!look) return;
    this.#isLooking = true;
    while (this.#broken.size > 0 && !links.hasFailed) {
      try {
        await look();
      } catch (error) {
        if (!(error instanceof RunError)) throw error;
        const [missing] = this.#broken.values();
        if (missing && !links.hasFailed)
          fail(new RunError(`${missing.lost.message}; ${error.message}`, { cause: error }));
        break;
      }
      await this.#sleep(VIEW_POLL_MS);
    }
    this.#isLooking = false;
  }

  #sleep(ms: number): Promise<void> {
    const { sleep = (forMs) => new Promise<void>((resolve) => setTimeout(resolve, forMs)) } = this.#options;
    return sleep(ms);
  }

  async #repair(shard: number, repair: Repair, lost: RunError): Promise<void> {
    const { links, peerDeadlineMs, fail, onWaiting, deadlineMs } = this.#options;
    const now = this.#options.now ?? (() => performance.now());
    let since = now();
    let notice = new Notice();
    let reason = lost;
    links.all[shard]?.close();
    while (!links.hasFailed) {
      if (repair.isMoved) [since, notice] = [now(), new Notice()];
      repair.isMoved = false;
      const waitedMs = now() - since;
      // The keeper gives a silent server up after one deadline, and then says who has taken over.
      if (waitedMs > KEEPER_AND_OWN * peerDeadlineMs)
        return fail(
          new RunError(
            `${reason.message}; it was not to be reached again in ${Math.round(waitedMs / 1000)} s; this client ${this.#options.doing()}`,
          ),
        );
      // A stream that broke is not usual, however long an exchange takes.
      if (notice.isDue(waitedMs, Math.min(WAITING_NOTICE_MS, deadlineMs())))
        onWaiting(shard, waitedMs / 1000);
      try {
        await this.#replace(shard, repair);
        return;
      } catch (error) {
        if (!(error instanceof RunError)) throw error;
        if (error instanceof Refused && !NOT_YET.includes(error.code)) return fail(error);
        reason = error;
      }
      if (!repair.isMoved) await this.#sleep(RECONNECT_MS);
    }
  }

  async #replace(shard: number, repair: Repair): Promise<void> {
    const { links, view, handlersOf, subscribe, resume } = this.#options;
    const handlers = handlersOf(shard);
    let lost: RunError | undefined;
    let isInPlace = false;
    let attempt: ServerLink | undefined;
    const givenUp = new Promise<never>((_, reject) => {
      repair.giveUp = (error) => {
        lost = error;
        attempt?.close();
        reject(error);
      };
    });
    const connected = links
      .connect(shard, view(), {
        ...handlers,
        lost: (error) => {
          lost ??= error;
          if (isInPlace) handlers.lost(error);
        },
      })
      .then(async (link) => {
        attempt = link;
        if (!lost) await subscribe(link);
        if (lost || links.hasFailed) link.close();
        return link;
      });
    const link = await Promise.race([connected, givenUp]);
    if (lost) throw lost;
    if (links.hasFailed) return;
    isInPlace = true;
    links.replace(shard, link);
    this.#broken.delete(shard);
    resume(link);
  }
}
