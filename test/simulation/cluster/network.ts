// The network of a simulated cluster: streams as gRPC has them. Messages of one direction of a stream stay in order
// and take their own time; a stream breaks as a whole, which loses what is on its way and is told to both ends later.
// Messages pass in their wire form, by the same (de)serializers as over gRPC.
import { EventEmitter } from 'node:events';
import type { MethodDefinition } from '@grpc/grpc-js';
import type { KeyedRandom } from '../../../shared/random.js';
import { Framed } from '../../../shared/rpc/frame.js';
import { copyReceived } from '../../../shared/rpc/receive.js';
import type { Scheduler } from './scheduler.js';

/** How long messages of a stream take, and how long it takes both ends to learn that it broke. */
export interface Delays {
  readonly leastMs: number;
  readonly mostMs: number;
  readonly noticeMs: number;
}

/** A node that learns only later than others that a stream broke. */
interface Late {
  readonly node: string;
  readonly ms: number;
}

type Handler = (call: never) => void;
type Methods = Record<string, unknown>;

/** One end of a stream, with the events of a grpc-js call. */
class End extends EventEmitter {
  other!: End;
  isOver = false;
  #lastMs = 0;

  constructor(
    readonly node: string,
    readonly network: SimulatedNetwork,
    readonly toWire: (message: unknown) => Buffer,
    readonly fromWire: (bytes: Buffer) => unknown,
  ) {
    super();
  }

  getPeer(): string {
    return this.other.node;
  }

  write(message: unknown, written?: () => void): boolean {
    if (this.isOver) return false;
    const bytes = message instanceof Framed ? Buffer.from(message.message) : this.toWire(message);
    this.#deliver(() => {
      this.other.emit('data', this.other.fromWire(copyReceived(bytes)));
      // The sender learns that its message has left; a turn later, as from a socket.
      if (written) this.network.scheduler.after(0, this.node, written);
    });
    return true;
  }

  end(): void {
    if (this.isOver) return;
    this.#deliver(() => {
      this.other.emit('end');
    });
    this.isOver = true;
  }

  cancel(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#deliver(() => this.other.emit('cancelled'));
  }

  /** Nothing more arrives; the end is told after a while, as grpc-js tells it. */
  break(reason: string, laterMs = 0): void {
    const { scheduler, delays } = this.network;
    if (this.isOver) return;
    this.isOver = true;
    scheduler.after(delays.noticeMs + laterMs, this.node, () => this.tell(reason));
  }

  /** What one end hears when the connection is gone. */
  tell(reason: string): void {
    if (this.network.isServers(this)) this.emit('cancelled');
    else this.emit('error', Object.assign(new Error(reason), { code: 14, details: reason }));
  }

  #deliver(run: () => void): void {
    const { scheduler, random, delays } = this.network;
    const delay = delays.leastMs + random.float() * (delays.mostMs - delays.leastMs);
    this.#lastMs = Math.max(this.#lastMs, scheduler.nowMs + delay);
    scheduler.after(this.#lastMs - scheduler.nowMs, this.other.node, () => {
      if (this.network.isBroken(this)) return;
      run();
    });
  }
}

interface Stream {
  readonly client: End;
  readonly server: End;
  /** Of the service, as the proto names it. */
  readonly method: string;
}

const isBetween = ({ client, server }: Stream, one: string, other: string) =>
  (client.node === one && server.node === other) || (client.node === other && server.node === one);

export class SimulatedNetwork {
  readonly #handlers = new Map<string, Record<string, Handler>>();
  readonly #streams = new Set<Stream>();
  readonly #parted = new Set<{ one: string; other: string; which: readonly string[] }>();
  readonly #broken = new WeakSet<End>();
  readonly #servers = new WeakSet<End>();
  /** Messages that have been handed over so far. */
  streams = 0;

  constructor(
    readonly scheduler: Scheduler,
    readonly random: KeyedRandom,
    readonly delays: Delays,
    /** After which a node that does not answer is given up. */
    readonly deadlineMs: number,
  ) {}

  /** A node answers at its address, which is its name. */
  listen(address: string, handlers: Record<string, Handler>): void {
    this.#handlers.set(address, { ...this.#handlers.get(address), ...handlers });
  }

  /** What opens the streams of a service of the node at an address. */
  connect<T>(from: string, address: string, service: Methods): T {
    const open = Object.keys(service).map((name) => [
      name,
      () => this.#open(from, address, name, service[name] as MethodDefinition<unknown, unknown>),
    ]);
    return { ...Object.fromEntries(open), close: () => undefined } as T;
  }

  isBroken(end: End): boolean {
    return this.#broken.has(end);
  }

  isServers(end: End): boolean {
    return this.#servers.has(end);
  }

  /**
   * The streams between two nodes break; how many.
   * @param which of these methods; by default all
   * @param late a node that notices it later than the other
   */
  cut(one: string, other: string, which?: readonly string[], late?: Late): number {
    return this.#breakThose(
      (stream) => isBetween(stream, one, other) && (which?.includes(stream.method) ?? true),
      `connection between ${one} and ${other} dropped`,
      late,
    );
  }

  /** The streams of these methods between two nodes break, and there are no new ones until it is healed. */
  part(one: string, other: string, which: readonly string[]): void {
    this.#parted.add({ one, other, which });
    this.cut(one, other, which);
  }

  heal(one: string, other: string): void {
    for (const parted of this.#parted)
      if (parted.one === one && parted.other === other) this.#parted.delete(parted);
  }

  /** All streams of a node break, as when it has not answered for too long. */
  isolate(node: string): void {
    this.#breakThose(
      ({ client, server }) => client.node === node || server.node === node,
      `connection to ${node} dropped`,
    );
  }

  /** A process is gone, with all its streams. */
  crash(node: string): void {
    this.#handlers.delete(node);
    this.isolate(node);
    this.scheduler.crash(node);
  }

  #breakThose(which: (stream: Stream) => boolean, reason: string, late?: Late): number {
    let count = 0;
    for (const stream of this.#streams) {
      if (!which(stream)) continue;
      this.#streams.delete(stream);
      for (const end of [stream.client, stream.server]) {
        this.#broken.add(end);
        end.break(reason, end.node === late?.node ? late.ms : 0);
      }
      count++;
    }
    return count;
  }

  #open(from: string, address: string, name: string, method: MethodDefinition<unknown, unknown>): End {
    const client = new End(
      from,
      this,
      (message) => method.requestSerialize(message),
      (bytes) => method.responseDeserialize(bytes),
    );
    const server = new End(
      address,
      this,
      (message) => method.responseSerialize(message),
      (bytes) => method.requestDeserialize(bytes),
    );
    client.other = server;
    server.other = client;
    this.#servers.add(server);
    const stream: Stream = { client, server, method: name };
    this.#streams.add(stream);
    this.streams++;
    const isParted = [...this.#parted].some(
      ({ one, other, which }) => isBetween(stream, one, other) && which.includes(name),
    );
    const serve = isParted ? undefined : this.#handlers.get(address)?.[name];
    // Whoever does not answer is given up after a while.
    if (this.scheduler.isPaused(address))
      this.scheduler.after(this.deadlineMs, 'network', () => {
        if (this.scheduler.isPaused(address))
          this.#breakThose((each) => each === stream, `no answer from ${address}`);
      });
    if (serve) serve(server as never);
    else {
      this.#streams.delete(stream);
      this.#broken.add(client);
      client.break(`no connection to ${address}`);
    }
    return client;
  }
}
