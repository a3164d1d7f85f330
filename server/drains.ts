// Servers that are being emptied while runs go on: their shards get copies elsewhere, go over to these between two
// messages, and then the server holds nothing. Pure: the coordinator asks it, and orders.
import type { ShardCopies } from '../shared/view.js';
import { holdersOf } from './replication/placement.js';

export class Drains {
  /** Servers by id, and whoever asked for it: the numbers of their calls. */
  readonly #leaving = new Map<number, number[]>();

  has(server: number): boolean {
    return this.#leaving.has(server);
  }

  get servers(): ReadonlySet<number> {
    return new Set(this.#leaving.keys());
  }

  /** @param call of whoever waits for it; undefined: the server itself */
  begin(server: number, call?: number): void {
    const calls = this.#leaving.get(server) ?? [];
    this.#leaving.set(server, call === undefined ? calls : [...calls, call]);
  }

  /** It is over; returns the calls that wait for it. */
  end(server: number): number[] {
    const calls = this.#leaving.get(server) ?? [];
    this.#leaving.delete(server);
    return calls;
  }

  /** Whether a server that leaves may let go of all its shards of a run: others hold them, and no copy is on its way. */
  mayLeave(server: number, shards: readonly ShardCopies[]): boolean {
    return shards.every((copies) => {
      if (!holdersOf(copies).includes(server)) return true;
      const others = [copies.primary, ...copies.backups].filter((id) => !this.#leaving.has(id));
      return others.length > 0 && copies.joining.length === 0;
    });
  }
}
