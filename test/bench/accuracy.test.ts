// The bench of accuracy, run small on a folder of a few records.
import test from 'ava';
import { temporaryFolder } from '../helpers/folder.js';
import { writeTinyData } from '../helpers/tiny-data.js';
import { run } from './accuracy.js';

test.serial('plain TensorFlow.js and the mesh learn the same from the same few records', async (t) => {
  const folder = await temporaryFolder(t);
  const { folder: data } = await writeTinyData(folder, 192, 40);
  const results = await run({ repeats: 1, small: true, data, cache: `${folder}/cache`, epochs: 3 });
  t.deepEqual(
    results.map((result) => `${result.case} ${result.metric}`),
    ['fit accuracy', 'mesh accuracy', 'difference accuracy'],
  );
  const [fit, mesh, difference] = results;
  t.is(difference.median, mesh.median - fit.median);
  // Of four classes that show in the colour: whoever learns at all tells most of them apart.
  t.true(fit.median >= 75, `fit ${fit.median}`);
  t.true(mesh.median >= 75, `mesh ${mesh.median}`);
});
