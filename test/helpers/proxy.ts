// A TCP proxy between a client and a server, as a link with faults on command: delays and throttles each direction,
// holds it back altogether, cuts every connection, and counts what it has forwarded. A half-closed side and a reset
// travel like the bytes before them. Memory is bounded: full queues stop reading, and the sender feels it.
import { connect, createServer, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { DelayQueue, type LinkOptions } from './delay-queue.js';

export type Direction = 'up' | 'down';

export interface ProxyOptions {
  /** HOST:PORT (or unix:PATH) of the server. */
  target: string;
  /** HOST:PORT to listen at; by default a free port of loopback. */
  listen?: string;
  /** Bytes that a socket buffers in this process before it pushes back. */
  bufferBytes?: number;
  /** Time that bytes spend on their way, each direction. */
  delayMs?: number;
  /** Of each connection, each direction; by default unlimited. */
  bytesPerSecond?: number;
  /** Listens on a Unix socket of this path instead of TCP: the kernel's buffers of those are small and stay so. */
  socketPath?: string;
}

export interface Proxy {
  /** HOST:PORT (or unix:PATH) to connect to instead. */
  readonly address: string;
  /** Bytes forwarded so far, over all connections; up is to the server. */
  readonly bytes: Record<Direction, number>;
  /** Keeps everything of a direction back until it is let go; what comes in stays in the sockets. */
  hold(direction: Direction): void;
  release(direction: Direction): void;
  /** Changes delay and rate for what comes from now on. */
  shape(link: Partial<LinkOptions>): void;
  /** Resets every connection, and new ones at once until `mend`. */
  cut(): void;
  mend(): void;
  /** Resolves when the count of a direction has reached a number. */
  reached(direction: Direction, bytes: number): Promise<void>;
  close(): void;
}

const END = { length: 0 };
const RESET = { length: 0 };

/** Carries one direction of one connection. */
class Pump {
  readonly #queue: DelayQueue<Buffer | typeof END>;
  #timer: NodeJS.Timeout | undefined;
  #blocked = false;
  #broken = false;

  constructor(
    readonly from: Socket,
    readonly to: Socket,
    link: Readonly<LinkOptions>,
    bufferBytes: number,
    readonly held: () => boolean,
    readonly forwarded: (bytes: number) => void,
  ) {
    this.#queue = new DelayQueue(link, bufferBytes);
    const put = (item: Buffer | typeof END) => {
      this.#queue.put(item, performance.now());
      if (this.#queue.full) from.pause();
      this.move();
    };
    from.on('data', put);
    from.on('end', () => put(END));
    // The reset itself is told by `close`.
    from.on('error', () => undefined);
    from.on('close', (failed) => {
      this.#broken = failed;
      if (failed) put(RESET);
    });
    to.on('drain', () => {
      this.#blocked = false;
      this.move();
    });
  }

  /** Hands on what has arrived. */
  move(): void {
    clearTimeout(this.#timer);
    if (this.held()) return;
    // A reset gets through to a receiver that reads nothing; what is before it will be discarded.
    const passes = () => !this.#blocked || this.#broken || this.to.destroyed;
    while (passes()) {
      const item = this.#queue.take(performance.now());
      if (item === undefined) break;
      if (item === RESET) breakOff(this.to);
      else if (item === END) this.to.end();
      else if (!this.to.destroyed) {
        this.#blocked = !this.to.write(item as Buffer);
        this.forwarded(item.length);
      }
    }
    if (!this.#queue.full && this.from.isPaused()) this.from.resume();
    const dueMs = this.#queue.nextDueMs;
    if (dueMs !== undefined && passes())
      this.#timer = setTimeout(() => this.move(), Math.max(0, dueMs - performance.now()));
  }
}

/** Resets a connection; Unix sockets know no reset, and are closed. */
function breakOff(socket: Socket): void {
  if (socket.remoteFamily) socket.resetAndDestroy();
  else socket.destroy();
}

const place = (address: string) => {
  const at = address.lastIndexOf(':');
  return address.startsWith('unix:')
    ? { path: address.slice('unix:'.length) }
    : { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
};

/** Opens a proxy that is closed with the test, or whatever else ends. */
export async function openProxy(
  t: { teardown(end: () => void): void },
  {
    target,
    listen = '127.0.0.1:0',
    bufferBytes = 64 * 1024,
    delayMs = 0,
    bytesPerSecond = Infinity,
    socketPath,
  }: ProxyOptions,
): Promise<Proxy> {
  const link: LinkOptions = { delayMs, bytesPerSecond };
  const sockets = new Set<Socket>();
  const pumps: Record<Direction, Set<Pump>> = { up: new Set(), down: new Set() };
  const bytes = { up: 0, down: 0 };
  const held = { up: false, down: false };
  const watchers = new Set<() => void>();
  let isCut = false;

  const server = createServer({ highWaterMark: bufferBytes, allowHalfOpen: true }, (client) => {
    if (isCut) return breakOff(client);
    const upstream = connect({
      ...place(target),
      allowHalfOpen: true,
      readableHighWaterMark: bufferBytes,
      writableHighWaterMark: bufferBytes,
    } as never);
    const ends = { up: [client, upstream], down: [upstream, client] } as const;
    for (const direction of ['up', 'down'] as const) {
      const [from, to] = ends[direction];
      const pump = new Pump(
        from,
        to,
        link,
        bufferBytes,
        () => held[direction],
        (count) => {
          bytes[direction] += count;
          for (const watcher of watchers) watcher();
        },
      );
      pumps[direction].add(pump);
      sockets.add(from);
      from.setNoDelay(true);
      from.on('close', () => sockets.delete(from));
      to.on('close', () => pumps[direction].delete(pump));
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject);
    server.listen(socketPath ? { path: socketPath } : place(listen), resolve);
  });
  const reset = () => {
    for (const socket of sockets) breakOff(socket);
  };
  const close = () => {
    reset();
    server.close();
  };
  t.teardown(close);
  const bound = server.address() as { address: string; port: number };
  return {
    address: socketPath ? `unix:${socketPath}` : `${bound.address}:${bound.port}`,
    bytes,
    hold(direction) {
      held[direction] = true;
    },
    release(direction) {
      held[direction] = false;
      for (const pump of pumps[direction]) pump.move();
    },
    shape: (changed) => void Object.assign(link, changed),
    cut() {
      isCut = true;
      reset();
    },
    mend() {
      isCut = false;
    },
    reached: (direction, count) =>
      new Promise((resolve) => {
        const watcher = () => {
          if (bytes[direction] < count) return;
          watchers.delete(watcher);
          resolve();
        };
        watchers.add(watcher);
        watcher();
      }),
    close,
  };
}
