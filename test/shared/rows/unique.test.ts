// Ids of a batch, each once: against sets and maps.
import test from 'ava';
import fc from 'fast-check';
import { sumByPosition, uniqueIds } from '../../../shared/rows/unique.js';

test('ids rise strictly, positions lead back to the batch, and gradients of an id are added', (t) => {
  const batches = fc.array(fc.oneof(fc.nat(20), fc.integer({ min: 2 ** 32 - 5, max: 2 ** 32 - 1 })));
  fc.assert(
    fc.property(batches, fc.boolean(), (drawn, sort) => {
      const batch = sort ? drawn.toSorted((a, b) => a - b) : drawn;
      const unique = uniqueIds(batch, 2 ** 32, 'table');
      t.deepEqual(
        [...unique.ids],
        [...new Set(batch)].sort((a, b) => a - b),
      );
      t.deepEqual(
        [...unique.positions].map((position) => unique.ids[position]),
        [...batch],
      );
      const gradients = Float32Array.from(batch.flatMap((_, i) => [i, 1]));
      const sums = sumByPosition(unique, gradients, 2);
      const expected = new Map<number, [number, number]>();
      for (const [i, id] of batch.entries()) {
        const [sum, count] = expected.get(id) ?? [0, 0];
        expected.set(id, [sum + i, count + 1]);
      }
      t.deepEqual(
        [...sums],
        [...unique.ids].flatMap((id) => expected.get(id) as [number, number]),
      );
      t.not(sums.buffer, gradients.buffer);
    }),
    { seed: 1, numRuns: 200 },
  );
});

test('an id that is no row is named', (t) => {
  for (const id of [-1, 5, 0.5, Number.NaN])
    t.throws(() => uniqueIds([1, id], 5, 'words'), { message: new RegExp(`'words'.*0 to 4, got ${id}$`) });
});
