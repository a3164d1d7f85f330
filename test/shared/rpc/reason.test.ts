// The reasons that calls give when they fail, against what grpc-js really says.
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import test from 'ava';
import { reasonOf } from '../../../shared/rpc/reason.js';
import { connectMembership } from '../../../shared/rpc/transport.js';

test("where nobody listens, the reason is the socket's", async (t) => {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = `127.0.0.1:${(listener.address() as AddressInfo).port}`;
  listener.close();
  await once(listener, 'close');
  const client = connectMembership(address, 5000);
  const error = await new Promise<grpc.ServiceError>((resolve) =>
    client.Status({}, (refused) => resolve(refused as grpc.ServiceError)),
  );
  client.close();
  t.is(error.code, grpc.status.UNAVAILABLE);
  t.is(reasonOf(error), `connect ECONNREFUSED ${address}`);
});

test('what is said otherwise stays as it is', (t) => {
  t.is(
    reasonOf({ details: 'Received RST_STREAM with code 8', message: '14 UNAVAILABLE' }),
    'Received RST_STREAM with code 8',
  );
  t.is(reasonOf(Object.assign(new Error('closed'), { details: '' })), 'closed');
});
