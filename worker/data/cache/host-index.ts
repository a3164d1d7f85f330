// What the processes of a host that share a cache agree on: one small LMDB environment beside the datasets.
// Its write lock makes opening, repairing and evicting datasets exclusive (LMDB frees it when its owner is
// killed), and it remembers content hashes of source files and claims on the generated files.
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import type { Database, RootDatabase } from 'lmdb';
import { UserError } from '../../../shared/errors.js';
import { CACHE_HASHES_MAX } from '../../../shared/limits.js';
import type { HashMemory } from '../identity.js';
import { Claims } from './claims.js';
import { damageOf, makeFolder, openEnvironment, writing } from './environment.js';
import { type Holder, thisHolder } from './holder.js';

/** Where the cache lies unless somebody says otherwise (XDG base directory specification). */
export function defaultCacheDir(environment: NodeJS.ProcessEnv = process.env): string {
  const base = environment.XDG_CACHE_HOME;
  return join(base && isAbsolute(base) ? base : join(homedir(), '.cache'), 'gradloom');
}

export class HostIndex implements HashMemory {
  readonly cacheDir: string;
  readonly me: Holder = thisHolder();
  readonly #folder: string;
  readonly #root: RootDatabase;
  readonly #hashes: Database;
  readonly #claims: Database;

  /** @throws UserError when the directory can't be used or its index is damaged */
  constructor(cacheDir: string) {
    this.cacheDir = resolve(cacheDir);
    this.#folder = join(this.cacheDir, 'index');
    makeFolder(this.#folder);
    const damage = damageOf(this.#folder);
    if (damage) {
      throw new UserError(
        `the index of the cache in ${this.#folder} is damaged or foreign (${damage}), expected one that gradloom wrote: delete ${this.cacheDir}, it is filled again`,
      );
    }
    this.#root = openEnvironment(this.#folder);
    this.#hashes = this.#root.openDB({ name: 'hashes', encoding: 'json' });
    this.#claims = this.#root.openDB({ name: 'claims', encoding: 'json' });
  }

  /** Runs something synchronous while no other process of the host runs anything of the kind. */
  exclusive<T>(work: () => T): T {
    return this.#root.transactionSync(work);
  }

  claims(scope: string): Claims {
    return new Claims(this.#root, this.#claims, scope, this.me);
  }

  recall(key: string, stamp: string): string | undefined {
    const found: { stamp: string; hash: string } | undefined = this.#hashes.get(key);
    return found?.stamp === stamp ? found.hash : undefined;
  }

  remember(key: string, stamp: string, hash: string): void {
    writing(this.#folder, () =>
      this.#root.transactionSync(() => {
        if (this.#hashes.getKeysCount() >= CACHE_HASHES_MAX) this.#hashes.clearSync();
        this.#hashes.putSync(key, { stamp, hash });
      }),
    );
  }

  async close(): Promise<void> {
    await this.#root.close();
  }
}
