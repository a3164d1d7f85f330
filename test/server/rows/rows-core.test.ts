// Rows on servers without a network: against a float64 reference, the same bits whatever the number of servers and
// the order of workers, once only, and that what is refused changes nothing.
import test from 'ava';
import fc from 'fast-check';
import { RowSums } from '../../../server/rows/row-sums.js';
import { RowTable, tableBytes } from '../../../server/rows/row-table.js';
import { RowsCore } from '../../../server/rows/rows-core.js';
import { adamScalars } from '../../../shared/kernels/kernels.js';
import * as adaptive from '../../../shared/kernels/plain/adaptive.js';
import * as plain from '../../../shared/kernels/plain/optimize.js';
import { ROW_PARTITIONS, ROWS_STEP_MAX_BYTES } from '../../../shared/limits.js';
import { encodeRows } from '../../../shared/rows/row-codec.js';
import { ROW_OPTIMIZERS } from '../../../shared/rows/tables.js';
import { checksumOf } from '../../../shared/rpc/checksum.js';
import { Refused } from '../../../shared/rpc/refusal.js';
import {
  bytesOf,
  makeTable,
  type RowGradients,
  RowServers,
  rowsHeader,
  rowsMessage,
} from '../../helpers/rows.js';

const all = Array.from({ length: ROW_PARTITIONS }, (_, partition) => partition);
const fround = Math.fround;

/** Rows with gradients, each once and ascending. */
const gradients = (rows: number, width: number): fc.Arbitrary<RowGradients> =>
  fc.uniqueArray(fc.nat(rows - 1), { maxLength: 12 }).chain((ids) =>
    fc
      .array(fc.float({ min: -8, max: 8, noNaN: true }), {
        minLength: ids.length * width,
        maxLength: ids.length * width,
      })
      .map((values) => ({ ids: ids.toSorted((a, b) => a - b), values })),
  );

test('the bits do not depend on the number of servers, the messages, or who comes first', (t) => {
  const tables = [makeTable('adagrad'), makeTable('adam', { name: 'items', rows: 1500, width: 2 })];
  const step = fc.tuple(...[0, 1, 2].map(() => fc.tuple(gradients(5000, 3), gradients(1500, 2))));
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 3 }),
      fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
      (steps, order) => {
        const one = new RowServers(tables, 1, 3);
        const three = new RowServers(tables, 3, 3);
        for (const [index, work] of steps.entries()) {
          one.step(index, [0, 1, 2], (worker, table) => work[worker][table]);
          three.step(index, order, (worker, table) => work[worker][table]);
        }
        const touched = steps.flatMap((work) => work.flatMap((of) => of[0].ids));
        for (const row of [...touched, 0, 4999]) t.deepEqual(three.read(row), one.read(row));
        for (const row of steps.flatMap((work) => work.flatMap((of) => of[1].ids)))
          t.deepEqual(three.read(row, 1), one.read(row, 1));
      },
    ),
    { seed: 5, numRuns: 40 },
  );
});

for (const kind of ROW_OPTIMIZERS)
  test(`${kind}: rows have the bits of the dense optimizer, and rows that nobody touched their initial values`, (t) => {
    const table = makeTable(kind);
    const servers = new RowServers([table], 2, 2);
    const fresh = new RowServers([table], 1, 2);
    const { width } = table;
    const param = new Float32Array(servers.read(17));
    const slots = [1, 2].map(() => new Float32Array(width).fill(kind === 'adagrad' ? 0.1 : 0));
    for (let step = 0; step < 5; step++) {
      // Row 17 is touched at every other step: its t counts those alone.
      const of = (worker: number): RowGradients =>
        step % 2
          ? { ids: [18], values: [1, 2, 3] }
          : { ids: [17], values: [0.1 * (worker + 1), -step, 1e-3] };
      servers.step(step, [1, 0], of);
      if (step % 2) continue;
      const sum = new Float32Array(width);
      for (const worker of [0, 1])
        of(worker).values.forEach((value, k) => {
          sum[k] = fround(sum[k] + fround(fround(value) * (4 + worker)));
        });
      const scalars = { gradientScale: 1 / 9, learningRate: 0.05 };
      const options = { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };
      if (kind === 'sgd') plain.sgd(param, sum, scalars);
      else if (kind === 'adagrad') adaptive.adagrad(param, slots[0], sum, { ...scalars, epsilon: 1e-7 });
      else
        plain.adam(param, slots[0], slots[1], sum, {
          ...options,
          ...scalars,
          ...adamScalars(step / 2 + 1, { ...options, learningRate: 0.05 }),
        });
    }
    t.deepEqual(servers.read(17), param);
    t.deepEqual(servers.read(4321), fresh.read(4321));
    t.notDeepEqual(servers.read(18), fresh.read(18));
    t.is(
      servers.cores.reduce((sum, core) => sum + core.tables[0].updatedRows, 0),
      2,
    );
  });

test('adagrad follows the float64 reference', (t) => {
  const servers = new RowServers([makeTable('adagrad', { initializer: { kind: 'zeros', scale: 0 } })], 1, 1);
  let value = 0;
  let square = 0.1;
  for (let step = 0; step < 50; step++) {
    const gradient = Math.sin(step);
    servers.step(step, [0], () => ({ ids: [3], values: [gradient, 0, 0] }));
    square += gradient ** 2;
    value -= (0.05 * gradient) / Math.sqrt(square + 1e-7);
  }
  t.true(Math.abs(servers.read(3)[0] - value) < 1e-5);
  t.is(servers.read(3)[1], 0);
});

test('initial values fit their distribution', (t) => {
  const values = (kind: 'uniform' | 'normal', scale: number) => {
    const table = makeTable('sgd', { initializer: { kind, scale }, width: 5, rows: 4000 });
    const servers = new RowServers([table], 1, 1);
    return Array.from({ length: 4000 }, (_, row) => [...servers.read(row)]).flat();
  };
  const mean = (numbers: number[]) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
  const uniform = values('uniform', 0.25);
  t.true(uniform.every((x) => x >= -0.25 && x < 0.25));
  t.true(Math.abs(mean(uniform)) < 0.005);
  t.true(Math.abs(mean(uniform.map((x) => x * x)) - 0.25 ** 2 / 3) < 0.001);
  const normal = values('normal', 2);
  t.true(Math.abs(mean(normal)) < 0.05);
  t.true(Math.abs(mean(normal.map((x) => x * x)) - 4) < 0.15);
  t.is(new Set(uniform).size > 19_000, true, 'rows differ');
});

test('memory comes with the rows that are updated, and never beyond what was counted', (t) => {
  const table = makeTable('adam', { rows: 200_000, width: 16 });
  const rows = new RowTable(table, 1, all);
  const out = new Float32Array(16);
  rows.read(5, out, 0);
  t.is(rows.bytes, 0);
  rows.update(5, out, 0, 0, 1);
  t.true(rows.bytes > 0 && rows.bytes < 2 ** 21);
  for (let row = 0; row < table.rows; row++) rows.update(row, out, 0, 1, 1);
  t.true(rows.bytes <= tableBytes(table, 1));
  t.is(rows.updatedRows, table.rows);
});

test('sums by row are those of a map', (t) => {
  // So wide that it grows again and again.
  const width = 512;
  const wide = (value: number) => new Float32Array(width).fill(value);
  const adds = fc.array(fc.tuple(fc.nat(4000), fc.integer({ min: -9, max: 9 })), {
    maxLength: 5000,
    size: 'max',
  });
  fc.assert(
    fc.property(adds, (added) => {
      const sums = new RowSums(width);
      sums.add(7, wide(1), 0, 1);
      sums.clear();
      const expected = new Map<number, number>();
      for (const [row, value] of added) {
        sums.add(row * 1024, wide(value), 0, 2);
        expected.set(row * 1024, (expected.get(row * 1024) ?? 0) + 2 * value);
      }
      const found = new Map(
        Array.from(sums.rows.subarray(0, sums.size), (row, i) => [row, sums.sums[(i + 1) * width - 1] + 0]),
      );
      t.deepEqual(found, expected);
    }),
    { seed: 3, numRuns: 10 },
  );
});

const message = (changes: object = {}) => ({
  ...rowsMessage(0, 1, [9, 2000], [1, 2, 3, 4, 5, 6]),
  ...changes,
});
const refusals: [title: string, label: string, changes: object][] = [
  ['a table that is not there', 'row', { table: 1 }],
  ['a row beyond the table', 'row', rowsMessage(0, 1, [9, 5000], [1, 2, 3, 4, 5, 6])],
  ['rows that do not rise', 'row', rowsMessage(0, 1, [9, 9], [1, 2, 3, 4, 5, 6])],
  ['a row that was in the message before', 'row', rowsMessage(0, 1, [5], [1, 2, 3])],
  ['no rows', 'payload', rowsMessage(0, 1, [], [])],
  ['values that are too few', 'payload', rowsMessage(0, 1, [9], [1, 2])],
  ['ids that are cut', 'payload', { ids: Buffer.alloc(3), payload: Buffer.alloc(9) }],
  ['a wrong checksum', 'checksum', { checksum: 1 }],
  ['a NaN', 'not_finite', rowsMessage(0, 1, [9], [1, Number.NaN, 2])],
  ['a message out of turn', 'step', { number: 2 }],
  ['a step that has not begun', 'step', { step: 1 }],
];

for (const [title, label, changes] of refusals)
  test(`refused without a trace: ${title}`, (t) => {
    const run = (refused: boolean) => {
      const servers = new RowServers([makeTable()], 1, 1);
      const [core] = servers.cores;
      core.header(0, 0, rowsHeader());
      core.contribution(0, rowsMessage(0, 0, [2, 5], [1, 2, 3, 4, 5, 6]));
      if (refused)
        t.is(t.throws(() => core.contribution(0, message(changes)), { instanceOf: Refused })?.label, label);
      core.contribution(0, message());
      core.end(0, 0, 2);
      return servers.bits();
    };
    t.is(run(true), run(false));
  });

test('a row of another server is refused, pushed or asked for', (t) => {
  const [first] = new RowServers([makeTable()], 2, 1).cores;
  const foreign = [0, 1].find((row) => !first.tables[0].holds(row)) as number;
  first.header(0, 0, rowsHeader());
  const label = (act: () => unknown) => t.throws(act, { instanceOf: Refused })?.label;
  t.is(
    label(() => first.contribution(0, rowsMessage(0, 0, [foreign], [1, 2, 3]))),
    'row',
  );
  t.is(
    label(() => first.read(0, bytesOf(Uint32Array.of(foreign)))),
    'row',
  );
  t.is(
    label(() => first.read(3, bytesOf(Uint32Array.of(0)))),
    'row',
  );
});

test('what is repeated counts once', (t) => {
  const run = (again: boolean) => {
    const servers = new RowServers([makeTable()], 1, 2);
    const [core] = servers.cores;
    const twice = (act: () => unknown) => {
      act();
      if (again) act();
    };
    for (const worker of [1, 0]) {
      twice(() => core.header(worker, 0, rowsHeader()));
      twice(() => core.contribution(worker, rowsMessage(0, 0, [1, 5], [1, 2, 3, 4, 5, worker])));
      twice(() => core.end(worker, 0, 1));
    }
    if (again) t.is(core.contribution(0, rowsMessage(0, 0, [1], [1, 2, 3]))[0].kind, 'duplicate');
    t.is(core.step, 1);
    return servers.bits();
  };
  t.is(run(true), run(false));
});

test('a step that some worker skips changes no row, and takes no rows of that worker', (t) => {
  const servers = new RowServers([makeTable()], 1, 2);
  const [core] = servers.cores;
  const before = servers.bits();
  core.header(0, 0, rowsHeader(4, true));
  core.contribution(0, rowsMessage(0, 0, [1], [1, 2, 3]));
  core.end(0, 0, 1);
  core.header(1, 0, rowsHeader(4, false));
  t.throws(() => core.contribution(1, rowsMessage(0, 0, [1], [1, 2, 3])), { instanceOf: Refused });
  t.deepEqual(core.waitingFor(), [1]);
  t.deepEqual(core.end(1, 0, 0), [{ kind: 'closed', step: 0, skipped: true }]);
  t.is(servers.bits(), before);
  servers.step(1, [0, 1], () => ({ ids: [1], values: [1, 0, 0] }));
  t.not(servers.bits(), before);
});

test('a row that was driven to infinity is refused to who reads it', (t) => {
  const servers = new RowServers([makeTable('sgd')], 1, 1);
  for (const step of [0, 1]) servers.step(step, [0], () => ({ ids: [1], values: [3e38, 0, 0] }));
  t.is(t.throws(() => servers.read(1), { instanceOf: Refused })?.label, 'not_finite');
  t.true(Number.isFinite(servers.read(2)[0]));
});

test('what comes before its turn is held, and released when the turn has come', (t) => {
  const [core] = new RowServers([makeTable()], 1, 2).cores;
  for (const worker of [0, 1]) core.header(worker, 0, rowsHeader());
  t.deepEqual(core.contribution(1, rowsMessage(0, 0, [1], [1, 2, 3])), []);
  t.deepEqual(core.contribution(0, rowsMessage(0, 0, [1], [1, 2, 3])), [
    { kind: 'release', worker: 0, bytes: 16 },
  ]);
  t.deepEqual(core.end(0, 0, 1), [{ kind: 'release', worker: 1, bytes: 16 }]);
  t.deepEqual(core.end(1, 0, 1), [{ kind: 'closed', step: 0, skipped: false }]);
});

test('a worker has its share of the sums of a step, and no more', (t) => {
  const [core] = new RowServers([makeTable('sgd', { rows: 2_000_000, width: 1 })], 1, 16).cores;
  core.header(3, 0, rowsHeader());
  const most = Math.floor(ROWS_STEP_MAX_BYTES / 16 / 16);
  const push = (number: number, from: number, count: number) =>
    core.contribution(
      3,
      rowsMessage(
        0,
        number,
        Array.from({ length: count }, (_, i) => from + i),
        new Float32Array(count),
      ),
    );
  let number = 0;
  for (let from = 0; from < most; from += 2 ** 15) push(number++, from, Math.min(2 ** 15, most - from));
  t.is(t.throws(() => push(number, most, 1), { instanceOf: Refused })?.label, 'credit');
  t.deepEqual(core.end(3, 0, number), []);
});

test('a scan tells every row that was updated once, in order, whatever page or server it is on', (t) => {
  const table = makeTable('sgd', { rows: 3_000_000, width: 2 });
  const servers = new RowServers([table], 3, 1);
  const ids = [0, 1, 5, 1024, 1025, 999_999, 1_048_576, 1_048_577, 2_999_999];
  servers.step(0, [0], () => ({ ids, values: ids.flatMap((id) => [id % 7, 1]) }));
  const found = servers.cores.flatMap((core) => {
    const told: number[] = [];
    for (let from = 0; from < table.rows; ) {
      const scanned = core.scan(0, from);
      const some = new Uint32Array(scanned.ids.buffer, scanned.ids.byteOffset, scanned.ids.length / 4);
      t.true(scanned.next > from);
      t.true(some.every((id) => id >= from && id < scanned.next));
      const values = new Float32Array(scanned.payload.buffer, scanned.payload.byteOffset, 2 * some.length);
      for (const [at, id] of some.entries())
        t.deepEqual([...values.subarray(2 * at, 2 * at + 2)], [...servers.read(id)]);
      told.push(...some);
      from = scanned.next;
      t.is(scanned.updated, core.tables[0].updatedRows);
    }
    t.deepEqual(
      told,
      [...told].sort((a, b) => a - b),
    );
    return told;
  });
  t.deepEqual(
    found.sort((a, b) => a - b),
    ids,
  );
});

test('a gradient above the limit is refused, without its loss scale, and changes nothing', (t) => {
  const core = new RowsCore({
    tables: [makeTable()],
    workers: 1,
    seed: 1,
    partitions: all,
    gradientLimit: 2,
  });
  core.header(0, 0, { ...rowsHeader(), lossScale: 8 });
  t.throws(() => core.contribution(0, rowsMessage(0, 0, [3], [1, -17, 1])), {
    instanceOf: Refused,
    message: /row 3: expected magnitudes of at most 2 in the gradient of worker 0 \(step 0\), got 2\.125/,
  });
  core.contribution(0, rowsMessage(0, 0, [3], [1, -16, 1]));
  core.end(0, 0, 1);
  t.is(core.step, 1);
});

for (const codec of ['fp16', 'bf16'] as const)
  test(`${codec}: contributions are decoded when they come and when they were held, and values are encoded`, (t) => {
    const table = makeTable('sgd', { codec, initializer: { kind: 'zeros', scale: 0 } });
    const core = new RowsCore({ tables: [table], workers: 2, seed: 1, partitions: all });
    const encoded = (values: number[]) => {
      const ids = bytesOf(Uint32Array.of(9));
      const payload = encodeRows(codec, Float32Array.from(values), 3);
      return { step: 0, number: 0, table: 0, ids, payload, checksum: checksumOf(ids, payload) };
    };
    for (const worker of [0, 1]) core.header(worker, 0, rowsHeader());
    t.deepEqual(core.contribution(1, encoded([8, 0, 0.5])), []);
    core.contribution(0, encoded([2, -4, 0.25]));
    t.throws(() => core.contribution(0, { ...rowsMessage(0, 1, [10], [1, 1, 1]) }), {
      instanceOf: Refused,
      message: new RegExp(`in ${codec}, got 12`),
    });
    for (const worker of [0, 1]) core.end(worker, 0, 1);
    const expected = [5, -2, 0.375].map((mean) => Math.fround(-Math.fround(mean * Math.fround(0.05))));
    const exact = core.read(0, bytesOf(Uint32Array.of(9)));
    t.deepEqual([...new Float32Array(exact.buffer, exact.byteOffset, 3)], expected);
    t.deepEqual(
      core.read(0, bytesOf(Uint32Array.of(9)), false),
      encodeRows(codec, Float32Array.from(expected), 3),
    );
  });
