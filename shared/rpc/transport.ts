// Channels and servers with the windows open. grpc-js leaves the server's receive windows at 64 KB
// (grpc-node #3058), which caps a push at 3 MB/s over a link of 20 ms; here both the stream's and the
// connection's window are FLOW_CONTROL_WINDOW_BYTES on both sides.
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import * as grpc from '@grpc/grpc-js';
import { sentence, UserError } from '../errors.js';
import { CONTROL_MESSAGE_MAX_BYTES, FLOW_CONTROL_WINDOW_BYTES } from '../limits.js';
import { Framed } from './frame.js';

// What grpc-js would print on stderr reaches us as errors, which are told once; who looks into grpc-js itself
// sets its own variable.
if (!process.env.GRPC_VERBOSITY) grpc.setLogVerbosity(grpc.logVerbosity.NONE);

/** Time after which a peer that answers nothing is given up, split between silence and the probe's answer. */
function keepalive(peerDeadlineMs: number): grpc.ChannelOptions {
  return {
    'grpc.keepalive_time_ms': Math.ceil(peerDeadlineMs / 2),
    'grpc.keepalive_timeout_ms': Math.ceil(peerDeadlineMs / 2),
    'grpc.keepalive_permit_without_calls': 1,
  };
}

const common: grpc.ChannelOptions = {
  'grpc.max_receive_message_length': CONTROL_MESSAGE_MAX_BYTES,
  'grpc.max_send_message_length': CONTROL_MESSAGE_MAX_BYTES,
};

/**
 * Options of a channel. Each channel has a connection of its own: bulk both ways on one HTTP/2 connection
 * of Node can stop for good, because neither end reads while its own write is pending.
 */
export function channelOptions(peerDeadlineMs: number): grpc.ChannelOptions {
  return {
    ...common,
    ...keepalive(peerDeadlineMs),
    'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW_BYTES,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.enable_retries': 0,
  };
}

/** The parts of grpc-js's server that have no public door. Checked when used, so a change is noticed. */
interface ServerInternals {
  http2Servers: Map<Http2Server, unknown>;
  commonServerOptions: { settings?: { initialWindowSize?: number } };
}

interface CallInternals {
  serializeMessage(value: unknown): Buffer;
}

/** Sends bulk messages in the frame that they were made in, where grpc-js would copy each into a new one. */
const passFrames: grpc.ServerInterceptor = (_method, call) => {
  const internals = call as unknown as CallInternals;
  const serialize = internals.serializeMessage;
  if (typeof serialize !== 'function')
    throw new Error(
      'this version of @grpc/grpc-js frames its messages elsewhere; bulk would be copied twice',
    );
  internals.serializeMessage = (value) =>
    value instanceof Framed ? value.framed : serialize.call(internals, value);
  // The call itself: another one around it would hide from it when a stream ends in an error.
  return call as grpc.ServerInterceptingCall;
};

/** A gRPC server whose streams have open receive windows. */
export function createServer(peerDeadlineMs: number): grpc.Server {
  const server = new grpc.Server({
    ...common,
    ...keepalive(peerDeadlineMs),
    interceptors: [passFrames],
  });
  const internals = server as unknown as ServerInternals;
  if (typeof internals.commonServerOptions !== 'object')
    throw new Error(
      'this version of @grpc/grpc-js keeps its HTTP/2 options elsewhere; the windows cannot be opened',
    );
  internals.commonServerOptions.settings = {
    ...internals.commonServerOptions.settings,
    initialWindowSize: FLOW_CONTROL_WINDOW_BYTES,
  };
  return server;
}

/**
 * Binds a server to HOST:PORT and returns the port (port 0 picks a free one).
 * Throws UserError where the address is taken or not of this machine.
 */
export async function bind(server: grpc.Server, address: string): Promise<number> {
  let port: number;
  try {
    port = await new Promise<number>((resolve, reject) =>
      server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
  } catch (error) {
    const reason = sentence(error);
    const why = reason.includes('EADDRINUSE')
      ? 'that port is taken; choose another, or port 0 for any free one'
      : reason.includes('EADDRNOTAVAIL')
        ? 'that address is not one of this machine; use one that `ip address` shows'
        : reason;
    throw new UserError(`cannot listen on ${address}: ${why}`);
  }
  const { http2Servers } = server as unknown as ServerInternals;
  for (const http2Server of http2Servers.keys())
    http2Server.on('session', (session: ServerHttp2Session) =>
      session.setLocalWindowSize(FLOW_CONTROL_WINDOW_BYTES),
    );
  return port;
}
