// How views change who takes part: the last one counts.
import test from 'ava';
import { Standing } from '../../../worker/training/standing.js';

test('a run begins with all its workers under the rules of its spec', (t) => {
  const standing = new Standing({ workers: 3, consistency: 'bsp' });
  t.is(standing.view, 1);
  t.deepEqual(standing.members, [0, 1, 2]);
  t.is(standing.consistency, 'bsp');
  t.deepEqual(standing.departed, []);
});

test('who leaves is told and kept; where it was decided once more the last word counts', (t) => {
  const standing = new Standing({ workers: 3, consistency: 'bsp' });
  const left = { rank: 1, reason: 'its connection broke', lostFrom: 4, lostTo: 10 };
  const view = { fromStep: 4, consistency: 'bsp' as const, members: [0, 2] };
  t.like(standing.follow({ ...view, number: 2, departed: left }), {
    event: 'view',
    number: 2,
    departed: 1,
    reason: 'its connection broke',
  });
  standing.follow({ ...view, number: 3, departed: { ...left, lostFrom: 5 } });
  t.is(standing.view, 3);
  t.deepEqual(standing.members, [0, 2]);
  t.deepEqual(standing.departed, [{ ...left, lostFrom: 5 }]);
  standing.follow({ ...view, number: 4, members: [2], departed: { ...left, rank: 0 } });
  t.deepEqual(
    standing.departed.map(({ rank }) => rank),
    [1, 0],
  );
});

test('other rules hold from the view that brings them', (t) => {
  const standing = new Standing({ workers: 2, consistency: 'bsp' });
  const event = standing.follow({
    number: 2,
    fromStep: 7,
    consistency: 'ssp',
    staleness: 3,
    members: [0, 1],
  });
  t.like(event, { fromStep: 7, consistency: 'ssp', staleness: 3, departed: undefined });
  t.is(standing.consistency, 'ssp');
});
