// Who holds which shard, over random histories of a mesh: servers that come, go and are given up.
import test from 'ava';
import fc from 'fast-check';
import {
  alone,
  dropped,
  filled,
  holdersOf,
  replicated,
  without,
} from '../../../server/replication/placement.js';
import type { ShardCopies } from '../../../shared/view.js';

const WANTED_MAX = 4;

const history = fc.record({
  servers: fc.integer({ min: 1, max: 6 }),
  wanted: fc.integer({ min: 1, max: WANTED_MAX }),
  events: fc.array(
    fc.record({
      kind: fc.constantFrom('leaves' as const, 'comes' as const, 'whole' as const, 'dropped' as const),
      pick: fc.nat(),
    }),
    { maxLength: 20 },
  ),
});

/** Goes through a history; `check` is shown each event with what was before and after. */
function goThrough(
  {
    servers: count,
    wanted,
    events,
  }: { servers: number; wanted: number; events: readonly { kind: string; pick: number }[] },
  check: (
    before: readonly ShardCopies[],
    after: readonly ShardCopies[],
    servers: readonly number[],
    gone?: number,
  ) => void,
): void {
  let servers = Array.from({ length: count }, (_, id) => id);
  let next = count;
  let shards = filled(alone(servers.map((id) => ({ id }))), servers, wanted);
  check([], shards, servers);
  for (const { kind, pick } of events) {
    const before = shards;
    let gone: number | undefined;
    const shard = pick % shards.length;
    const { joining, backups } = shards[shard];
    if (kind === 'comes') servers = [...servers, next++];
    else if (kind === 'whole') shards = replicated(shards, shard, joining[0] ?? -1) ?? shards;
    else if (kind === 'dropped') shards = dropped(shards, shard, backups[0] ?? joining[0] ?? -1) ?? shards;
    else {
      const leaving = servers[pick % servers.length];
      const left = without(shards, leaving);
      // With the last copy of a shard the run ends.
      if (left.lost.length > 0) continue;
      gone = leaving;
      servers = servers.filter((id) => id !== leaving);
      shards = left.shards;
    }
    shards = filled(shards, servers, wanted);
    check(before, shards, servers, gone);
  }
}

const property = (check: Parameters<typeof goThrough>[1], wantedOf?: (wanted: number) => void) =>
  fc.assert(
    fc.property(history, (each) => {
      wantedOf?.(each.wanted);
      goThrough(each, check);
    }),
    { numRuns: 2000, seed: 1 },
  );

test('no server ever holds a shard twice, and only servers that are there hold any', (t) => {
  property((_before, after, servers) => {
    for (const copies of after) {
      const holders = holdersOf(copies);
      if (new Set(holders).size !== holders.length) throw new Error(`twice: ${JSON.stringify(copies)}`);
      if (!holders.every((id) => servers.includes(id))) throw new Error(`gone: ${JSON.stringify(copies)}`);
    }
  });
  t.pass();
});

test('there are as many copies as are wanted wherever servers suffice, and never more', (t) => {
  let wanted = 0;
  property(
    (_before, after, servers) => {
      for (const copies of after)
        if (holdersOf(copies).length !== Math.max(1, Math.min(wanted, servers.length)))
          throw new Error(`${wanted} of ${servers.length}: ${JSON.stringify(copies)}`);
    },
    (now) => {
      wanted = now;
    },
  );
  t.pass();
});

test('a server that leaves moves nothing but what it held: the first backup takes over, nobody else loses a copy', (t) => {
  property((before, after, _servers, gone) => {
    if (gone === undefined) return;
    for (const [index, was] of before.entries()) {
      const is = after[index];
      const others = (ids: readonly number[]) => ids.filter((id) => id !== gone);
      const primary = was.primary === gone ? was.backups[0] : was.primary;
      const backups = others(was.primary === gone ? was.backups.slice(1) : was.backups);
      const kept = others(was.joining).every((id) => is.joining.includes(id));
      if (is.primary !== primary || `${is.backups}` !== `${backups}` || !kept)
        throw new Error(`${gone} left ${JSON.stringify(was)}: ${JSON.stringify(is)}`);
    }
  });
  t.pass();
});

test('copies are spread evenly: within one of each other where all servers are alike', (t) => {
  for (let servers = 1; servers <= 12; servers++)
    for (let wanted = 1; wanted <= Math.min(servers, WANTED_MAX); wanted++) {
      const ids = Array.from({ length: servers }, (_, id) => id);
      const shards = filled(alone(ids.map((id) => ({ id }))), ids, wanted);
      const loads = ids.map((id) => shards.filter((copies) => holdersOf(copies).includes(id)).length);
      t.true(Math.max(...loads) - Math.min(...loads) <= 1, `${wanted} of ${servers}: ${loads}`);
    }
});

test('a server without room, or about to leave, gets no copy, and what it holds counts for none', (t) => {
  const shards = filled(alone([{ id: 0 }, { id: 1 }]), [0, 1, 2, 3], 2, (id) => id !== 2, new Set([1]));
  t.deepEqual(shards[0].joining, [3]);
  // Server 1 goes: its shard needs two others.
  t.deepEqual([...shards[1].joining].sort(), [0, 3]);
});

test('a copy that could not be reached is tried on another server, and there again only where there is no other', (t) => {
  const shards = [{ primary: 0, backups: [], joining: [] }];
  const lost = { shard: 0, server: 1 };
  const joining = (servers: number[]) => filled(shards, servers, 2, undefined, undefined, lost)[0].joining;
  t.deepEqual(filled(shards, [0, 1, 2], 2)[0].joining, [1]);
  t.deepEqual(joining([0, 1, 2]), [2]);
  t.deepEqual(joining([0, 1]), [1]);
  // Of another shard it may hold a copy.
  const [, other] = filled(
    [...shards, { primary: 2, backups: [], joining: [] }],
    [0, 1, 2],
    2,
    undefined,
    undefined,
    lost,
  );
  t.deepEqual(other.joining, [1]);
});
