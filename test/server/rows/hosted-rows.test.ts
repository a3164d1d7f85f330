// The streams of a run's rows on one server, with a clock of the test's: who has ended its step is told whom it waits
// for once that lasts longer than steps usually take.
import test from 'ava';
import { reportTo } from '../../../server/metrics.js';
import { HostedRows, type RowsPushCall } from '../../../server/rows/hosted-rows.js';
import { NOTICE_MIN_MS, ROW_PARTITIONS } from '../../../shared/limits.js';
import { createMetrics } from '../../../shared/metrics/metrics.js';
import { makeTable, rowsHeader } from '../../helpers/rows.js';
import { makeSpec } from '../../helpers/shards.js';

test('a worker that ends its step late, compared with what is usual, is named to those who have ended it', (t) => {
  const spec = { ...makeSpec({ workers: 2 }), tables: [makeTable()] };
  const partitions = Array.from({ length: ROW_PARTITIONS }, (_, partition) => partition);
  let nowMs = 0;
  const rows = new HostedRows(spec, partitions, reportTo(createMetrics('server')), () => nowMs);
  const told: unknown[] = [];
  for (const rank of [0, 1]) {
    const write = ({ waiting }: { waiting?: object }) => void (waiting && told.push({ rank, ...waiting }));
    rows.attachWriter(rank, { write, end: () => undefined } as unknown as RowsPushCall);
  }
  const end = (step: number, rank: number) => {
    rows.push(rank, { header: { step, ...rowsHeader() } } as never);
    rows.push(rank, { end: { step, contributions: 0 } } as never);
  };
  const pass = (ms: number) => {
    for (const until = nowMs + ms; nowMs < until; rows.announceWaiting()) nowMs += NOTICE_MIN_MS;
  };
  for (let step = 0; step < 4; step++) {
    end(step, 0);
    pass(step === 0 ? 750 : 3000);
    end(step, 1);
  }
  // The second step is longer than the one before; the others are not.
  t.true(told.every((each) => (each as { step: number }).step === 1));
  told.length = 0;
  end(4, 0);
  pass(5750);
  t.deepEqual(told, []);
  pass(NOTICE_MIN_MS);
  t.deepEqual(told, [{ rank: 0, step: 4, workers: [1], seconds: 6, usualSeconds: 3 }]);
});
