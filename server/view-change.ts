// A change of view on its way, as the keeper sees it: every worker is held at the end of its step and says which one
// is next; the view holds from the latest of these, so nobody has to go back; every server takes it; then the workers
// are told. Two round trips, whatever the steps take, and no second try. Pure: the coordinator asks it, and orders.
import type { View } from '../shared/rpc/generated/gradloom/v1/View.js';
import { refuse } from '../shared/rpc/refusal.js';

/** Whose leaving a view is made for. */
export interface Leaving {
  readonly rank: number;
  readonly label: string;
  readonly reason: string;
  readonly putOut: boolean;
}

/** How far a worker that is fenced off has come on a server. */
export interface Fenced {
  readonly step: number;
  readonly complete: boolean;
}

export class ViewChange {
  readonly #fenced = new Map<number, Fenced>();
  /** The step that is next for each worker that has answered, by its connection. */
  readonly #held = new Map<number, number>();
  readonly #taken = new Set<number>();
  #view: View | undefined;

  /**
   * @param proposed all of the view but its step
   * @param call of whoever asked for it
   * @param workers connections of those who are held
   * @param servers connections of those who take it
   */
  constructor(
    readonly proposed: View & { number: number },
    readonly call: number,
    readonly workers: readonly number[],
    public servers: readonly number[],
    /** There where it is made because a worker has left. */
    readonly leaving?: Leaving,
    /** There where a keeper before had decided the view: only the servers are asked, again. */
    decided?: View,
  ) {
    this.#view = decided;
  }

  /** Whether the workers are held and the servers fence off the one that has left. */
  get isFencing(): boolean {
    return this.leaving !== undefined && !this.#view && this.#held.size === this.workers.length;
  }

  /** The view with its step, once every worker is held. */
  get view(): View | undefined {
    return this.#view;
  }

  /** A worker is held; true if it was the last. Where nobody has left the view then has its step. Throws Refused. */
  held(connection: number, number: number, step: number): boolean {
    // Said before it heard that a view proposed earlier is not made.
    if (number < this.proposed.number) return false;
    if (number !== this.proposed.number || !this.workers.includes(connection))
      throw refuse('STALE_VIEW', `expected an answer to view ${this.proposed.number}, got one to ${number}`);
    if (this.#view || this.#held.has(connection)) return false;
    this.#held.set(connection, step);
    if (this.#held.size < this.workers.length) return false;
    if (!this.leaving) this.#view = { ...this.proposed, fromStep: this.#latest };
    return true;
  }

  /** The latest step that is next for a worker: nobody has begun it. */
  get #latest(): number {
    return Math.max(...this.#held.values());
  }

  /**
   * A server has fenced off the worker that has left; true if it was the last. The view then has its step: the worker
   * counts in the oldest step that is open anywhere if all servers have all of it, else not at all. Nobody can have
   * begun the step after that, since all wait for it; where somebody has done his part of the step that is dropped, he
   * does it again, of the same records, and the records of the one who has left are dealt anew.
   */
  fenced(connection: number, number: number, fenced: Fenced): boolean {
    if (!this.isFencing || number !== this.proposed.number || !this.servers.includes(connection))
      return false;
    this.#fenced.set(connection, fenced);
    if (this.#fenced.size < this.servers.length) return false;
    const all = [...this.#fenced.values()];
    const open = Math.min(...all.map(({ step }) => step));
    const isComplete = all.every(({ step, complete }) => step > open || complete);
    const fromStep = isComplete ? open + 1 : open;
    const { rank, reason, putOut } = this.leaving as Leaving;
    const lostTo = Math.max(fromStep, this.#latest);
    this.#view = {
      ...this.proposed,
      fromStep,
      departed: { rank, reason, lostFrom: fromStep, lostTo, putOut },
    };
    return true;
  }

  /** A server has taken the view; true if it was the last. */
  taken(connection: number, number: number): boolean {
    if (!this.#view || number !== this.proposed.number || !this.servers.includes(connection)) return false;
    this.#taken.add(connection);
    return this.#taken.size === this.servers.length;
  }

  /** A server is gone; true if all others have taken the view, and now it holds. */
  gone(connection: number): boolean {
    this.servers = this.servers.filter((each) => each !== connection);
    this.#taken.delete(connection);
    return this.#view !== undefined && this.#taken.size === this.servers.length;
  }

  /** Connections whose answer is missing: of workers, then of servers. */
  missing(): number[] {
    if (this.isFencing) return this.servers.filter((connection) => !this.#fenced.has(connection));
    return this.#view
      ? this.servers.filter((connection) => !this.#taken.has(connection))
      : this.workers.filter((connection) => !this.#held.has(connection));
  }
}
