// Tables in the spec of a run: there and back over the wire, and refused where they cannot be.
import type { MethodDefinition } from '@grpc/grpc-js';
import test from 'ava';
import { ROW_PARTITIONS } from '../../../shared/limits.js';
import { placeRows, placesPerServerMax, rowPlacementFault } from '../../../shared/rows/partitions.js';
import { membershipService } from '../../../shared/rpc/proto.js';
import { Refused } from '../../../shared/rpc/refusal.js';
import { specDifference } from '../../../shared/run/difference.js';
import type { RunSpec } from '../../../shared/run/spec.js';
import { fromWire, toWire } from '../../../shared/run/wire.js';
import { makeTable } from '../../helpers/rows.js';
import { makeSpec } from '../../helpers/shards.js';

/** As the deserializer gives it: every field is there. */
const sent = (spec: RunSpec, changes: object = {}) =>
  ({ tables: [], localSteps: 0, innerOptimizer: null, staleness: 0, ...toWire(spec), ...changes }) as never;

const schedule = { kind: 'step', warmupSteps: 1, decaySteps: 10, decayRate: 0.5 } as const;
const withTables = makeSpec({
  tables: [
    makeTable('adam', { rows: 2 ** 32, initializer: { kind: 'normal', scale: 0.1 } }),
    makeTable('sgd', { name: 'other', optimizer: { kind: 'sgd', learningRate: 1, schedule } }),
  ],
});

test('tables go over the wire and come back', (t) => {
  const work = membershipService.Work as unknown as MethodDefinition<object, object>;
  const bytes = work.requestSerialize({ hello: { spec: toWire(withTables) } });
  const received = work.requestDeserialize(bytes) as { hello: { spec: never } };
  t.deepEqual(fromWire(received.hello.spec), withTables);
  t.is(specDifference(withTables, withTables), undefined);
  const other = { ...withTables, tables: [makeTable('adam'), makeTable('sgd', { name: 'other' })] };
  t.regex(specDifference(withTables, other)?.sentence ?? '', /the run's table 1 is .*4294967296.*got .*5000/);
  t.regex(specDifference(withTables, makeSpec())?.sentence ?? '', /table 1 is .* got none/);
});

const refusals: [title: string, changes: Partial<RunSpec>, message: RegExp][] = [
  ['no rows', { tables: [makeTable('sgd', { rows: 0 })] }, /rows, got 0/],
  ['too many rows', { tables: [makeTable('sgd', { rows: 2 ** 33 })] }, /rows, got 8589934592/],
  ['no width', { tables: [makeTable('sgd', { width: 0 })] }, /width .* got 0/],
  ['the same name twice', { tables: [makeTable(), makeTable()] }, /twice/],
  ['no name', { tables: [makeTable('sgd', { name: '' })] }, /name/],
  [
    'a scale of nothing',
    { tables: [makeTable('sgd', { initializer: { kind: 'normal', scale: 0 } })] },
    /scale above 0/,
  ],
  [
    'an infinite scale',
    { tables: [makeTable('sgd', { initializer: { kind: 'uniform', scale: Number.POSITIVE_INFINITY } })] },
    /scale above 0/,
  ],
  ['asp', { consistency: 'asp', tables: [makeTable()] }, /bsp with tables, got asp/],
  [
    'an optimizer that rows do not have',
    {
      tables: [
        makeTable('sgd', {
          optimizer: {
            kind: 'rmsprop',
            learningRate: 1,
            decay: 0.9,
            momentum: 0,
            epsilon: 1e-7,
            centered: false,
          } as never,
        }),
      ],
    },
    /sgd, adagrad, adam/,
  ],
  [
    'regularization',
    { tables: [makeTable('sgd', { optimizer: { kind: 'sgd', learningRate: 1, l2: 0.1 } })] },
    /without l1, l2/,
  ],
  [
    'clipping of the rows by their norm',
    { tables: [makeTable('sgd', { optimizer: { kind: 'sgd', learningRate: 1, clipNorm: 1 } })] },
    /clipNorm and groups/,
  ],
  [
    'clipping by a norm that would leave the rows out',
    { tables: [makeTable()], optimizer: { kind: 'sgd', learningRate: 1, clipNorm: 2 } },
    /no clipping by global norm with tables.* got 2/,
  ],
];
for (const [title, changes, message] of refusals)
  test(`refused: ${title}`, (t) => {
    const defaults = { l1: 0, l2: 0, clipValue: 0, schedule: null, groups: [] };
    const wire = toWire(makeSpec(changes));
    const tables = wire.tables?.map((table) => ({
      ...table,
      optimizer: { ...defaults, ...table.optimizer, groups: [] },
    }));
    const optimizer = { ...defaults, ...wire.optimizer, groups: [] };
    const error = t.throws(() => fromWire(sent(makeSpec(changes), { tables, optimizer })), {
      instanceOf: Refused,
    });
    t.is(error?.label, 'run_spec');
    t.regex(error?.message ?? '', message);
  });

test('every server gets its share of the partitions, and a placement that is none is found out', (t) => {
  for (const count of [1, 3, 7]) {
    const placement = placeRows(Array.from({ length: count }, (_, id) => ({ id, weight: 1 })));
    t.is(rowPlacementFault(placement, count), undefined);
    for (let server = 0; server < count; server++) {
      const partitions = placement.filter((owner) => owner === server).length;
      t.true(partitions * Math.ceil(5000 / ROW_PARTITIONS) <= placesPerServerMax(5000, count));
      t.true(partitions >= Math.floor(ROW_PARTITIONS / count));
    }
    t.regex(rowPlacementFault(placement.slice(1), count) ?? '', /1024 partitions/);
    t.regex(rowPlacementFault(placement.with(0, count), count) ?? '', /below/);
  }
});
