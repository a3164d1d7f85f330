// The bench of scaling, run small, and its fit against a system with a known answer.
import test from 'ava';
import { exchangeMs, fitRelative, run } from './scaling.js';

test.serial(
  'a fit finds the coefficients that made the values, and the best ones where none fit all',
  (t) => {
    const rows = [
      [1, 2, 3],
      [1, 5, 1],
      [1, 0, 7],
      [1, 4, 4],
      [1, 9, 2],
    ];
    const wanted = [3, 0.5, 0.25];
    const values = rows.map((row) => row.reduce((sum, value, i) => sum + value * wanted[i], 0));
    for (const [i, found] of fitRelative(rows, values).entries()) t.true(Math.abs(found - wanted[i]) < 1e-9);
    // One constant for 1 and 3, errors relative to each: (c - 1)² + (c/3 - 1)² is least at c = 1.2.
    t.true(Math.abs(fitRelative([[1], [1]], [1, 3])[0] - 1.2) < 1e-12);
  },
);

test.serial(
  'bench scaling measures workers and servers, and its model says what more hosts cost',
  async (t) => {
    t.timeout(120_000);
    const results = await run({ repeats: 1, small: true });
    const find = (name: string, metric: string) =>
      results.find((result) => result.case === name && result.metric === metric)?.median;
    for (const name of ['workers1-servers1-0.01M', 'workers2-servers1-0.6M'])
      for (const metric of ['workerCpu', 'serverCpu', 'round']) t.true((find(name, metric) ?? 0) > 0, name);
    t.is(typeof find('model', 'serverPerMillionAndWorker'), 'number');
    t.is(find('hosts16-0.6M', 'peerSends'), (2 * 2 * 0.6 * 15) / 16);
    t.is(typeof find('hosts64-0.6M', 'serversWanted'), 'number');
    // What is printed of links follows from what is printed of CPU time and bytes.
    const cpuMs = find('hosts16-0.6M', 'peerCpu') as number;
    for (const gbit of [1, 10, 25]) {
      const { cpu, link } = exchangeMs(cpuMs, 2.25e6, gbit);
      t.is(cpu, cpuMs);
      t.true(Math.abs(link - (2.25e6 * 8) / (gbit * 0.9e6)) < 1e-9);
      t.is(find('hosts16-0.6M', `exchangeAt${gbit}Gbit`), Math.max(cpu, link));
    }
    t.true(Math.abs((find('hosts16-0.6M', 'cpuBoundFrom') as number) - 20 / cpuMs) < 1e-9);
    t.is(find('assumed', 'payloadShare'), 90);
  },
);
