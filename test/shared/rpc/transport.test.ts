// The windows: bulk in both directions never stops for good however small the buffers between, and a link with
// latency is filled. Through a proxy, and in bytes instead of seconds.
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import { HostedRun } from '../../../server/hosted-run.js';
import { reportTo } from '../../../server/metrics.js';
import { parametersHandlers } from '../../../server/parameters-service.js';
import { Exchange } from '../../../shared/client/exchange.js';
import { loadKernels } from '../../../shared/kernels/load.js';
import { BLOCK_ELEMENTS_MAX, FLOW_CONTROL_WINDOW_BYTES, PUSH_CREDIT_BYTES } from '../../../shared/limits.js';
import { createMetrics } from '../../../shared/metrics/metrics.js';
import { optimizerSpec } from '../../../shared/optimizer/spec.js';
import { encodeBulk } from '../../../shared/rpc/bulk.js';
import { FIELD, parametersService } from '../../../shared/rpc/proto.js';
import { bind, channelOptions, createServer } from '../../../shared/rpc/transport.js';
import { layoutOf, type RunSpec } from '../../../shared/run/spec.js';
import { temporaryFolder } from '../../helpers/folder.js';
import { openServer, PEER_DEADLINE_MS, startWorker, startWorkers } from '../../helpers/mesh.js';
import { openProxy } from '../../helpers/proxy.js';
import { until } from '../../helpers/server.js';
import { bitsOfAll, finiteHeader, makeSpec } from '../../helpers/shards.js';
import { trainInOrder } from '../../helpers/training.js';

const MiB = 1024 ** 2;

/** 16 MiB of fp32 in 16 blocks. */
const large = makeSpec({
  workers: 1,
  codec: 'fp32',
  optimizer: optimizerSpec('sgd', 0.01),
  tensors: [{ name: 'w', shape: [16, BLOCK_ELEMENTS_MAX], kind: 'trainable' }],
});

/**
 * A server of one run on a Unix socket, whose kernel buffers are small and stay so, where TCP's grow to megabytes
 * and hide what this is about.
 */
async function openSmallServer(t: ExecutionContext, spec: RunSpec) {
  const address = `unix:${join(await temporaryFolder(t), 'server')}`;
  const layout = layoutOf(spec);
  const view = {
    number: 1,
    fromStep: 0,
    servers: [{ id: 0, address, weight: 1 }],
    workers: [{ rank: 0, label: 'w' }],
    placement: layout.blocks.map(() => 0),
    rowPlacement: [],
    departed: null,
    shards: [],
    term: 0,
    consistency: 1 as const,
    staleness: 0,
  };
  const metrics = reportTo(createMetrics('server'));
  const owned = layout.blocks.map(({ index }) => index);
  const run = new HostedRun('small', spec, view, layout, owned, metrics, () => 0);
  const server = createServer(PEER_DEADLINE_MS);
  server.addService(
    parametersService as unknown as grpc.ServiceDefinition,
    parametersHandlers(new Map([['small', new Map([[0, run]])]]), metrics, () => undefined) as never,
  );
  await bind(server, address);
  t.teardown(() => server.forceShutdown());
  return { address, layout, view, run };
}

for (const [title, options] of [
  ['buffers of 4 KiB', { bufferBytes: 4 * 1024 }],
  ['buffers of 16 KiB and 2 ms each way', { bufferBytes: 16 * 1024, delayMs: 2 }],
] as const)
  test(`16 MiB up and down at once through ${title} arrive`, async (t) => {
    const { address, layout, view } = await openSmallServer(t, large);
    const socketPath = join(await temporaryFolder(t), 'proxy');
    const proxy = await openProxy(t, { target: address, socketPath, ...options });
    const kernels = loadKernels({ bytes: 36 * MiB });
    const gradients = kernels.firstFreeByte;
    const parameters = gradients + 16 * MiB;
    const exchange = await Exchange.open({
      run: 'small',
      rank: 0,
      spec: large,
      layout,
      view: { ...view, servers: [{ id: 0, address: proxy.address, weight: 1 }] },
      memory: { kernels, gradients, parameters, scratch: parameters + 16 * MiB },
      peerDeadlineMs: PEER_DEADLINE_MS,
      onWaiting: () => undefined,
    });
    t.teardown(() => exchange.close());
    await exchange.initialize();
    for (let step = 0; step < 2; step++)
      t.like(await exchange.pushPull(finiteHeader), { bytesPushed: 16 * MiB, bytesPulled: 16 * MiB });
    t.true(proxy.bytes.up >= 48 * MiB);
    t.true(proxy.bytes.down >= 32 * MiB);
  });

test('two workers behind delays of their own get the bits of a shard driven by hand', async (t) => {
  const server = await openServer(t);
  const proxies = [
    await openProxy(t, { target: server.address, bufferBytes: 1024, delayMs: 1 }),
    await openProxy(t, { target: server.address, bufferBytes: 1024, delayMs: 4 }),
  ];
  const spec = makeSpec();
  let next = 0;
  const workers = await startWorkers({
    address: server.address,
    spec,
    addressOf: () => proxies[next++ % 2].address,
  });
  for (let step = 0; step < 4; step++) await Promise.all(workers.map((worker) => worker.step(step)));
  t.deepEqual(await workers[0].fetchBits(4), bitsOfAll(trainInOrder(spec, 1)));
  for (const worker of workers) worker.leave();
});

test('a push fills a window of megabytes without any answer of the server, and stops at its credit', async (t) => {
  const server = await openServer(t);
  const proxy = await openProxy(t, { target: server.address, delayMs: 20 });
  const spec = {
    ...large,
    tensors: [{ name: 'w', shape: [24, BLOCK_ELEMENTS_MAX], kind: 'trainable' as const }],
  };
  const worker = await startWorker({ address: server.address, spec, addressOf: () => proxy.address });
  const before = proxy.bytes.up;
  // Neither window updates nor acknowledgements come back: what goes up is what the windows let out.
  proxy.hold('down');
  const step = worker.step(0);
  await proxy.reached('up', before + FLOW_CONTROL_WINDOW_BYTES);
  t.true(proxy.bytes.up - before < FLOW_CONTROL_WINDOW_BYTES + 64 * 1024);
  t.true(worker.exchange.inFlightBytes <= PUSH_CREDIT_BYTES);
  t.true(worker.exchange.inFlightBytes >= FLOW_CONTROL_WINDOW_BYTES - 2 * MiB);
  proxy.release('down');
  t.is((await step).bytesPushed, 24 * MiB);
  // The last release travels on another connection than the last block.
  await until(() => worker.exchange.inFlightBytes === 0);
  worker.leave();
});

test('a pull fills a window of megabytes while nothing of the client comes through', async (t) => {
  const server = await openServer(t);
  const proxy = await openProxy(t, { target: server.address, delayMs: 20 });
  const worker = await startWorker({ address: server.address, spec: large, addressOf: () => proxy.address });
  const before = proxy.bytes.down;
  const fetch = worker.fetchBits(0);
  // The request is small; once the first of the answer is there, the client is silenced.
  await proxy.reached('down', before + 1);
  proxy.hold('up');
  await proxy.reached('down', before + 4 * MiB);
  proxy.release('up');
  t.is((await fetch).length, 16 * BLOCK_ELEMENTS_MAX);
  worker.leave();
});

test('every channel has a connection of its own', async (t) => {
  const peers = new Set<string>();
  const server = createServer(PEER_DEADLINE_MS);
  const bytes = (value: Buffer) => value;
  const path = '/test.Test/Call';
  server.addService(
    {
      call: {
        path,
        requestStream: false,
        responseStream: false,
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    },
    {
      call: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
        peers.add(call.getPeer());
        done(null, Buffer.alloc(0));
      },
    },
  );
  const port = await bind(server, '127.0.0.1:0');
  t.teardown(() => server.forceShutdown());
  for (let count = 0; count < 3; count++) {
    const client = new grpc.Client(
      `127.0.0.1:${port}`,
      grpc.credentials.createInsecure(),
      channelOptions(PEER_DEADLINE_MS),
    );
    t.teardown(() => client.close());
    await new Promise<void>((resolve, reject) =>
      client.makeUnaryRequest(
        path,
        bytes,
        bytes,
        encodeBulk(FIELD.block, { step: 0, block: 0, codec: 1, scale: 1 }, bytes(Buffer.alloc(1))),
        (error) => (error ? reject(error) : resolve()),
      ),
    );
  }
  t.is(peers.size, 3);
});
