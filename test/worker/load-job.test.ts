// What a job says of its texts is checked when it is loaded; the built-in jobs are jobs.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { UserError } from '../../shared/errors.js';
import { loadJob } from '../../worker/load-job.js';
import { temporaryFolder } from '../helpers/folder.js';

const text = { length: 8, rows: 100, pairs: true };

for (const [what, changes, message] of [
  ['no length', { length: 0 }, /should have text\.length, a whole number from 1 to/],
  ['a row for the filling alone', { rows: 1 }, /should have text\.rows, a whole number from 2 to/],
  ['ids beyond int32', { rows: 2 ** 31 + 1 }, /should have text\.rows/],
  ['pairs that are no choice', { pairs: 'yes' }, /should have text\.pairs, true or false/],
] as const)
  test(`refused: ${what}`, async (t) => {
    const file = join(await temporaryFolder(t), 'job.mjs');
    const job = {
      name: 'j',
      epochs: 1,
      optimizer: { kind: 'sgd', learningRate: 1 },
      loss: 'meanSquaredError',
      text: { ...text, ...changes },
    };
    await writeFile(file, `export default { ...${JSON.stringify(job)}, model() {} };`);
    await t.throwsAsync(loadJob(file), { instanceOf: UserError, message });
  });

test('the built-in jobs are jobs, on images and on texts', async (t) => {
  t.is((await loadJob('cifar10')).text, undefined);
  t.like(await loadJob('text'), { name: 'text', text: { pairs: true } });
  await t.throwsAsync(loadJob('txt'), {
    instanceOf: UserError,
    message: /one of cifar10, text, or the file/,
  });
});
