// One push stream at full speed: contributions encoded (copied into their message, with a checksum), sent over our
// transport to a process that deserializes and checks them, and drops them. No kernels, no shard.
import * as grpc from '@grpc/grpc-js';
import { codecs } from '../../shared/codec/registry.js';
import { STREAM_UNSENT_MAX } from '../../shared/limits.js';
import { frameBulk } from '../../shared/rpc/bulk.js';
import { type Framed, FramePool } from '../../shared/rpc/frame.js';
import type { PushReply__Output } from '../../shared/rpc/generated/gradloom/v1/PushReply.js';
import { FIELD, ParametersStub } from '../../shared/rpc/proto.js';
import { channelOptions } from '../../shared/rpc/transport.js';

type Call = grpc.ClientDuplexStream<Framed, PushReply__Output>;

/** Payload bytes a second of `count` contributions of `payload`, from the first to the sink's last word. */
export async function measurePush(address: string, payload: Uint8Array, count: number): Promise<number> {
  const client = new ParametersStub(address, grpc.credentials.createInsecure(), channelOptions(60_000));
  const call = client.Push() as unknown as Call;
  try {
    await new Promise<void>((resolve, reject) => {
      call.once('data', () => resolve());
      call.once('error', reject);
    });
    const started = performance.now();
    const done = new Promise<number>((resolve, reject) => {
      call.on('data', (reply: PushReply__Output) => resolve(reply.ack?.releasedBytes ?? 0));
      call.on('error', reject);
    });
    const frames = new FramePool();
    let block = 0;
    let unsent = 0;
    const fill = () => {
      while (unsent < STREAM_UNSENT_MAX && block < count) {
        unsent++;
        const fields = { step: 0, block: block++, codec: codecs.fp32.id, scale: 1 };
        const message = frameBulk(FIELD.contribution, fields, payload, frames);
        call.write(message, () => {
          unsent--;
          message.release();
          fill();
        });
        if (block === count) call.end();
      }
    };
    fill();
    const bytes = await done;
    if (bytes !== count * payload.byteLength)
      throw new Error(`the sink had ${bytes} bytes of ${count * payload.byteLength}`);
    return bytes / ((performance.now() - started) / 1000);
  } finally {
    client.close();
  }
}
