// The doors that grpc-js lacks, in one place: open receive windows on a server, an end to its connections, messages sent
// in the frame that they were made in, messages received into memory that is used again, streams that push them whole.
// Each looks first whether grpc-js still is what it was written for, and throws when a newer version is not, so that
// speed is never lost in silence.
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type * as grpc from '@grpc/grpc-js';
import { CompressionFilter } from '@grpc/grpc-js/build/src/compression-filter.js';
import { StreamDecoder } from '@grpc/grpc-js/build/src/stream-decoder.js';
import subchannelCalls from '@grpc/grpc-js/build/src/subchannel-call.js';
import { Framed } from './frame.js';
import { isWhole, MessageReader, pushWhole } from './receive.js';

function expectInternals(holds: boolean, what: string): void {
  if (!holds)
    throw new Error(`this version of @grpc/grpc-js is not the one that gradloom was made for: ${what}`);
}

interface ServerInternals {
  http2Servers: Map<Http2Server, unknown>;
  commonServerOptions: { settings?: { initialWindowSize?: number } };
}

/**
 * Sets the receive window of each stream; to be called before the server is bound. grpc-js leaves it at 64 KB
 * (grpc-node #3058), which caps a push at 3 MB/s over a link of 20 ms.
 */
export function openStreamWindows(server: grpc.Server, windowBytes: number): void {
  const internals = server as unknown as ServerInternals;
  expectInternals(
    typeof internals.commonServerOptions === 'object',
    'its HTTP/2 options lie elsewhere, and receive windows cannot be opened',
  );
  internals.commonServerOptions.settings = {
    ...internals.commonServerOptions.settings,
    initialWindowSize: windowBytes,
  };
}

/** Sets the receive window of each connection; to be called when the server is bound. */
export function openConnectionWindows(server: grpc.Server, windowBytes: number): void {
  const { http2Servers } = server as unknown as ServerInternals;
  expectInternals(http2Servers instanceof Map, 'its listeners lie elsewhere');
  for (const http2Server of http2Servers.keys())
    http2Server.on('session', (session: ServerHttp2Session) => session.setLocalWindowSize(windowBytes));
}

const connections = new WeakMap<grpc.Server, Set<Socket>>();

/** Keeps the connections of a server, for `cutConnections`; to be called when the server is bound. */
export function keepConnections(server: grpc.Server): void {
  const { http2Servers } = server as unknown as ServerInternals;
  expectInternals(http2Servers instanceof Map, 'its listeners lie elsewhere');
  const sockets = new Set<Socket>();
  connections.set(server, sockets);
  for (const http2Server of http2Servers.keys())
    http2Server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
}

/**
 * Cuts all connections of a server. grpc-js's `forceShutdown` leaves those open whose session was asked to close before:
 * Node's HTTP/2 then waits for the other end, which may stand still for ever.
 */
export function cutConnections(server: grpc.Server): void {
  for (const socket of connections.get(server) ?? []) socket.destroy();
}

/** On a server: sends bulk messages in their frame, where grpc-js would copy each into a new one. */
export const passFrames: grpc.ServerInterceptor = (_method, call) => {
  const internals = call as unknown as { serializeMessage(value: unknown): Buffer };
  const serialize = internals.serializeMessage;
  expectInternals(typeof serialize === 'function', 'servers frame their messages elsewhere');
  internals.serializeMessage = (value) =>
    value instanceof Framed ? value.framed : serialize.call(internals, value);
  // The call itself: another one around it would hide from it when a stream ends in an error.
  return call as grpc.ServerInterceptingCall;
};

const framedOf = new WeakMap<Buffer, Buffer>();

/** The bytes of a message, whose frame a client's stream will find. */
export function messageOf(framed: Framed): Buffer {
  const { message } = framed;
  framedOf.set(message, framed.framed);
  return message;
}

interface Written {
  message: Buffer;
  flags?: number;
}

/** On clients: the same. Messages of others, and of channels with compression, go their usual way. */
function passFramesOfClients(): void {
  const filter = CompressionFilter.prototype as unknown as {
    sendMessage(this: { currentCompressionAlgorithm: string }, message: Promise<Written>): Promise<Written>;
  };
  const usual = filter.sendMessage;
  expectInternals(typeof usual === 'function', 'clients frame their messages elsewhere');
  filter.sendMessage = async function (written) {
    const { message, flags } = await written;
    const framed = this.currentCompressionAlgorithm === 'identity' ? framedOf.get(message) : undefined;
    return framed ? { message: framed, flags } : usual.call(this, written);
  };
}

/** On both: puts received messages together in memory that is used again. */
function receiveIntoPool(): void {
  const decoder = StreamDecoder.prototype as unknown as {
    maxReadMessageLength: number;
    write(this: { maxReadMessageLength: number }, piece: Buffer): Buffer[];
  };
  expectInternals(
    typeof decoder.write === 'function' &&
      'maxReadMessageLength' in (new StreamDecoder(-1) as unknown as object),
    'messages are put together elsewhere',
  );
  const readers = new WeakMap<object, MessageReader>();
  decoder.write = function (piece) {
    if (isWhole(piece)) return [piece];
    let reader = readers.get(this);
    if (!reader) {
      reader = new MessageReader(this.maxReadMessageLength);
      readers.set(this, reader);
    }
    return reader.write(piece);
  };
}

/** What both sides' calls read from. */
interface Reading {
  decoder: { maxReadMessageLength: number };
}

function readWhole(call: Reading, stream: Readable | undefined): void {
  expectInternals(
    typeof stream?.push === 'function' && typeof call.decoder?.maxReadMessageLength === 'number',
    'calls read their messages elsewhere',
  );
  pushWhole(stream as Readable, call.decoder.maxReadMessageLength);
}

/** On a server: has the stream of each call put its messages together. */
export const readWholeMessages: grpc.ServerInterceptor = (_method, call) => {
  const internals = call as unknown as Reading & { stream?: Readable };
  readWhole(internals, internals.stream);
  return call as grpc.ServerInterceptingCall;
};

/** On clients: the same. */
function readWholeMessagesOfClients(): void {
  const calls = subchannelCalls as unknown as {
    Http2SubchannelCall: new (...given: unknown[]) => Reading & { http2Stream?: Readable };
  };
  expectInternals(typeof calls.Http2SubchannelCall === 'function', 'clients make their calls elsewhere');
  calls.Http2SubchannelCall = class extends calls.Http2SubchannelCall {
    constructor(...given: unknown[]) {
      super(...given);
      readWhole(this, this.http2Stream);
    }
  };
}

passFramesOfClients();
readWholeMessagesOfClients();
receiveIntoPool();
