// A worker's membership, against a real keeper: at an evaluation nobody waits without knowing for whom.
import test from 'ava';
import { joinRun } from '../../../shared/client/membership.js';
import { openServer, PEER_DEADLINE_MS } from '../../helpers/mesh.js';
import { until } from '../../helpers/server.js';
import { makeSpec } from '../../helpers/shards.js';

test('who has given its share of an evaluation is told whose are missing, until all are there', async (t) => {
  t.timeout(60_000);
  const server = await openServer(t);
  const told: { rank: number; step: number; workers: string[]; server: string }[] = [];
  const members = await Promise.all(
    ['first', 'second', 'third'].map(async (label, at) => {
      const membership = await joinRun({
        address: server.address,
        run: 'r',
        spec: makeSpec({ workers: 3 }),
        label,
        peerDeadlineMs: PEER_DEADLINE_MS,
        onWelcome: () => undefined,
        onWaiting: ({ step, workers, server }) => told.push({ rank: ranks[at], step, workers, server }),
        onLost: () => undefined,
      });
      return { membership, label };
    }),
  );
  const ranks = members.map(({ membership }) => membership.rank);
  const [a, b, c] = members.sort((one, other) => one.membership.rank - other.membership.rank);
  t.teardown(() => {
    for (const { membership } of members) membership.leave();
  });
  const share = (records: number) => ({ step: 5, view: 1, records, lossSum: records, correct: 0 });
  const nameOf = (rank: number, label: string) =>
    `worker ${rank} (${label}), whose share of the evaluation is missing`;

  const wholes = [b.membership.evaluate(share(2))];
  await until(() => told.length > 0);
  t.deepEqual(told[0], {
    rank: 1,
    step: 5,
    workers: [nameOf(0, a.label), nameOf(2, c.label)],
    server: server.address,
  });
  wholes.push(a.membership.evaluate(share(3)));
  await until(() => told.some(({ rank }) => rank === 0));
  t.deepEqual(told.find(({ rank }) => rank === 0)?.workers, [nameOf(2, c.label)]);
  t.false(
    told.some(({ rank }) => rank === 2),
    'the one who is waited for does not wait',
  );
  wholes.push(c.membership.evaluate(share(5)));
  for (const { records } of await Promise.all(wholes)) t.is(records, 10);
});
