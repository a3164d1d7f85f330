import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { open } from 'lmdb';
import { CACHE_CLAIM_LEASE_MS } from '../../../shared/limits.js';
import { Claims } from '../../../worker/data/cache/claims.js';
import { type Holder, isHolding, thisHolder } from '../../../worker/data/cache/holder.js';
import { temporaryFolder } from './samples.js';

const never = () => false;

function claimants(t: ExecutionContext, ...holders: Holder[]): Claims[] {
  const root = open({ path: join(temporaryFolder(t), 'db') });
  t.teardown(() => root.close());
  const table = root.openDB({ name: 'claims', encoding: 'json' });
  return holders.map((holder) => new Claims(root, table, 'chunks', holder));
}

test('a chunk is claimed by one, and by another once it was released', (t) => {
  const [a, b] = claimants(t, thisHolder(), thisHolder());
  t.true(a.take(3, never));
  t.false(b.take(3, never));
  t.true(b.take(4, never));
  t.is(b.processAt(3), process.pid);
  t.is(a.processAt(3), undefined);
  a.release();
  t.true(b.take(3, never));
  t.deepEqual([...b.mine], [4, 3]);
});

test('a chunk that is done is not claimed', (t) => {
  const [a, b] = claimants(t, thisHolder(), thisHolder());
  const done = new Set<number>();
  t.true(a.take(1, (chunk) => done.has(chunk)));
  a.finish(1, () => done.add(1));
  t.false(b.take(1, (chunk) => done.has(chunk)));
  t.deepEqual([...a.mine], []);
});

test('who releases does not take away what was taken over', async (t) => {
  const stale = { ...thisHolder(), pid: 2 ** 22 + 1, started: '1' };
  const [dead, a, b] = claimants(t, stale, thisHolder(), thisHolder());
  t.true(dead.take(1, never));
  t.true(a.take(1, never), 'a process of that number and start does not run');
  dead.release();
  t.false(b.take(1, never));
});

test('a process that was killed holds nothing, even before its parent has noticed', async (t) => {
  const child = spawn('sleep', ['60']);
  await once(child, 'spawn');
  const me = thisHolder();
  const { readFileSync } = await import('node:fs');
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  const holder = { ...me, id: 'other', pid: child.pid as number, started: fields[19] };
  t.true(isHolding(holder, me, Date.now()));
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
  t.false(isHolding(holder, me, Date.now()));
});

test('a later process with the same number is not taken for the claimant', (t) => {
  const me = thisHolder();
  t.true(isHolding({ ...me, id: 'a' }, me, me.claimedAtMs));
  t.false(isHolding({ ...me, id: 'a', started: '1' }, me, me.claimedAtMs));
});

test('a claim from another container holds until its lease is over', (t) => {
  const me = thisHolder();
  const other = { ...me, id: 'a', pid: 2 ** 22 + 1, place: 'elsewhere' };
  t.true(isHolding(other, me, me.claimedAtMs + CACHE_CLAIM_LEASE_MS - 1));
  t.false(isHolding(other, me, me.claimedAtMs + CACHE_CLAIM_LEASE_MS));
});

test('a process that is stopped loses its claim when the lease is over', (t) => {
  const me = thisHolder();
  t.false(isHolding({ ...me, id: 'a' }, me, me.claimedAtMs + CACHE_CLAIM_LEASE_MS));
});
