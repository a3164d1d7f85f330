// Who computes which chunk: claims in LMDB, taken in a transaction, so that processes that start cold together
// share the work. A claim of a dead process is taken over.
import type { Database, RootDatabase } from 'lmdb';
import { type Holder, isHolding } from './holder.js';

export class Claims {
  readonly #root: RootDatabase;
  readonly #table: Database;
  readonly #scope: string;
  readonly #me: Holder;
  readonly #mine = new Set<number>();

  /** @param table a table of JSON values of `root`; claims are kept under [scope, chunk] */
  constructor(root: RootDatabase, table: Database, scope: string, me: Holder) {
    this.#root = root;
    this.#table = table;
    this.#scope = scope;
    this.#me = me;
  }

  /** Claims a chunk, unless it is done or somebody else is at it. */
  take(chunk: number, isDone: (chunk: number) => boolean): boolean {
    const taken = this.#root.transactionSync(() => {
      if (isDone(chunk) || this.#holder(chunk) !== undefined) return false;
      this.#table.putSync([this.#scope, chunk], { ...this.#me, claimedAtMs: Date.now() });
      return true;
    });
    if (taken) this.#mine.add(chunk);
    return taken;
  }

  /** Somebody else who is at a chunk, as of the latest transaction. */
  #holder(chunk: number): Holder | undefined {
    const held: Holder | undefined = this.#table.get([this.#scope, chunk]);
    return held && held.id !== this.#me.id && isHolding(held, this.#me, Date.now()) ? held : undefined;
  }

  /** The number of another process that is at a chunk, or nothing when it is free to be taken. */
  processAt(chunk: number): number | undefined {
    return this.#holder(chunk)?.pid;
  }

  /** Chunks that were taken and neither finished nor released. */
  get mine(): ReadonlySet<number> {
    return this.#mine;
  }

  /** Gives up the claim on a chunk whose work is done; `within` runs in the same transaction. */
  finish(chunk: number, within: () => void = () => undefined): void {
    this.#root.transactionSync(() => {
      within();
      this.#table.removeSync([this.#scope, chunk]);
    });
    this.#mine.delete(chunk);
  }

  /** Gives up all claims, so that others may take them. */
  release(): void {
    if (this.#mine.size === 0) return;
    this.#root.transactionSync(() => {
      for (const chunk of this.#mine) {
        const held: Holder | undefined = this.#table.get([this.#scope, chunk]);
        if (held?.id === this.#me.id) this.#table.removeSync([this.#scope, chunk]);
      }
    });
    this.#mine.clear();
  }
}
