// The server end of the push stream that bench exchange measures: takes contributions over our transport and
// deserializers, checks each checksum, drops them, and says at the end how many payload bytes it had.
import type * as grpc from '@grpc/grpc-js';
import { collectForBulk, onParentGone, printEvent } from '../../shared/process.js';
import { type Bulk, checksumMatches } from '../../shared/rpc/bulk.js';
import type { PushMessage__Output } from '../../shared/rpc/generated/gradloom/v1/PushMessage.js';
import type { PushReply } from '../../shared/rpc/generated/gradloom/v1/PushReply.js';
import { parametersService } from '../../shared/rpc/proto.js';
import { recycle } from '../../shared/rpc/receive.js';
import { bind, createServer } from '../../shared/rpc/transport.js';

collectForBulk();
const server = createServer(60_000);
const handlers = {
  Push(call: grpc.ServerDuplexStream<PushMessage__Output, PushReply>) {
    let bytes = 0;
    call.write({ ready: { creditBytes: 0 } });
    call.on('data', (message: PushMessage__Output) => {
      const bulk = message.contribution as unknown as Bulk;
      if (!checksumMatches(bulk)) throw new Error(`block ${bulk.block} is not what was sent`);
      bytes += bulk.payload.byteLength;
      recycle(bulk.payload);
    });
    call.on('end', () => {
      call.write({ ack: { step: 0, blocks: [], releasedBytes: bytes } });
      call.end();
    });
    call.on('error', () => call.end());
  },
};
const { Push: definition } = parametersService;
(server as unknown as { addService(service: unknown, handlers: unknown): void }).addService(
  { Push: definition },
  handlers,
);
const port = await bind(server, '127.0.0.1:0');
onParentGone(() => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
printEvent({ event: 'ready', address: `127.0.0.1:${port}` });
