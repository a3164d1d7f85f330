// The keeper's role by etcd: a key that only one server can put, under a lease that it renews. What the keeper must not
// forget lies beside it, written by transactions that hold only while that very key is there: so a keeper that was paused
// and wakes up changes nothing, whatever its clock says. Consensus is etcd's; there is none of ours.
import { setTimeout as pause } from 'node:timers/promises';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { EtcdLeaseInvalidError, type Lease } from 'etcd3';
import { EtcdKeepers } from '../../shared/client/etcd-keepers.js';
import { RunError } from '../../shared/errors.js';
import {
  ETCD_CALL_MS,
  ETCD_RETRY_MS,
  KEEPER_LEASE_SECONDS,
  KEEPER_RENEWAL_MS,
  STATE_MAX_BYTES,
  WAITING_NOTICE_MS,
} from '../../shared/limits.js';
import { reasonOf } from '../../shared/rpc/reason.js';
import type { State } from '../coordinator-state.js';
import type { Coordination, Ledger, Role } from './coordination.js';
import { isNobodyThere } from './nobody-there.js';

export interface EtcdOptions {
  hosts: readonly string[];
  mesh: string;
  /** How long etcd is waited for, when the keeper needs it; and a keeper, by everybody. */
  peerDeadlineMs: number;
  log(message: string): void;
  /** The keeper cannot go on without etcd: once. */
  onLost(error: RunError): void;
}

/** One time of being the keeper. */
class Term implements Ledger {
  /** Resolves when the role is another's, or given up. */
  readonly over: Promise<void>;
  #end = (): void => undefined;
  #isOver = false;
  /** Bytes as they are in etcd, by key; undefined: only known to be there. */
  readonly #stored = new Map<string, Buffer>();
  #waiting: { state: () => State; then: () => void }[] = [];
  #writing: Promise<void> | undefined;

  constructor(
    readonly keepers: EtcdKeepers,
    readonly options: EtcdOptions,
    readonly lease: Lease,
    /** Revision at which the key was put: no other keeper has it. */
    readonly revision: string,
    stored: State,
  ) {
    this.over = new Promise((resolve) => {
      this.#end = resolve;
    });
    for (const [name, bytes] of stored) this.#stored.set(name, bytes);
  }

  end(): void {
    this.#isOver = true;
    this.#waiting = [];
    this.#end();
  }

  write(state: () => State, then: () => void): void {
    if (this.#isOver) return;
    this.#waiting.push({ state, then });
    this.#writing ??= this.#flush().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Resolves when all that was to be written is. */
  async settled(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  /** Gives signs of life until it is over. */
  async renew(): Promise<void> {
    while (!this.#isOver) {
      try {
        await this.lease.keepaliveOnce({ deadline: Date.now() + ETCD_CALL_MS });
      } catch (error) {
        // What else may be the matter shows in what is to be written, or not at all.
        if (error instanceof EtcdLeaseInvalidError) return this.end();
      }
      await Promise.race([pause(KEEPER_RENEWAL_MS), this.over]);
    }
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      const state = (batch.at(-1) as { state: () => State }).state();
      for (const changes of this.#changes(state)) if (!(await this.#commit(changes))) return;
      for (const { then } of batch) then();
    }
  }

  /** What differs from what is stored, in portions that etcd takes; at least one, since orders leave only from the keeper. */
  #changes(state: State): (readonly [string, Buffer | undefined])[][] {
    const portions: (readonly [string, Buffer | undefined])[][] = [[]];
    let portionBytes = 0;
    for (const [name, bytes] of state) {
      if (this.#stored.get(name)?.equals(bytes)) continue;
      const size = deflateRawSync(bytes).length;
      if (portionBytes > 0 && portionBytes + size > STATE_MAX_BYTES) {
        portions.push([]);
        portionBytes = 0;
      }
      portionBytes += size;
      portions.at(-1)?.push([name, bytes]);
    }
    for (const name of this.#stored.keys()) if (!state.has(name)) portions.at(-1)?.push([name, undefined]);
    return portions;
  }

  /** False where this server is not the keeper any more. Tries again as long as etcd does not answer. */
  async #commit(changes: readonly (readonly [string, Buffer | undefined])[]): Promise<boolean> {
    const { client, key, prefix, where } = this.keepers;
    const { log, onLost, peerDeadlineMs } = this.options;
    const since = Date.now();
    for (let noticed = false; !this.#isOver; ) {
      try {
        const { succeeded } = await client
          .if(key, 'Create', '==', Number(this.revision))
          .then(
            ...changes.map(([name, bytes]) =>
              bytes
                ? client.put(prefix + name).value(deflateRawSync(bytes))
                : client.delete().key(prefix + name),
            ),
          )
          .commit();
        if (!succeeded) {
          this.end();
          return false;
        }
        for (const [name, bytes] of changes)
          if (bytes) this.#stored.set(name, bytes);
          else this.#stored.delete(name);
        if (noticed) log(`${where} answers again`);
        return true;
      } catch (error) {
        const waitedMs = Date.now() - since;
        if (waitedMs > peerDeadlineMs) {
          this.end();
          onLost(
            new RunError(
              `${where} has not answered for ${peerDeadlineMs / 1000} s: ${reasonOf(error)}; the keeper can decide nothing without it`,
            ),
          );
          return false;
        }
        if (waitedMs > WAITING_NOTICE_MS && !noticed) {
          noticed = true;
          log(`waiting for ${where}: ${reasonOf(error)}; what the keeper has decided is held back`);
        }
        await pause(ETCD_RETRY_MS);
      }
    }
    return false;
  }
}

export class EtcdCoordination implements Coordination {
  readonly #keepers: EtcdKeepers;
  readonly #options: EtcdOptions;
  #term: Term | undefined;
  #isClosed = false;
  #wake = (): void => undefined;
  #campaign: Promise<void> | undefined;

  private constructor(keepers: EtcdKeepers, options: EtcdOptions) {
    this.#keepers = keepers;
    this.#options = options;
  }

  /** Throws RunError where etcd cannot be reached. */
  static async open(options: EtcdOptions): Promise<EtcdCoordination> {
    const keepers = await EtcdKeepers.open(options.hosts, options.mesh, options.peerDeadlineMs);
    return new EtcdCoordination(keepers, options);
  }

  async start(address: string, role: Role): Promise<EtcdKeepers> {
    this.#campaign = this.#serve(address, role);
    return this.#keepers;
  }

  suspect(keeper: string): void {
    // Where etcd does not answer, the lease runs out in time.
    void isNobodyThere(keeper)
      .then((isGone) => (isGone && !this.#isClosed ? this.#keepers.depose(keeper) : undefined))
      .catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake();
    const term = this.#term;
    if (term) {
      await Promise.race([term.settled(), pause(ETCD_CALL_MS, undefined, { ref: false })]);
      term.end();
      await term.lease.revoke({ deadline: Date.now() + ETCD_CALL_MS }).catch(() => undefined);
    }
    await this.#campaign;
    this.#keepers.close();
  }

  /** Stands for the role whenever it is nobody's. */
  async #serve(address: string, role: Role): Promise<void> {
    const { log, mesh } = this.#options;
    while (!this.#isClosed) {
      await this.#vacancy();
      if (this.#isClosed) return;
      // Where etcd is away or slow, whoever needs it says so.
      const elected = await this.#elect(address).catch(() => undefined);
      if (!elected) {
        await pause(ETCD_RETRY_MS);
        continue;
      }
      this.#term = elected.term;
      try {
        role.begin(elected.left, elected.term);
      } catch (error) {
        const { prefix, where } = this.#keepers;
        this.#options.onLost(
          new RunError(
            `cannot read what the keeper before has left in ${where}: ${reasonOf(error)}; where its runs have ended, remove it: etcdctl del --prefix ${prefix}`,
          ),
        );
        this.#isClosed = true;
        elected.term.end();
      }
      const stop = this.#keepers.onChange((keeper) => {
        if (keeper !== address) this.#term?.end();
      });
      await Promise.all([elected.term.over, elected.term.renew()]);
      stop();
      role.end();
      this.#term = undefined;
      if (this.#isClosed) return;
      log(`this server is not the keeper of mesh '${mesh}' any more`);
      // Whoever has lost it may be slow or cut off: others go first.
      await pause(KEEPER_RENEWAL_MS);
    }
  }

  /** Resolves when nobody is the keeper, or this is closed. */
  #vacancy(): Promise<void> {
    if (!this.#keepers.address || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const stop = this.#keepers.onChange((address) => void (address || this.#wake()));
      this.#wake = () => {
        stop();
        resolve();
      };
    });
  }

  /** Puts the key where there is none, and reads what is left; undefined where another was faster. Throws etcd's errors. */
  async #elect(address: string): Promise<{ term: Term; left: State } | undefined> {
    const { client, key, prefix } = this.#keepers;
    const lease = client.lease(KEEPER_LEASE_SECONDS, { autoKeepAlive: false });
    try {
      const id = await lease.grant();
      const { succeeded, header } = await client
        .if(key, 'Create', '==', 0)
        .then(client.put(key).value(address).lease(id))
        .commit();
      if (succeeded) {
        const left = new Map<string, Buffer>();
        for (const [name, bytes] of Object.entries(await client.getAll().prefix(prefix).buffers()))
          if (name !== key) left.set(name.slice(prefix.length), inflateRawSync(bytes));
        return { term: new Term(this.#keepers, this.#options, lease, header.revision, left), left };
      }
    } catch (error) {
      // What is not revoked runs out.
      void lease.revoke().catch(() => undefined);
      throw error;
    }
    void lease.revoke().catch(() => undefined);
    return undefined;
  }
}
