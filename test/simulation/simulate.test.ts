// `npm run simulate` as a command: what can be asked of it, and what cannot.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import { helperPath } from '../helpers/processes.js';

const SIMULATE = helperPath('../simulation/simulate.js');

test('it says what can be asked of it, and in one line what cannot', async (t) => {
  const { stdout } = await promisify(execFile)(process.execPath, [SIMULATE, '--help']);
  t.regex(stdout, /^Usage: simulate .*--seeds <n>/s);
  for (const [flag, words] of [
    ['--colour', /^simulate: unknown option '--colour'; see npm run simulate -- --help\n$/],
    ['--seeds=0', /^simulate: expected --seeds of at least 1 .+\n$/],
  ] as const) {
    const failed = await promisify(execFile)(process.execPath, [SIMULATE, flag]).catch((error) => error);
    t.is(failed.code, 2);
    t.regex(failed.stderr, words);
  }
});
