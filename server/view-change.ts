// A change of view on its way, as the keeper sees it: every worker is held at the end of its step and says which one
// is next; the view holds from the latest of these, so nobody has to go back; every server takes it; then the workers
// are told. Two round trips, whatever the steps take, and no second try. Pure: the coordinator asks it, and orders.
import type { View } from '../shared/rpc/generated/gradloom/v1/View.js';
import { refuse } from '../shared/rpc/refusal.js';

export class ViewChange {
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
    readonly servers: readonly number[],
  ) {}

  /** The view with its step, once every worker is held. */
  get view(): View | undefined {
    return this.#view;
  }

  /** A worker is held; the view with its step, if it was the last. Throws Refused. */
  held(connection: number, number: number, step: number): View | undefined {
    if (number !== this.proposed.number || !this.workers.includes(connection))
      throw refuse('STALE_VIEW', `expected an answer to view ${this.proposed.number}, got one to ${number}`);
    if (this.#view) return undefined;
    this.#held.set(connection, step);
    if (this.#held.size < this.workers.length) return undefined;
    this.#view = { ...this.proposed, fromStep: Math.max(...this.#held.values()) };
    return this.#view;
  }

  /** A server has taken the view; true if it was the last. */
  taken(connection: number, number: number): boolean {
    if (!this.#view || number !== this.proposed.number || !this.servers.includes(connection)) return false;
    this.#taken.add(connection);
    return this.#taken.size === this.servers.length;
  }

  /** Connections whose answer is missing: of workers, then of servers. */
  missing(): number[] {
    return this.#view
      ? this.servers.filter((connection) => !this.#taken.has(connection))
      : this.workers.filter((connection) => !this.#held.has(connection));
  }
}
