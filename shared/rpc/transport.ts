// Channels and servers with the windows open. grpc-js leaves the server's receive windows at 64 KB
// (grpc-node #3058), which caps a push at 3 MB/s over a link of 20 ms; here both the stream's and the
// connection's window are FLOW_CONTROL_WINDOW_BYTES on both sides.
import * as grpc from '@grpc/grpc-js';
import { sentence, UserError } from '../errors.js';
import { CONTROL_MESSAGE_MAX_BYTES, FLOW_CONTROL_WINDOW_BYTES } from '../limits.js';
import type { MembershipClient } from './generated/gradloom/v1/Membership.js';
import type { ReplicationClient } from './generated/gradloom/v1/Replication.js';
import type { RowsClient } from './generated/gradloom/v1/Rows.js';
import {
  cutConnections,
  keepConnections,
  openConnectionWindows,
  openStreamWindows,
  passFrames,
  readWholeMessages,
} from './grpc-internals.js';
import type { ParametersStreams } from './in-process.js';
import { MembershipStub, ParametersStub, ReplicationStub, RowsStub } from './proto.js';

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
    // Without this grpc-js keeps a megabyte of each call for a retry, and says of a message that waits in there that
    // it has been written: its frame would be used again too early.
    'grpc.retry_buffer_size': 0,
    'grpc.per_rpc_retry_buffer_size': 0,
  };
}

/** A connection of its own to the Parameters service of a server; it is made when the first stream is opened. */
export function connectParameters(address: string, peerDeadlineMs: number): ParametersStreams {
  return new ParametersStub(
    address,
    grpc.credentials.createInsecure(),
    channelOptions(peerDeadlineMs),
  ) as unknown as ParametersStreams;
}

/** What opens the streams of a participant to the keeper: a channel, or a simulated one. */
export type MembershipStreams = Pick<MembershipClient, 'Serve' | 'Work' | 'close'>;

/** A connection of its own to the Membership service of the keeper. */
export function connectMembership(address: string, peerDeadlineMs: number): MembershipClient {
  return new MembershipStub(address, grpc.credentials.createInsecure(), channelOptions(peerDeadlineMs));
}

/** A connection of its own to the Rows service of a server. */
export function connectRows(address: string, peerDeadlineMs: number): RowsClient {
  return new RowsStub(address, grpc.credentials.createInsecure(), channelOptions(peerDeadlineMs));
}

/** What opens the stream of a shard's primary to a backup: a channel, or a simulated one. */
export type ReplicationStreams = Pick<ReplicationClient, 'Replicate' | 'close'>;

/** A connection of its own to the Replication service of a server. */
export function connectReplication(address: string, peerDeadlineMs: number): ReplicationStreams {
  return new ReplicationStub(address, grpc.credentials.createInsecure(), channelOptions(peerDeadlineMs));
}

/** A gRPC server whose streams have open receive windows. */
export function createServer(peerDeadlineMs: number): grpc.Server {
  const server = new grpc.Server({
    ...common,
    ...keepalive(peerDeadlineMs),
    interceptors: [passFrames, readWholeMessages],
  });
  openStreamWindows(server, FLOW_CONTROL_WINDOW_BYTES);
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
  openConnectionWindows(server, FLOW_CONTROL_WINDOW_BYTES);
  keepConnections(server);
  return port;
}

/** Ends a server whose streams were ended: after a while whoever has not answered is cut off. */
export async function shutDown(server: grpc.Server, graceMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const force = setTimeout(() => {
      server.forceShutdown();
      cutConnections(server);
    }, graceMs);
    server.tryShutdown(() => {
      clearTimeout(force);
      resolve();
    });
  });
}
