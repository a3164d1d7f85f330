// The keeper of a mesh as etcd names it: the key /gradloom/MESH/keeper holds its address, under a lease that the keeper
// renews. Read once at the start, watched from then on; when etcd is away the last that was known stands.
import { Etcd3, type IOptions, type Watcher } from 'etcd3';
import { RunError } from '../errors.js';
import { ETCD_CALL_MS, ETCD_RETRY_MS } from '../limits.js';
import { reasonOf } from '../rpc/reason.js';
import type { Keepers } from './keepers.js';

/** Tries again after the same time each time: etcd's clients are few. */
const steady = { duration: ETCD_RETRY_MS, next: () => steady };

/** Each call goes to a host once: who retries, how long and why is said where it is called. */
const once = {
  execute: async (call: (context: { signal: AbortSignal }) => unknown) =>
    call({ signal: new AbortController().signal }),
};

/** A client of etcd whose calls have a deadline. */
export function etcdClient(hosts: readonly string[]): Etcd3 {
  return new Etcd3({
    hosts: [...hosts],
    grpcOptions: {
      'grpc.initial_reconnect_backoff_ms': ETCD_RETRY_MS,
      'grpc.max_reconnect_backoff_ms': ETCD_CALL_MS,
      'grpc.keepalive_time_ms': ETCD_CALL_MS,
      'grpc.keepalive_timeout_ms': ETCD_CALL_MS,
    },
    defaultCallOptions: ({ isStream }) => (isStream ? {} : { deadline: Date.now() + ETCD_CALL_MS }),
    faultHandling: {
      host: () => once,
      global: once,
      watchBackoff: steady,
    } as unknown as IOptions['faultHandling'],
  });
}

export function meshPrefix(mesh: string): string {
  return `/gradloom/${mesh}/`;
}

export class EtcdKeepers implements Keepers {
  readonly follow = true;
  readonly client: Etcd3;
  readonly prefix: string;
  /** Where etcd is, for messages. */
  readonly where: string;
  readonly #deadlineMs: number;
  readonly #listeners = new Set<(address: string) => void>();
  #watcher: Watcher | undefined;
  #address = '';
  /** Of etcd, when that was so: an answer may come after the news that follow it. */
  #revision = 0;
  /** Revision at which the present keeper has put its key. */
  #since = '0';
  #closed = false;

  private constructor(
    hosts: readonly string[],
    readonly mesh: string,
    deadlineMs: number,
  ) {
    this.client = etcdClient(hosts);
    this.prefix = meshPrefix(mesh);
    this.where = `etcd at ${hosts.join(', ')}`;
    this.#deadlineMs = deadlineMs;
  }

  /** Throws RunError where etcd does not answer. @param deadlineMs how long a keeper is waited for */
  static async open(hosts: readonly string[], mesh: string, deadlineMs: number): Promise<EtcdKeepers> {
    const keepers = new EtcdKeepers(hosts, mesh, deadlineMs);
    try {
      await keepers.#read();
    } catch (error) {
      keepers.close();
      throw new RunError(
        `cannot reach ${keepers.where}: ${reasonOf(error)}; start it there, or check --etcd`,
      );
    }
    keepers.#watch();
    return keepers;
  }

  get name(): string {
    return `the keeper of mesh '${this.mesh}'${this.#address && ` at ${this.#address}`} (${this.where})`;
  }

  get key(): string {
    return `${this.prefix}keeper`;
  }

  /** Empty while there is none. */
  get address(): string {
    return this.#address;
  }

  find(): string | Promise<string> {
    if (this.#address) return this.#address;
    return new Promise((resolve, reject) => {
      const stop = this.onChange((address) => {
        if (!address) return;
        stop();
        clearTimeout(timer);
        resolve(address);
      });
      const timer = setTimeout(() => {
        stop();
        reject(
          new RunError(
            `mesh '${this.mesh}' has had no keeper for ${this.#deadlineMs / 1000} s (${this.where}); start a server with the same --etcd, or check --mesh`,
          ),
        );
      }, this.#deadlineMs);
    });
  }

  /** The listener is called with an empty address, too, when a keeper is gone. */
  onChange(listener: (address: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Takes the role from a keeper that is no more, before its lease has run out; nothing where it is another already. */
  async depose(address: string): Promise<void> {
    if (!address || address !== this.#address) return;
    await this.client
      .if(this.key, 'Create', '==', Number(this.#since))
      .then(this.client.delete().key(this.key))
      .commit();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listeners.clear();
    this.#drop();
    this.client.close();
  }

  /** Ends the watch; what it still says is not heard. */
  #drop(): void {
    const watcher = this.#watcher;
    this.#watcher = undefined;
    for (const event of ['put', 'delete', 'error']) watcher?.removeAllListeners(event);
    watcher?.on('error', () => undefined);
    void watcher?.cancel().catch(() => undefined);
  }

  async #read(): Promise<void> {
    const { kvs, header } = await this.client.get(this.key).exec();
    this.#set(kvs[0]?.value.toString() ?? '', header.revision, kvs[0]?.create_revision);
  }

  #watch(): void {
    this.#watcher = this.client.watch().key(this.key).watcher();
    this.#watcher
      .on('put', ({ value, mod_revision, create_revision }) =>
        this.#set(value.toString(), mod_revision, create_revision),
      )
      .on('delete', ({ mod_revision }) => this.#set('', mod_revision))
      // Also what happened while etcd or the connection was away.
      .on('connected', () => void this.#read().catch(() => undefined))
      // etcd has ended the watch, for instance since it no longer has what happened meanwhile.
      .on('error', () => {
        this.#drop();
        setTimeout(() => void (this.#closed || this.#watch()), ETCD_RETRY_MS);
      });
  }

  #set(address: string, revision: string, since = '0'): void {
    if (Number(revision) < this.#revision || this.#closed) return;
    this.#revision = Number(revision);
    this.#since = since;
    if (address === this.#address) return;
    this.#address = address;
    for (const listener of [...this.#listeners]) listener(address);
  }
}
