// Placement as a property: pure, balanced, and moving only what must move.
import test from 'ava';
import fc from 'fast-check';
import { type PlacementServer, place } from '../../../shared/blocks/placement.js';

const fixed = { seed: 20_263, numRuns: 300 };

const anySizes = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 60 });

/** Servers with ids of their own and weights within a factor of eight. */
const anyServers = fc
  .uniqueArray(fc.nat(1000), { minLength: 1, maxLength: 7 })
  .chain((ids) =>
    fc.tuple(...ids.map((id) => fc.integer({ min: 1, max: 8 }).map((weight) => ({ id, weight })))),
  ) as fc.Arbitrary<PlacementServer[]>;

const ownersOf = (placement: number[], servers: readonly PlacementServer[]) =>
  placement.map((index) => servers[index].id);

function assertBalanced(sizes: number[], servers: readonly PlacementServer[], placement: number[]): void {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const weights = servers.reduce((sum, { weight }) => sum + weight, 0);
  const largest = Math.max(...sizes);
  for (const [index, { weight }] of servers.entries()) {
    const load = sizes.reduce((sum, size, block) => sum + (placement[block] === index ? size : 0), 0);
    if (load > (total * weight) / weights + largest + 1e-9)
      throw new Error(`server ${index} has ${load} of ${total}, weight ${weight} of ${weights}`);
  }
}

test('the same input gives the same placement, and is not changed', (t) => {
  fc.assert(
    fc.property(anySizes, anyServers, (sizes, servers) => {
      const input = { sizes, servers, previous: ownersOf(place({ sizes, servers }), servers) };
      const before = JSON.stringify(input);
      t.deepEqual(place(input), place(structuredClone(input)));
      t.is(JSON.stringify(input), before);
    }),
    fixed,
  );
});

test('every server has its share by weight and at most one block more, after any change of servers', (t) => {
  fc.assert(
    fc.property(anySizes, anyServers, anyServers, (sizes, before, after) => {
      const first = place({ sizes, servers: before });
      assertBalanced(sizes, before, first);
      const second = place({ sizes, servers: after, previous: ownersOf(first, before) });
      assertBalanced(sizes, after, second);
      t.is(second.length, sizes.length);
    }),
    fixed,
  );
});

test('nothing moves when nothing changes', (t) => {
  fc.assert(
    fc.property(anySizes, anyServers, (sizes, servers) => {
      const placement = place({ sizes, servers });
      t.deepEqual(place({ sizes, servers, previous: ownersOf(placement, servers) }), placement);
    }),
    fixed,
  );
});

test('nothing moves when the servers are only listed in another order', (t) => {
  fc.assert(
    fc.property(anySizes, anyServers, (sizes, servers) => {
      const owners = ownersOf(place({ sizes, servers }), servers);
      const turned = servers.toReversed();
      t.deepEqual(ownersOf(place({ sizes, servers: turned, previous: owners }), turned), owners);
    }),
    fixed,
  );
});

test('when a server leaves, only its blocks move', (t) => {
  fc.assert(
    fc.property(anySizes, anyServers, fc.nat(), (sizes, servers, which) => {
      fc.pre(servers.length > 1);
      const gone = servers[which % servers.length];
      const rest = servers.filter((server) => server !== gone);
      const before = ownersOf(place({ sizes, servers }), servers);
      const after = ownersOf(place({ sizes, servers: rest, previous: before }), rest);
      for (const [block, id] of before.entries()) if (id !== gone.id) t.is(after[block], id);
    }),
    fixed,
  );
});

test('when a server joins, no more than its share and a block of each server moves', (t) => {
  fc.assert(
    fc.property(anySizes, anyServers, fc.integer({ min: 1, max: 8 }), (sizes, servers, weight) => {
      const joined = [...servers, { id: 1001, weight }];
      const before = ownersOf(place({ sizes, servers }), servers);
      const after = ownersOf(place({ sizes, servers: joined, previous: before }), joined);
      const moved = sizes.reduce((sum, size, block) => sum + (after[block] === before[block] ? 0 : size), 0);
      const total = sizes.reduce((sum, size) => sum + size, 0);
      const weights = joined.reduce((sum, server) => sum + server.weight, 0);
      t.true(moved <= (total * weight) / weights + servers.length * Math.max(...sizes) + 1e-9);
    }),
    fixed,
  );
});

test('blocks of one size over servers of one weight are dealt in turn', (t) => {
  const servers = [4, 7, 9].map((id) => ({ id, weight: 1 }));
  t.deepEqual(place({ sizes: [5, 5, 5, 5, 5, 5, 5], servers }), [0, 1, 2, 0, 1, 2, 0]);
});

test('a placement on no server at all is refused', (t) => {
  t.throws(() => place({ sizes: [1], servers: [] }), {
    instanceOf: RangeError,
    message: /at least one server/,
  });
});
