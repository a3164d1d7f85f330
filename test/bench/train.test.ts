// The bench of training, run small on a folder of a few records.
import test from 'ava';
import { temporaryFolder } from '../helpers/folder.js';
import { writeTinyData } from '../helpers/tiny-data.js';
import { run } from './train.js';

test.serial('the bench of training gives a rate and the parts of a step for 1 and 2 workers', async (t) => {
  const folder = await temporaryFolder(t);
  const { folder: data } = await writeTinyData(folder, 192, 20);
  const results = await run({ repeats: 1, small: true, data, cache: `${folder}/cache` });
  for (const name of ['workers1', 'workers2']) {
    for (const metric of ['throughput', 'step', 'compute', 'wait', 'decode']) {
      const result = results.find((each) => each.case === name && each.metric === metric);
      t.true((result?.median ?? 0) > 0, `${name} ${metric}`);
    }
  }
});
