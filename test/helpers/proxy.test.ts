// The proxy that fault tests put between nodes: it must be a link, with the faults that it was told and no others.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { DelayQueue } from './delay-queue.js';
import { openProxy, type ProxyOptions } from './proxy.js';

test('what enters a link comes out in order, never before its delay and at most at its rate', (t) => {
  const entries = fc.array(fc.record({ afterMs: fc.nat(20), bytes: fc.integer({ min: 1, max: 5000 }) }), {
    minLength: 1,
    maxLength: 50,
  });
  const link = fc.record({ delayMs: fc.nat(30), bytesPerSecond: fc.integer({ min: 1000, max: 1e6 }) });
  const check = fc.property(link, entries, (given, list) => {
    const queue = new DelayQueue<{ length: number; enteredMs: number }>(given, 1024);
    let nowMs = 0;
    for (const { afterMs, bytes } of list) {
      nowMs += afterMs;
      queue.put({ length: bytes, enteredMs: nowMs }, nowMs);
    }
    let [lastMs, sentBytes, count] = [0, 0, 0];
    for (let dueMs = queue.nextDueMs; dueMs !== undefined; dueMs = queue.nextDueMs) {
      t.is(queue.take(dueMs - 1e-6), undefined);
      const item = queue.take(dueMs);
      if (!item) throw new Error('what is due must come out');
      sentBytes += item.length;
      t.true(dueMs >= lastMs);
      t.true(dueMs + 1e-6 >= item.enteredMs + given.delayMs + (1000 * item.length) / given.bytesPerSecond);
      t.true(dueMs + 1e-6 >= given.delayMs + (1000 * sentBytes) / given.bytesPerSecond);
      lastMs = dueMs;
      count++;
    }
    t.is(count, list.length);
    t.is(queue.bytes, 0);
  });
  fc.assert(check, { seed: 1 });
});

test('a link is full of what its rate carries in its delay and a little more', (t) => {
  const link = { delayMs: 80, bytesPerSecond: 10_000 };
  const queue = new DelayQueue(link, 64);
  queue.put({ length: 999 }, 0);
  t.false(queue.full);
  queue.put({ length: 1 }, 0);
  t.true(queue.full);
  link.bytesPerSecond = Infinity;
  t.false(queue.full);
  link.delayMs = 0;
  t.true(queue.full);
});

/** Resolves when a socket is closed, also by an error. */
const closed = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve));

/** All that a socket gives until its other side ends. */
async function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => (text += chunk));
  await once(socket, 'end');
  return text;
}

/** A connection through a proxy, from either end. */
async function through(t: ExecutionContext, options: Partial<ProxyOptions> = {}) {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const proxy = await openProxy(t, { target: `127.0.0.1:${port}`, ...options });
  const dial = () =>
    connect({ host: '127.0.0.1', port: Number(proxy.address.split(':')[1]), allowHalfOpen: true });
  const client = dial();
  const [served] = (await once(server, 'connection')) as [Socket];
  for (const socket of [client, served]) {
    // A broken connection is what some of these tests bring about; they see it by its `close`.
    socket.on('error', () => undefined);
    t.teardown(() => socket.destroy());
  }
  t.teardown(() => server.close());
  return { proxy, client, served, dial };
}

test('a side that has ended may go on reading, through a delay', async (t) => {
  const { client, served } = await through(t, { delayMs: 5 });
  client.end('question');
  t.is(await readAll(served), 'question');
  served.end('answer');
  t.is(await readAll(client), 'answer');
});

test('a reset goes through, also to a side that reads nothing', async (t) => {
  const { client, served, proxy } = await through(t);
  served.pause();
  const feed = () => {
    while (client.write(Buffer.alloc(64 * 1024)));
  };
  client.on('drain', feed);
  feed();
  await proxy.reached('up', 64 * 1024);
  client.resetAndDestroy();
  served.resume();
  await closed(served);
  t.true(served.destroyed);
});

test('a receiver that reads nothing stops the sender; all arrives once it reads', async (t) => {
  const { client, served } = await through(t, { delayMs: 1, bytesPerSecond: 1e9 });
  served.pause();
  const wholeBytes = 96 * 1024 ** 2;
  let sent = 0;
  const feed = () => {
    while (sent < wholeBytes) {
      sent += 64 * 1024;
      if (!client.write(Buffer.alloc(64 * 1024, sent))) return;
    }
    client.end();
  };
  client.on('drain', feed);
  feed();
  // Nothing moves any more when two looks in a row see the same.
  for (let before = -1; before !== sent; ) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  t.true(sent < wholeBytes);
  let got = 0;
  for await (const chunk of served) got += chunk.length;
  t.is(got, wholeBytes);
});

test('held bytes come when they are let go; a cut link resets its connections and takes none till it is mended', async (t) => {
  const { proxy, client, served, dial } = await through(t);
  proxy.hold('up');
  client.write('late');
  served.write('now');
  t.is(String((await once(client, 'data'))[0]), 'now');
  t.is(proxy.bytes.up, 0);
  proxy.release('up');
  t.is(String((await once(served, 'data'))[0]), 'late');
  proxy.cut();
  await Promise.all([closed(client), closed(served)]);
  await closed(dial().on('error', () => undefined));
  proxy.mend();
  const again = dial();
  again.write('again');
  await proxy.reached('up', 'lateagain'.length);
  again.destroy();
  t.pass();
});
