// What `gradloom status` says of copies that were not equal to their primary.
import test from 'ava';
import { divergencesOf } from '../../deploy/status.js';
import type { RunStatus__Output } from '../../shared/rpc/generated/gradloom/v1/RunStatus.js';

const said = (divergences: number, lastDivergence: object | null) =>
  divergencesOf({ divergences, lastDivergence } as RunStatus__Output);

test('status says how many blocks of copies differed, and names the last', (t) => {
  const last = { shard: 1, server: 2, block: 7, version: 40 };
  t.deepEqual(said(0, null), []);
  t.deepEqual(said(1, last), [
    '1 block of a copy differed and was sent again; the last: block 7 of shard 1 on server 2, after 40 updates',
  ]);
  t.deepEqual(said(3, last), [
    '3 blocks of copies differed and were sent again; the last: block 7 of shard 1 on server 2, after 40 updates',
  ]);
});
