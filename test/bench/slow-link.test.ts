// The bench of the slow link, run small: goodput, a step and an accuracy between two network namespaces.
import { temporaryFolder } from '../helpers/folder.js';
import { namespacesTest } from '../helpers/namespaces-test.js';
import { writeTinyData } from '../helpers/tiny-data.js';
import { run } from './slow-link.js';

namespacesTest('bench slow-link measures the link, and a step and an accuracy over it', async (t) => {
  t.timeout(180_000);
  const folder = await temporaryFolder(t);
  const { folder: data } = await writeTinyData(folder);
  const options = { data, cache: `${folder}/cache`, epochs: 1, cases: 'fp32,fp16' };
  const results = await run({ repeats: 1, small: true, rateMbit: 200, ...options });
  const find = (name: string, metric: string) =>
    results.find((result) => result.case === name && result.metric === metric)?.median as number;
  const goodput = find('link', 'goodput');
  // What comes out of the link cannot be more than its rate, or the link is not what it says.
  t.true(goodput > 0 && goodput < 200, `${goodput} Mbit/s`);
  for (const name of ['fp32', 'fp16']) t.true(find(name, 'step') > 0 && find(name, 'accuracy') > 0, name);
  t.true(find('fp32', 'timeToAccuracy') > 0);
  await t.throwsAsync(run({ repeats: 1, small: true, ...options, cases: 'fp8' }), { message: /got "fp8"/ });
});

namespacesTest('bench slow-link with a delay measures the goodput through proxies', async (t) => {
  t.timeout(180_000);
  const results = await run({ repeats: 1, small: true, rateMbit: 200, delayMs: 5 });
  t.deepEqual(
    results.map((result) => `${result.case} ${result.metric}`),
    ['link goodput', 'link ofRate'],
  );
  t.true(results[0].median > 0 && results[0].median < 200);
  await t.throwsAsync(run({ repeats: 1, small: true, delayMs: 5, cases: 'ddp' }), { message: /--delay-ms/ });
});
