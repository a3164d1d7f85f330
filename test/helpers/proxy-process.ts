// The proxy as a process of its own, where it must stand on another network or must not share a thread with what is
// measured. Flags are ProxyOptions; prints `ready` with its address. Lines on stdin are commands: `shape {"delayMs":5}`,
// `hold up`, `release up`, `cut`, `mend`; each is answered by an event of its name with the bytes forwarded so far.
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { UserError } from '../../shared/errors.js';
import { fail, onParentGone, printEvent } from '../../shared/process.js';
import { type Direction, type Proxy as Link, openProxy } from './proxy.js';

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    listen: { type: 'string', default: '127.0.0.1:0' },
    'delay-ms': { type: 'string', default: '0' },
    'bytes-per-second': { type: 'string', default: 'Infinity' },
  },
});

function obey(proxy: Link, line: string): void {
  const [word, argument] = line.split(' ', 2);
  const direction = argument as Direction;
  if ((word === 'hold' || word === 'release') && (argument === 'up' || argument === 'down'))
    proxy[word](direction);
  else if (word === 'cut' || word === 'mend') proxy[word]();
  else if (word === 'shape') proxy.shape(JSON.parse(argument));
  else throw new UserError(`expected shape JSON, hold|release up|down, cut or mend, got "${line}"`);
  printEvent({ event: word, ...proxy.bytes });
}

async function main(): Promise<void> {
  if (!values.target) throw new UserError('expected --target HOST:PORT');
  const proxy = await openProxy(
    { teardown: (end) => process.on('exit', end) },
    {
      target: values.target,
      listen: values.listen,
      delayMs: Number(values['delay-ms']),
      bytesPerSecond: Number(values['bytes-per-second']),
    },
  );
  onParentGone(() => process.exit(0));
  process.on('SIGTERM', () => process.exit(0));
  createInterface({ input: process.stdin }).on('line', (line) => {
    try {
      obey(proxy, line);
    } catch (error) {
      fail(error, 'proxy');
    }
  });
  printEvent({ event: 'ready', address: proxy.address });
}

main().catch((error) => fail(error, 'proxy'));
