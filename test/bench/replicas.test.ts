// The bench of replicas, run small: it has what it promises, and a second copy is worked for.
import test from 'ava';
import { run } from './replicas.js';

test.serial('bench replicas measures a round with one copy and with two', async (t) => {
  t.timeout(120_000);
  const results = await run({ repeats: 1, small: true });
  const find = (name: string, metric: string) =>
    results.find((result) => result.case === name && result.metric === metric)?.median ?? 0;
  for (const name of ['replicas1', 'replicas2'])
    for (const metric of ['round', 'serverCpu']) t.true(find(name, metric) > 0, `${name} ${metric}`);
  t.true(find('cost', 'time') > 0);
});
