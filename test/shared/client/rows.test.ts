// Tables through the SDK, against real servers on free ports: duplicates, means over workers, the same bits on any
// number of servers, steps that are skipped as a whole, and what is refused.

import { crc32 } from 'node:zlib';
import * as grpc from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import { schemaHash } from '../../../shared/blocks/manifest.js';
import {
  type Client,
  type ConnectOptions,
  connect,
  Refused,
  RunError,
  UserError,
} from '../../../shared/client/index.js';
import { ROW_PARTITIONS } from '../../../shared/limits.js';
import { keyedRandom } from '../../../shared/random.js';
import { PROTOCOL_VERSION, RowsStub } from '../../../shared/rpc/proto.js';
import { refusalLabel } from '../../../shared/rpc/refusal.js';
import { startTestServer } from '../../helpers/server.js';

const tensors = [{ name: 'bias', shape: [2], values: new Float32Array([1, 2]) }];
const words = { name: 'words', rows: 400_000, width: 2, optimizer: 'sgd', learningRate: 0.5 } as const;

async function mesh(t: ExecutionContext, servers: number): Promise<string> {
  const keeper = await startTestServer(t);
  for (let index = 1; index < servers; index++) await startTestServer(t, { join: keeper.address });
  return keeper.address;
}

const options = (join: string, changes: Partial<ConnectOptions> = {}): ConnectOptions => ({
  join,
  tensors,
  tables: [words],
  optimizer: 'sgd',
  learningRate: 1,
  codec: 'fp32',
  seed: 5,
  ...changes,
});

test('gradients of the same row are added, and rows come back in the order in which they were asked for', async (t) => {
  const client = await connect(options(await mesh(t, 2)));
  const ids = [399_999, 7, 7];
  const before = await client.pullRows('words', ids);
  t.is(before.step, 0);
  t.true(before.values.every((value) => Math.abs(value) <= Math.fround(0.05)));
  t.deepEqual([...before.values.slice(2, 4)], [...before.values.slice(4)]);
  const gradients = new Float32Array([1, 0, 2, 4, 2, 4]);
  const outcome = await client.wait(client.push({}, { samples: 3, rows: { words: { ids, gradients } } }));
  t.false(outcome.skipped);
  const after = await client.pullRows('words', [7, 8, 399_999]);
  t.is(after.step, 1);
  t.is(after.skew, 0);
  const [a0, a1, b0, b1] = before.values;
  t.deepEqual(
    [...after.values.slice(0, 2), ...after.values.slice(4)],
    [Math.fround(b0 - 2), Math.fround(b1 - 4), Math.fround(a0 - 0.5), a1],
  );
  t.deepEqual([...(await client.pullRows('words', [])).values], []);
  await client.close();
});

/** What two workers make of a table in some steps, on so many servers. */
async function train(t: ExecutionContext, servers: number): Promise<string> {
  const join = await mesh(t, servers);
  const tables = [
    { ...words, rows: 30_000, optimizer: 'adam' as const, learningRate: 0.1 },
    { ...words, name: 'more', width: 40 },
  ];
  const clients = await Promise.all([0, 1].map(() => connect(options(join, { tables, workers: 2 }))));
  const work = async (client: Client) => {
    for (let step = 0; step < 3; step++) {
      const random = keyedRandom(1, 'rows', client.rank as number, step);
      // More than one message to a server.
      const ids = Array.from({ length: 9_000 }, () => random.below(30_000));
      const gradients = (width: number) =>
        Float32Array.from({ length: width * ids.length }, () => random.normal());
      const rows = { words: { ids, gradients: gradients(2) }, more: { ids, gradients: gradients(40) } };
      await client.wait(client.push({}, { samples: 3 + (client.rank as number), rows }));
    }
  };
  await Promise.all(clients.map(work));
  const all = Array.from({ length: 30_000 }, (_, id) => id);
  const pulled = await Promise.all([clients[0].pullRows('words', all), clients[1].pullRows('more', all)]);
  await Promise.all(clients.map((client) => client.close()));
  return pulled.map(({ values }) => crc32(Buffer.from(values.buffer)).toString(16)).join(' ');
}

test('two workers get the same bits on one server and on three', async (t) => {
  t.is(await train(t, 1), await train(t, 3));
});

test('a gradient of a row that is no number skips the whole step', async (t) => {
  const client = await connect(options(await mesh(t, 1)));
  const before = (await client.pullRows('words', [1])).values;
  const rows = { words: { ids: [1], gradients: new Float32Array([Number.NaN, 1]) } };
  const { outcome, values } = await client.pushPull({ bias: new Float32Array([1, 1]) }, { rows });
  t.true(outcome.skipped);
  t.deepEqual([...values.bias], [1, 2]);
  t.deepEqual((await client.pullRows('words', [1])).values, before);
  // And one of the tensors does, too.
  const good = { words: { ids: [1], gradients: new Float32Array([1, 1]) } };
  t.true(
    (await client.pushPull({ bias: new Float32Array([Number.NaN, 1]) }, { rows: good })).outcome.skipped,
  );
  t.deepEqual((await client.pullRows('words', [1])).values, before);
  t.false((await client.pushPull({}, { rows: good })).outcome.skipped);
  t.notDeepEqual((await client.pullRows('words', [1])).values, before);
  await client.close();
});

test('who only reads sees the tables of the run', async (t) => {
  const join = await mesh(t, 2);
  const worker = await connect(options(join));
  await worker.wait(worker.push({}, { rows: { words: { ids: [9], gradients: new Float32Array([1, 1]) } } }));
  const reader = await connect({ join });
  t.is(reader.tables[0].name, 'words');
  const ids = [9, 5, 10];
  const read = await reader.pullRows('words', ids);
  t.deepEqual(read.values, (await worker.pullRows('words', ids)).values);
  t.is(read.step, 1);
  await reader.close();
  await worker.close();
});

test('mistakes are told before anything is sent', async (t) => {
  const join = await mesh(t, 1);
  const client = await connect(options(join));
  const is = (message: RegExp) => ({ instanceOf: UserError, message });
  await t.throwsAsync(client.pullRows('words', [400_000]), is(/0 to 399999, got 400000/));
  await t.throwsAsync(client.pullRows('words', [0.5]), is(/got 0\.5/));
  await t.throwsAsync(client.pullRows('word', [1]), is(/'words', got 'word'/));
  const push = (rows: NonNullable<Parameters<Client['push']>[1]>['rows']) => () => client.push({}, { rows });
  t.throws(
    push({ words: { ids: [1], gradients: new Float32Array(3) } }),
    is(/Float32Array of 2 values for 1 rows/),
  );
  t.throws(push({ words: { ids: [-1], gradients: new Float32Array(2) } }), is(/got -1/));
  t.throws(push({ other: { ids: [1], gradients: new Float32Array(2) } }), is(/got 'other'/));
  const refused = (changes: Partial<ConnectOptions>, message: RegExp) =>
    t.throwsAsync(connect(options(join, changes)), is(message));
  await refused({ tables: [{ ...words, rows: 0 }] }, /1 to 4294967296 rows, got 0/);
  await refused({ tables: [words, words] }, /'words' twice/);
  await refused({ tables: [{ ...words, optimizer: 'lion' as 'sgd' }] }, /sgd, adagrad, adam/);
  await refused({ consistency: 'asp' }, /consistency bsp with tables, got asp/);
  await client.close();
});

test('workers whose tables differ refuse each other, and tables that do not fit say how many servers they need', async (t) => {
  const join = await mesh(t, 1);
  const first = connect(options(join, { workers: 2 }));
  first.catch(() => undefined);
  const other = options(join, { workers: 2, tables: [{ ...words, width: 3 }] });
  const error = await t.throwsAsync(Promise.race([connect(other), first.then(() => connect(other))]), {
    instanceOf: Refused,
  });
  t.regex(error?.message ?? '', /table 1 is/);
  const large = options(join, { job: 'large', tables: [{ ...words, rows: 20_000_000, width: 16 }] });
  const tooLarge = await t.throwsAsync(connect(large), { instanceOf: Refused });
  t.is((tooLarge as Refused).label, 'memory');
  t.regex(tooLarge?.message ?? '', /start \d+ servers/);
});

test('what a server refuses of rows has a code of its own, and the server lives on', async (t) => {
  const server = await startTestServer(t);
  const client = await connect(options(server.address, { run: 'r' }));
  const hello = {
    protocolVersion: PROTOCOL_VERSION,
    run: 'r',
    view: 1,
    worker: 0,
    schemaHash: schemaHash(client.tensors),
    observer: true,
  };
  const ids = (...numbers: number[]) => Buffer.from(Uint32Array.from(numbers).buffer);
  const ask = (messages: object[], method: 'Pull' | 'Push' = 'Pull') =>
    new Promise<string>((resolve, reject) => {
      const stub = new RowsStub(server.address, grpc.credentials.createInsecure());
      const call = stub[method]() as unknown as grpc.ClientDuplexStream<
        object,
        { refusal?: { code: number } }
      >;
      call.on('data', (reply) => {
        if (reply.refusal) resolve(refusalLabel(reply.refusal.code));
      });
      call.on('error', reject);
      call.on('end', () => stub.close());
      for (const message of messages) call.write(message);
    });
  const request = (fields: object) =>
    ask([{ hello }, { request: { step: 0, table: 0, ids: ids(1), ...fields } }]);
  t.is(await request({ ids: ids(400_000) }), 'row');
  t.is(await request({ ids: ids(2, 1) }), 'row');
  t.is(await request({ ids: ids(1, 1) }), 'row');
  t.is(await request({ table: 1 }), 'row');
  t.is(await request({ ids: Buffer.alloc(3) }), 'payload');
  t.is(await request({ ids: Buffer.alloc(0) }), 'payload');
  t.is(await ask([{ hello }, {}]), 'malformed');
  t.is(await ask([{ hello: { ...hello, view: 9 } }]), 'stale_view');
  const waiting = { request: { step: 5, table: 0, ids: ids(1) } };
  t.is(await ask([{ hello }, ...new Array(17).fill(waiting)]), 'credit');
  t.is(await ask([{ hello }], 'Push'), 'unknown_worker');
  t.is((await client.pullRows('words', [ROW_PARTITIONS])).step, 0);
  await client.close();
});

test('a run without tables has no rows', async (t) => {
  const client = await connect(options(await mesh(t, 1), { tables: [] }));
  t.deepEqual(client.tables, []);
  await t.throwsAsync(client.pullRows('words', [1]), { instanceOf: UserError, message: /has none/ });
  await client.close();
});

test('a server that is lost ends what is under way', async (t) => {
  const keeper = await startTestServer(t);
  const second = await startTestServer(t, { join: keeper.address });
  const [client] = await Promise.all([0, 1].map(() => connect(options(keeper.address, { workers: 2 }))));
  const step = client.push({}, { rows: { words: { ids: [1, 2], gradients: new Float32Array(4) } } });
  const waits = t.throwsAsync(client.wait(step), { instanceOf: RunError });
  await second.close('gone');
  await waits;
  await t.throwsAsync(client.pullRows('words', [1]), { instanceOf: RunError });
});
