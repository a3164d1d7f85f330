import test from 'ava';
import { temporaryFolder } from '../helpers/folder.js';
import { writeTinyData } from '../helpers/tiny-data.js';
import { run } from './convergence.js';

test.serial('bench convergence trains each case and compares it with exact gradients', async (t) => {
  t.timeout(180_000);
  const folder = await temporaryFolder(t);
  const { folder: data } = await writeTinyData(folder);
  const options = { repeats: 1, small: true, data, cache: `${folder}/cache`, epochs: 1 };
  const results = await run({ ...options, cases: 'bsp-fp32,bsp-fp16,local-20' });
  const find = (name: string, metric: string) =>
    results.find((result) => result.case === name && result.metric === metric)?.median as number;
  const [exact, half] = ['bsp-fp32', 'bsp-fp16'].map((name) => find(name, 'accuracy'));
  t.is(find('bsp-fp16', 'behind'), exact - half);
  t.false(results.some((result) => result.case === 'bsp-fp32' && result.metric === 'behind'));
  t.true(find('bsp-fp32', 'pushed') > 1.9 * find('bsp-fp16', 'pushed'));
  t.true(find('bsp-fp16', 'pushed') > find('local-20', 'pushed'));
  await t.throwsAsync(run({ ...options, cases: 'fp8' }), { message: /got "fp8"/ });
});
