// Whatever a worker says of rows, in whatever order: it is taken or refused, a refusal changes nothing, and nothing
// else is ever thrown.
import test from 'ava';
import fc from 'fast-check';
import type { RowsCore } from '../../server/rows/rows-core.js';
import { Refused } from '../../shared/rpc/refusal.js';
import { fuzzed, oddFloat, oddNumber } from '../helpers/fuzz.js';
import { makeTable, RowServers, rowsHeader, rowsMessage } from '../helpers/rows.js';

const step = fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, oddNumber);
const rank = fc.oneof({ weight: 8, arbitrary: fc.nat(1) }, oddNumber);
const few = fc.oneof({ weight: 8, arbitrary: fc.nat(2) }, oddNumber);
const act = fc.oneof(
  fc.record({ kind: fc.constant('header' as const), rank, step, finite: fc.boolean(), samples: few }),
  fc.record({
    kind: fc.constant('rows' as const),
    rank,
    step,
    number: few,
    table: few,
    ids: fc.array(fc.nat(40), { maxLength: 4 }),
    value: fc.oneof({ weight: 8, arbitrary: fc.constant(1) }, oddFloat),
    cut: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.nat(5)),
  }),
  fc.record({ kind: fc.constant('end' as const), rank, step, number: few }),
  fc.record({ kind: fc.constant('scan' as const), table: few, from: oddNumber }),
  fc.record({ kind: fc.constant('read' as const), table: few, bytes: fc.uint8Array({ maxLength: 9 }) }),
);

function carryOut(core: RowsCore, said: typeof act extends fc.Arbitrary<infer Act> ? Act : never): void {
  if (said.kind === 'header') core.header(said.rank, said.step, rowsHeader(said.samples, said.finite));
  else if (said.kind === 'end') core.end(said.rank, said.step, said.number);
  else if (said.kind === 'scan') core.scan(said.table, said.from);
  else if (said.kind === 'read') core.read(said.table, said.bytes);
  else {
    const ids = [...new Set(said.ids)].sort((a, b) => a - b);
    const values = new Float32Array(2 * ids.length).fill(said.value);
    const message = rowsMessage(said.step, said.number, ids, values, said.table);
    core.contribution(said.rank, { ...message, payload: message.payload.subarray(said.cut) });
  }
}

test('the rows of a server take it or refuse it', (t) => {
  const table = makeTable('adagrad', { rows: 30, width: 2 });
  let taken = 0;
  fc.assert(
    fc.property(fc.array(act, { maxLength: 25 }), (acts) => {
      const servers = new RowServers([table, { ...table, name: 'b' }], 1, 2);
      const [core] = servers.cores;
      for (const said of acts) {
        const before = [core.step, core.waitingFor()];
        try {
          carryOut(core, said);
          taken++;
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          t.deepEqual([core.step, core.waitingFor()], before);
        }
      }
    }),
    fuzzed(0.1),
  );
  t.true(taken > 1000);
});
