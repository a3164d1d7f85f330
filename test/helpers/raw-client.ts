// A client that says whatever it is told to, right or wrong, and keeps what comes back.
import * as grpc from '@grpc/grpc-js';
import type { ExecutionContext } from 'ava';
import { schemaHash } from '../../shared/blocks/manifest.js';
import { Framed, FramePool } from '../../shared/rpc/frame.js';
import { MembershipStub, ParametersStub, PROTOCOL_VERSION } from '../../shared/rpc/proto.js';
import { refusalLabel } from '../../shared/rpc/refusal.js';
import { channelOptions } from '../../shared/rpc/transport.js';
import type { RunSpec } from '../../shared/run/spec.js';
import { PEER_DEADLINE_MS } from './mesh.js';

type Reply = Record<string, never> & { refusal?: { code: number; sentence: string } };

export interface RawStream {
  /** Sends a message, or bytes as they are. */
  send(message: object | Buffer): void;
  /** The next reply. */
  next(): Promise<Reply>;
  /** The refusal that comes, whatever comes before it. */
  refusal(): Promise<{ label: string; sentence: string }>;
  /** The status with which the stream ends. */
  readonly status: Promise<grpc.StatusObject>;
  end(): void;
  cancel(): void;
}

export function openRaw(
  t: Pick<ExecutionContext, 'teardown'>,
  address: string,
  method: 'Push' | 'Pull' | 'Agree' | 'Work' | 'Serve',
): RawStream {
  const Stub = method === 'Push' || method === 'Pull' || method === 'Agree' ? ParametersStub : MembershipStub;
  const client = new Stub(address, grpc.credentials.createInsecure(), {
    ...channelOptions(PEER_DEADLINE_MS),
    // What is too large is for the server to say.
    'grpc.max_send_message_length': -1,
  });
  const call = (client as unknown as Record<string, () => grpc.ClientDuplexStream<object, Reply>>)[method]();
  const replies: Reply[] = [];
  let wake: (() => void) | undefined;
  let over = false;
  const status = new Promise<grpc.StatusObject>((resolve) => {
    call.on('status', (each) => {
      resolve(each);
    });
  });
  const changed = () => wake?.();
  call.on('data', (reply: Reply) => {
    replies.push(reply);
    changed();
  });
  call.on('end', () => {
    over = true;
    changed();
  });
  // How a stream ends is told by `status`.
  call.on('error', () => {
    over = true;
    changed();
  });
  t.teardown(() => {
    call.cancel();
    client.close();
  });
  const next = async (): Promise<Reply> => {
    while (replies.length === 0) {
      if (over) throw new Error('the stream ended without another reply');
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return replies.shift() as Reply;
  };
  return {
    send: (message) => void call.write(Buffer.isBuffer(message) ? framed(message) : message),
    next,
    async refusal() {
      for (;;) {
        const { refusal } = await next();
        if (refusal) return { label: refusalLabel(refusal.code), sentence: refusal.sentence };
      }
    },
    status,
    end: () => call.end(),
    cancel: () => call.cancel(),
  };
}

/** The hello of a run's worker 0, with changes. */
export function helloOf(run: string, spec: RunSpec, changes: object = {}): { hello: object } {
  return {
    hello: {
      protocolVersion: PROTOCOL_VERSION,
      run,
      view: 1,
      worker: 0,
      schemaHash: schemaHash(spec.tensors),
      observer: false,
      ...changes,
    },
  };
}

/** Bytes in the frame in which a bulk message would travel. */
function framed(bytes: Buffer): Framed {
  const frame = Buffer.concat([Buffer.alloc(5), bytes]);
  frame.writeUInt32BE(bytes.length, 1);
  return new Framed(frame, new FramePool(), frame);
}
