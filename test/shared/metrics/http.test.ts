// /metrics and /healthz over real HTTP.
import { request } from 'node:http';
import { connect } from 'node:net';
import test from 'ava';
import { UserError } from '../../../shared/errors.js';
import { type Health, serveMetrics } from '../../../shared/metrics/http.js';
import { createMetrics } from '../../../shared/metrics/metrics.js';

const LOOPBACK = { host: '127.0.0.1', port: 0 };
const healthy = (): Health => ({ healthy: true });

test('port 0 picks a free one, and the metrics are served there as Prometheus wants them', async (t) => {
  const metrics = createMetrics('worker');
  metrics.samples.add(64);
  const server = await serveMetrics([metrics.registry], LOOPBACK, healthy);
  t.true(server.address.port > 0);
  t.is(server.url, `http://127.0.0.1:${server.address.port}/metrics`);
  const response = await fetch(server.url);
  t.is(response.status, 200);
  t.is(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  t.regex(await response.text(), /gradloom_samples_total\{role="worker"\} 64\n/);
  await server.close();
});

test('health is 200 with a status, or 503 with the reason', async (t) => {
  let state: Health = { healthy: true };
  const server = await serveMetrics([createMetrics('server').registry], LOOPBACK, () => state);
  const url = server.url.replace('/metrics', '/healthz');
  const well = await fetch(url);
  t.is(well.status, 200);
  t.deepEqual(await well.json(), { status: 'ok' });
  state = { healthy: false, reason: 'draining: run a is being saved' };
  const ill = await fetch(url);
  t.is(ill.status, 503);
  t.deepEqual(await ill.json(), { status: 'unhealthy', reason: 'draining: run a is being saved' });
  await server.close();
});

test('another path is 404 and another method 405, each with what was expected', async (t) => {
  const server = await serveMetrics([createMetrics('server').registry], LOOPBACK, healthy);
  const lost = await fetch(server.url.replace('/metrics', '/'));
  t.is(lost.status, 404);
  t.is(await lost.text(), 'Expected GET /metrics or GET /healthz.\n');
  const posted = await fetch(server.url, { method: 'POST', body: 'x'.repeat(100_000) });
  t.is(posted.status, 405);
  t.is(posted.headers.get('allow'), 'GET, HEAD');
  t.is(await posted.text(), 'Expected GET /metrics, got POST.\n');
  const head = await fetch(`${server.url}?x=1`, { method: 'HEAD' });
  t.is(head.status, 200);
  t.is(await head.text(), '');
  await server.close();
});

test('a port that is taken is the mistake of the user, in one line', async (t) => {
  const { registry } = createMetrics('server');
  const first = await serveMetrics([registry], LOOPBACK, healthy);
  const error = await t.throwsAsync(serveMetrics([registry], first.address, healthy), {
    instanceOf: UserError,
  });
  t.is(
    error?.message,
    `Cannot serve metrics on 127.0.0.1:${first.address.port}: another process listens there; ` +
      'choose another with --metrics HOST:PORT, where port 0 picks a free one',
  );
  await first.close();
});

test('an address of another machine is refused', async (t) => {
  const { registry } = createMetrics('server');
  await t.throwsAsync(serveMetrics([registry], { host: '192.0.2.1', port: 0 }, healthy), {
    instanceOf: UserError,
    message: /Cannot serve metrics on 192\.0\.2\.1:0: it is no address of this machine; choose another/,
  });
});

test('a failure while collecting is 500 with a sentence, and the server lives on', async (t) => {
  let broken = true;
  const server = await serveMetrics([createMetrics('server').registry], LOOPBACK, () => {
    if (broken) throw new Error('the state cannot be read');
    return { healthy: true };
  });
  const url = server.url.replace('/metrics', '/healthz');
  const failed = await fetch(url);
  t.is(failed.status, 500);
  t.is(await failed.text(), 'The metrics could not be collected: the state cannot be read\n');
  broken = false;
  t.is((await fetch(url)).status, 200);
  await server.close();
});

test('closing ends connections that are kept alive or say nothing, and frees the port', async (t) => {
  const { registry } = createMetrics('server');
  const server = await serveMetrics([registry], LOOPBACK, healthy);
  await new Promise<void>((resolve, reject) => {
    const keptAlive = request(server.url, { headers: { connection: 'keep-alive' } }, (response) => {
      response.resume();
      response.on('end', resolve);
    });
    keptAlive.on('error', reject);
    keptAlive.end();
  });
  const silent = connect(server.address.port, '127.0.0.1');
  const ended = new Promise<void>((resolve) =>
    silent.on('close', () => resolve()).on('error', () => resolve()),
  );
  await new Promise<void>((resolve) => silent.once('connect', () => resolve()));
  silent.write('GET /metrics HT');
  await server.close();
  await ended;
  await t.throwsAsync(fetch(server.url));
  const next = await serveMetrics([registry], server.address, healthy);
  t.is((await fetch(next.url)).status, 200);
  await next.close();
});
