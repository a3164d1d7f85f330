// HOST:PORT as users write it.
import test from 'ava';
import fc from 'fast-check';
import { formatAddress, isLoopback, isWildcard, parseAddress } from '../../../shared/config/address.js';

const good: [string, { host: string; port: number }][] = [
  ['127.0.0.1:50051', { host: '127.0.0.1', port: 50051 }],
  ['localhost:0', { host: 'localhost', port: 0 }],
  ['server-1.example.org:65535', { host: 'server-1.example.org', port: 65535 }],
  ['[::1]:80', { host: '::1', port: 80 }],
  ['[fe80::1%eth0]:80', { host: 'fe80::1%eth0', port: 80 }],
];
for (const [text, address] of good) {
  test(`${text} is read and written back`, (t) => {
    t.deepEqual(parseAddress(text), address);
    t.is(formatAddress(address), text);
  });
}

const bad: [string, RegExp][] = [
  ['', /port is missing/],
  ['localhost', /port is missing/],
  ['localhost:', /port is missing/],
  [':50051', /host is missing/],
  ['[]:1', /host is missing/],
  ['localhost:65536', /0 to 65535, not "65536"/],
  ['localhost:-1', /0 to 65535, not "-1"/],
  ['localhost:http', /0 to 65535, not "http"/],
  ['localhost:1e3', /0 to 65535/],
  ['::1:50051', /in brackets/],
  ['[10.0.0.1]:1', /\[10.0.0.1\] is no IPv6 address/],
  ['300.1.1.1:1', /300.1.1.1 is no IPv4 address/],
  ['1.2.3:1', /1.2.3 is no IPv4 address/],
  ['a b:1', /"a b" is no host name/],
  ['http://host:1', /in brackets|no host name/],
  ['-a:1', /"-a" is no host name/],
];
for (const [text, message] of bad) {
  test(`"${text}" is refused`, (t) => {
    t.throws(() => parseAddress(text), { message });
  });
}

test('reading and writing are inverses for every IPv4, IPv6 and name', (t) => {
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
  const property = fc.property(host, fc.integer({ min: 0, max: 65535 }), (host, port) => {
    t.deepEqual(parseAddress(formatAddress({ host, port })), { host, port });
  });
  t.notThrows(() => fc.assert(property, { seed: 1, numRuns: 300 }));
});

test('text from anywhere is read or refused with an Error, never anything else', (t) => {
  const property = fc.property(fc.string({ unit: 'binary' }), (text) => {
    try {
      parseAddress(text);
    } catch (error) {
      t.true(error instanceof Error && error.message.length > 0);
    }
  });
  t.notThrows(() => fc.assert(property, { seed: 2, numRuns: 500 }));
});

test('loopback is 127/8, ::1 and localhost, and nothing else', (t) => {
  for (const host of [
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '0:0:0:0:0:0:0:1',
    'localhost',
    'LOCALHOST',
    'a.localhost',
    '::ffff:127.0.0.1',
  ]) {
    t.true(isLoopback(host), host);
  }
  for (const host of [
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '128.0.0.1',
    'localhost.example.org',
    'server-1',
    '127.example.org',
  ]) {
    t.false(isLoopback(host), host);
  }
});

test('0.0.0.0 and :: mean every address', (t) => {
  for (const host of ['0.0.0.0', '::', '0:0:0:0:0:0:0:0']) t.true(isWildcard(host), host);
  for (const host of ['127.0.0.1', '::1', 'server-1']) t.false(isWildcard(host), host);
});
