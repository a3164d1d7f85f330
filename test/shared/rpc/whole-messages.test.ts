// Calls between a real server and a real client whose streams push whole messages, and others who send to them what
// no client of gRPC would: what arrives, what is refused, and that a reader who stands still stops the sender.
import {
  connect,
  createServer as createHttp2Server,
  type Http2Server,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { CONTROL_MESSAGE_MAX_BYTES, FLOW_CONTROL_WINDOW_BYTES } from '../../../shared/limits.js';
import { bind, channelOptions, createServer } from '../../../shared/rpc/transport.js';
import { framed, headOf } from '../../helpers/frames.js';
import { PEER_DEADLINE_MS } from '../../helpers/mesh.js';
import { until } from '../../helpers/server.js';

const asIs = (bytes: Buffer) => bytes;
const Call: grpc.MethodDefinition<Buffer, Buffer> = {
  path: '/test.Bytes/Call',
  requestStream: true,
  responseStream: true,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
};
const Stub = grpc.makeGenericClientConstructor({ Call }, 'Bytes');
type Duplex = grpc.ServerDuplexStream<Buffer, Buffer>;

/** A server whose only method is this; with the address of it, and the streams that it was given. */
async function openServer(t: ExecutionContext, handler: (call: Duplex) => void) {
  const server = createServer(PEER_DEADLINE_MS);
  server.addService({ Call } as grpc.ServiceDefinition, { Call: handler });
  const address = `127.0.0.1:${await bind(server, '127.0.0.1:0')}`;
  t.teardown(() => server.forceShutdown());
  const streams: ServerHttp2Stream[] = [];
  const { http2Servers } = server as unknown as { http2Servers: Map<Http2Server, unknown> };
  for (const http2Server of http2Servers.keys()) http2Server.on('stream', (stream) => streams.push(stream));
  return { address, streams };
}

function openCall(t: ExecutionContext, address: string, options: grpc.ChannelOptions = {}) {
  const client = new Stub(address, grpc.credentials.createInsecure(), {
    ...channelOptions(PEER_DEADLINE_MS),
    'grpc.max_send_message_length': -1,
    ...options,
  });
  const call = (client as unknown as { Call(): grpc.ClientDuplexStream<Buffer, Buffer> }).Call();
  t.teardown(() => {
    call.cancel();
    client.close();
  });
  call.on('error', (error: grpc.ServiceError) => t.log(error.message));
  const status = new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));
  return { call, status };
}

const collect = async (call: grpc.ClientDuplexStream<Buffer, Buffer>): Promise<Buffer[]> => {
  const got: Buffer[] = [];
  for await (const message of call) got.push(message);
  return got;
};

/** What a client without manners writes: these bytes, as the body of a call. */
function openBody(t: ExecutionContext, address: string) {
  const session = connect(`http://${address}`);
  t.teardown(() => session.destroy());
  const body = session.request({
    ':method': 'POST',
    ':path': Call.path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  body.on('error', (error) => t.log(error.message));
  body.resume();
  return { session, body };
}

test('messages of any size and number come to a server and back', async (t) => {
  const { address } = await openServer(t, (call) => {
    call.on('data', (message: Buffer) => call.write(message));
    call.on('end', () => call.end());
  });
  const bytes = fc.oneof(fc.nat(100), fc.nat(70_000), fc.nat(2 ** 20));
  await fc.assert(
    fc.asyncProperty(fc.array(bytes, { maxLength: 20 }), async (lengths) => {
      const { call, status } = openCall(t, address);
      const sent = lengths.map((length, i) => Buffer.alloc(length, i + 1));
      for (const message of sent) call.write(message);
      call.end();
      const got = await collect(call);
      t.is(got.length, sent.length);
      t.true(got.every((message, i) => message.equals(sent[i])));
      t.is((await status).code, grpc.status.OK);
    }),
    { seed: 20_261_121, numRuns: 30 },
  );
});

test('a server refuses a message above the limit when it is announced', async (t) => {
  const { address } = await openServer(t, (call) => call.on('data', () => undefined));
  const { call, status } = openCall(t, address);
  call.write(Buffer.alloc(CONTROL_MESSAGE_MAX_BYTES + 1));
  call.resume();
  const { code, details } = await status;
  t.is(code, grpc.status.RESOURCE_EXHAUSTED);
  t.regex(details, /at most 8388608 bytes, got one of 8388609/);

  const { body } = openBody(t, address);
  body.write(headOf(2 ** 32 - 1));
  const headers = await new Promise<Record<string, unknown>>((resolve) => body.on('response', resolve));
  t.is(headers['grpc-status'], String(grpc.status.RESOURCE_EXHAUSTED));
});

test('a client refuses a message above its limit, after those before it', async (t) => {
  const { address } = await openServer(t, (call) => {
    call.write(Buffer.alloc(70_000));
    call.write(Buffer.alloc(70_001));
  });
  const { call, status } = openCall(t, address, { 'grpc.max_receive_message_length': 70_000 });
  call.resume();
  const { code, details } = await status;
  t.is(code, grpc.status.RESOURCE_EXHAUSTED);
  t.regex(details, /at most 70000 bytes, got one of 70001/);
});

test('a body that ends within a message gives the messages before it and an end', async (t) => {
  const got: number[] = [];
  const ended = new Promise<void>((resolve) => {
    void openServer(t, (call) => {
      call.on('data', (message: Buffer) => got.push(message.length));
      call.on('end', () => {
        call.end();
        resolve();
      });
    }).then(({ address }) => {
      const { body } = openBody(t, address);
      body.write(framed(new Uint8Array(50_000)));
      body.end(framed(new Uint8Array(50_000)).subarray(0, 40_000));
    });
  });
  await ended;
  t.deepEqual(got, [50_000]);
});

test('an answer that ends within a message gives the messages before it and the status', async (t) => {
  const server = createHttp2Server();
  t.teardown(() => server.close());
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.write(framed(new Uint8Array(50_000)));
    stream.end(framed(new Uint8Array(50_000)).subarray(0, 40_000));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { call, status } = openCall(t, `127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.deepEqual(
    (await collect(call)).map((message) => message.length),
    [50_000],
  );
  t.is((await status).code, grpc.status.OK);
});

test('a page of HTML is told by its status, not by the length that it seems to announce', async (t) => {
  const server = createHttp2Server();
  t.teardown(() => server.close());
  server.on('stream', (stream) => {
    stream.respond({ ':status': 503, 'content-type': 'text/html' });
    stream.end('<html>not now</html>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { call, status } = openCall(t, `127.0.0.1:${(server.address() as AddressInfo).port}`);
  call.resume();
  t.like(await status, { code: grpc.status.UNAVAILABLE, details: 'Received HTTP status code 503' });
});

test('a server that does not read stops the sender when the window is full, and gets all when it reads', async (t) => {
  const calls: Duplex[] = [];
  const { address, streams } = await openServer(t, (call) => calls.push(call));
  const { body, session } = openBody(t, address);
  const messages = 40;
  const bytes = 2 ** 20;
  let written = 0;
  for (let i = 0; i < messages; i++)
    body.write(framed(new Uint8Array(bytes).fill(i + 1)), () => {
      written++;
    });
  body.end();
  await until(() => streams.length === 1 && streams[0].state.localWindowSize === 0);
  // Whatever the server would let through is on its way before the answer to this.
  await new Promise<void>((resolve, reject) => {
    session.ping((error) => (error ? reject(error) : resolve()));
  });
  t.is(streams[0].state.localWindowSize, 0);
  t.true(written * bytes <= 2 * FLOW_CONTROL_WINDOW_BYTES, `${written} MiB went out`);

  const got: Buffer[] = [];
  for await (const message of calls[0]) got.push(message);
  t.is(got.length, messages);
  t.true(got.every((message, i) => message.length === bytes && message.every((byte) => byte === i + 1)));
});
