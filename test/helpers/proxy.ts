// A TCP proxy between a client and a server: forwards through small buffers, holds each direction back by some
// milliseconds or altogether, and counts what it has forwarded.
import { connect, createServer, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';

export type Direction = 'up' | 'down';

export interface ProxyOptions {
  /** HOST:PORT (or unix:PATH) of the server. */
  target: string;
  /** Bytes that a socket buffers in this process before it pushes back. */
  bufferBytes?: number;
  /** Time that bytes spend on their way, each direction. */
  delayMs?: number;
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
  /** Resolves when the count of a direction has reached a number. */
  reached(direction: Direction, bytes: number): Promise<void>;
}

export async function openProxy(
  t: Pick<ExecutionContext, 'teardown'>,
  { target, bufferBytes = 64 * 1024, delayMs = 0, socketPath }: ProxyOptions,
): Promise<Proxy> {
  const at = target.lastIndexOf(':');
  const where = target.startsWith('unix:')
    ? { path: target.slice('unix:'.length) }
    : { host: target.slice(0, at), port: Number(target.slice(at + 1)) };
  const sockets = new Set<Socket>();
  const bytes = { up: 0, down: 0 };
  const held: Record<Direction, (() => void)[] | undefined> = { up: undefined, down: undefined };
  const watchers = new Set<() => void>();

  const pump = async (from: Socket, to: Socket, direction: Direction): Promise<void> => {
    // Chunks are written `delayMs` after they came, in order; reading goes on meanwhile within the buffer.
    let pending = 0;
    let last: Promise<void> = Promise.resolve();
    let room: (() => void) | undefined;
    for await (const chunk of from as AsyncIterable<Buffer>) {
      const due = new Promise<void>((resolve) => {
        if (delayMs > 0) setTimeout(resolve, delayMs);
        else resolve();
      });
      pending += chunk.length;
      last = last.then(async () => {
        await due;
        const waiting = held[direction];
        if (waiting) await new Promise<void>((resolve) => waiting.push(resolve));
        if (!to.write(chunk)) await new Promise<void>((resolve) => drained(to, resolve));
        pending -= chunk.length;
        bytes[direction] += chunk.length;
        for (const watcher of watchers) watcher();
        room?.();
      });
      while (pending >= (delayMs > 0 ? 64 * bufferBytes : bufferBytes))
        await new Promise<void>((resolve) => {
          room = resolve;
        });
    }
    await last;
    to.end();
  };

  const server = createServer({ highWaterMark: bufferBytes, allowHalfOpen: true }, (client) => {
    const upstream = connect({
      ...where,
      allowHalfOpen: true,
      readableHighWaterMark: bufferBytes,
      writableHighWaterMark: bufferBytes,
    } as never);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('close', () => sockets.delete(socket));
    }
    // A connection that breaks on one side is broken on the other.
    pump(client, upstream, 'up').catch(() => upstream.destroy());
    pump(upstream, client, 'down').catch(() => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(socketPath ?? { port: 0, host: '127.0.0.1' }, resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    address: socketPath ? `unix:${socketPath}` : `127.0.0.1:${(server.address() as { port: number }).port}`,
    bytes,
    hold(direction) {
      held[direction] ??= [];
    },
    release(direction) {
      const waiting = held[direction] ?? [];
      held[direction] = undefined;
      for (const resolve of waiting) resolve();
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
  };
}

/** Calls back when a socket takes bytes again, or is gone. */
function drained(socket: Socket, done: () => void): void {
  const either = () => {
    socket.off('drain', either);
    socket.off('close', either);
    done();
  };
  socket.on('drain', either);
  socket.on('close', either);
}
