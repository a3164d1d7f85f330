// Whatever a peer says, in whatever order, the pure cores take it or refuse it; a refusal changes nothing, and nothing
// else is ever thrown.
import test from 'ava';
import fc from 'fast-check';
import { Coordinator } from '../../server/coordinator.js';
import { codecNames, codecs, lossyCodecNames } from '../../shared/codec/registry.js';
import { optimizerSpec } from '../../shared/optimizer/spec.js';
import { membershipService, PROTOCOL_VERSION } from '../../shared/rpc/proto.js';
import { Refused } from '../../shared/rpc/refusal.js';
import { codecsOf } from '../../shared/run/block-codecs.js';
import { layoutOf } from '../../shared/run/spec.js';
import { fromWire, toWire } from '../../shared/run/wire.js';
import { fuzzed, oddFloat, oddNumber } from '../helpers/fuzz.js';
import { finiteHeader, firstBulkOf, gradientOf, makeShards, makeSpec, stateOf } from '../helpers/shards.js';

const spec = makeSpec();
const { blocks } = layoutOf(spec);
/** Blocks of these are large enough for a lossy codec. */
const lossySpecs = lossyCodecNames.map((codec) =>
  makeSpec({
    codec,
    optimizer: optimizerSpec('momentum', 0.01),
    tensors: [
      { name: 'kernel', shape: [30, 40], kind: 'trainable' },
      { name: 'bias', shape: [30], kind: 'trainable' },
      { name: 'mean', shape: [30], kind: 'state' },
    ],
  }),
);

/** Does it, and says whether it was refused; anything but a refusal is thrown on. */
function refused(act: () => unknown): boolean {
  try {
    act();
    return false;
  } catch (error) {
    if (error instanceof Refused) return true;
    throw error;
  }
}

const header = fc.record(
  { samples: oddNumber, allFinite: fc.boolean(), lossScale: oddFloat, lossSum: oddFloat, correct: oddFloat },
  { noNullPrototype: true },
);
const rank = fc.oneof(fc.nat(1), oddNumber);
const near = fc.nat(2);

/** Something that a worker may say: sensible, or wrong in one or another field. */
const said = fc.oneof(
  fc.record({
    kind: fc.constant('header' as const),
    rank: fc.nat(1),
    ahead: near,
    header: fc.constant(finiteHeader),
  }),
  fc.record({ kind: fc.constant('header' as const), rank, ahead: fc.oneof(near, oddNumber), header }),
  fc.record({
    kind: fc.constantFrom('contribution' as const, 'initial' as const),
    rank,
    ahead: fc.oneof(near, oddNumber),
    block: fc.oneof(fc.nat(blocks.length - 1), oddNumber),
    changes: fc.oneof(
      fc.constant({}),
      fc.record(
        {
          codec: fc.oneof(fc.constantFrom(...codecNames.map((name) => codecs[name].id)), oddNumber),
          scale: oddFloat,
          checksum: oddNumber,
          payload: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
        },
        { requiredKeys: [], noNullPrototype: true },
      ),
    ),
  }),
);

for (const spec of [makeSpec(), ...lossySpecs])
  test(`a shard in ${spec.codec} takes or refuses whatever workers say, and a refusal changes nothing`, (t) => {
    const { blocks } = layoutOf(spec);
    const codecsUp = codecsOf(spec, blocks);
    let taken = 0;
    let refusals = 0;
    fc.assert(
      fc.property(fc.array(said, { minLength: 5, maxLength: 30 }), (everything) => {
        const [shard] = makeShards(spec, 1).shards;
        for (const each of everything) {
          const before = JSON.stringify(stateOf(shard));
          // Steps are told relative to the shard's own, so that some are right; one back is a repetition.
          const step = each.ahead > 2 ? each.ahead : Math.max(0, shard.step + each.ahead - 1);
          const wrong = refused(() => {
            if (each.kind === 'header') return shard.header(each.rank, step, each.header);
            const block = blocks[each.block] ?? blocks[0];
            const codec = each.kind === 'initial' ? codecs.fp32 : codecsUp[block.index];
            const values = gradientOf(spec, 0, 0, block.index);
            const bulk = { ...firstBulkOf(step, each.block, codec, values), ...each.changes };
            return each.kind === 'initial'
              ? shard.initial(each.rank, bulk)
              : shard.contribution(each.rank, bulk);
          });
          if (wrong) refusals++;
          else taken++;
          if (wrong && JSON.stringify(stateOf(shard)) !== before) return false;
        }
        return true;
      }),
      fuzzed(spec.codec === 'fp16' ? 0.05 : 0.02),
    );
    t.true(taken > 300 && refusals > 300, `${taken} taken, ${refusals} refused`);
  });

const definition = (
  membershipService as unknown as Record<string, { requestSerialize: unknown; requestDeserialize: unknown }>
).Work;
const write = definition.requestSerialize as (value: object) => Buffer;
const read = definition.requestDeserialize as (bytes: Buffer) => {
  hello: { spec: Parameters<typeof fromWire>[0] };
};

/** Of a field that is not there the base's stands. */
const ofConsistency = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.record(
      {
        staleness: oddNumber,
        backupWorkers: oddNumber,
        localSteps: oddNumber,
        innerOptimizer: fc.record(
          { kind: fc.nat(12), learningRate: oddFloat, momentum: oddFloat, epsilon: oddFloat },
          { requiredKeys: [], noNullPrototype: true },
        ),
      },
      { requiredKeys: [], noNullPrototype: true },
    ),
  },
);
const base = fc.constantFrom(
  spec,
  makeSpec({ consistency: 'ssp', staleness: 3 }),
  makeSpec({ consistency: 'local', local: { steps: 3, optimizer: spec.optimizer } }),
  makeSpec({ workers: 3, backupWorkers: 1 }),
);

const changes = fc.record(
  {
    job: fc.string({ maxLength: 300 }),
    consistency: fc.nat(9),
    codec: fc.nat(12),
    workers: oddNumber,
    globalBatch: oddNumber,
    epochs: oddNumber,
    stepsPerEpoch: oddNumber,
    seed: fc.maxSafeInteger(),
    dataFingerprint: fc.string({ maxLength: 300 }),
    optimizer: fc.record(
      {
        kind: fc.nat(12),
        learningRate: oddFloat,
        momentum: oddFloat,
        nesterov: fc.boolean(),
        beta1: oddFloat,
        beta2: oddFloat,
        epsilon: oddFloat,
      },
      { requiredKeys: [], noNullPrototype: true },
    ),
    manifest: fc.record(
      {
        tensors: fc.array(
          fc.record(
            {
              name: fc.string({ maxLength: 300 }),
              shape: fc.array(oddNumber, { maxLength: 10 }),
              kind: fc.nat(5),
            },
            { noNullPrototype: true },
          ),
          { maxLength: 4 },
        ),
        schemaHash: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      },
      { noNullPrototype: true },
    ),
  },
  { requiredKeys: [], noNullPrototype: true },
);
/** A spec as it comes off the wire, with some fields changed, each of a type that the wire can carry. */
const wireSpec = fc.tuple(base, changes, ofConsistency).map(([base, changes, more]) => {
  const whole = toWire(base);
  const changed = { ...whole, ...changes, ...more, optimizer: { ...whole.optimizer, ...changes.optimizer } };
  return read(write({ hello: { protocolVersion: PROTOCOL_VERSION, spec: changed } })).hello.spec;
});

test('a spec from the wire is refused, or is one that goes back and forth unchanged', (t) => {
  let taken = 0;
  let takenLocal = 0;
  fc.assert(
    fc.property(wireSpec, (wire) => {
      let found: ReturnType<typeof fromWire> | undefined;
      if (refused(() => (found = fromWire(wire))) || !found) return true;
      taken++;
      if (found.local) takenLocal++;
      const again = read(write({ hello: { spec: toWire(found) } })).hello.spec;
      return JSON.stringify(fromWire(again)) === JSON.stringify(found);
    }),
    fuzzed(2),
  );
  t.true(taken > 10 && takenLocal > 2, `${taken} taken, ${takenLocal} of them local`);
});

const connection = fc.nat(4);
const version = fc.oneof(
  { weight: 8, arbitrary: fc.constant(PROTOCOL_VERSION) },
  { weight: 1, arbitrary: oddNumber },
);
const event = fc.oneof(
  fc.record({
    kind: fc.constant('server' as const),
    connection,
    address: fc.constantFrom('a:1', 'b:1', 'c:1', ''),
    version,
    memoryBytes: fc.oneof(
      { weight: 4, arbitrary: fc.constant(2 ** 30) },
      { weight: 1, arbitrary: oddNumber },
    ),
  }),
  fc.record({
    kind: fc.constant('worker' as const),
    connection,
    run: fc.constantFrom('', 'one', 'two', '\n', 'x'.repeat(300)),
    version,
    workers: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({
    kind: fc.constantFrom('serverLeft' as const, 'workerLeft' as const, 'done' as const),
    connection,
  }),
  fc.record({
    kind: fc.constantFrom('prepared' as const, 'notPrepared' as const),
    connection,
    run: fc.constantFrom('one', 'two', 'test-1', 'test-2'),
  }),
  fc.record({ kind: fc.constant('evaluation' as const), connection, step: fc.nat(2), records: fc.nat(1) }),
);

/** What a keeper knows, for comparison before and after. */
const known = (keeper: Coordinator) =>
  JSON.stringify([
    [...keeper.servers.values()],
    [...keeper.runs.values()].map((run) => ({
      ...run,
      prepared: [...run.prepared],
      evaluation: [...run.evaluation],
    })),
  ]);

test('a keeper takes or refuses whatever its members say, and a refusal changes nothing', (t) => {
  let refusals = 0;
  let started = 0;
  fc.assert(
    fc.property(fc.array(event, { minLength: 5, maxLength: 40 }), (events) => {
      const keeper = new Coordinator();
      const joined = { server: new Set<number>(), worker: new Set<number>() };
      for (const each of events) {
        const before = known(keeper);
        const wrong = refused(() => {
          switch (each.kind) {
            // One connection joins once, as its stream sees to.
            case 'server':
              if (joined.server.has(each.connection)) return;
              keeper.serverJoined(each.connection, {
                protocolVersion: each.version,
                address: each.address,
                memoryBytes: each.memoryBytes,
                label: 's',
              });
              joined.server.add(each.connection);
              return;
            case 'worker':
              if (joined.worker.has(each.connection)) return;
              keeper.workerJoined(
                each.connection,
                { protocolVersion: each.version, run: each.run, label: 'w' },
                makeSpec({ workers: each.workers }),
              );
              joined.worker.add(each.connection);
              return;
            case 'serverLeft':
              joined.server.delete(each.connection);
              return keeper.serverLeft(each.connection, 'it left');
            case 'workerLeft':
              joined.worker.delete(each.connection);
              return keeper.workerLeft(each.connection, 'it left');
            case 'done':
              return keeper.workerDone(each.connection, { bytesPushed: 1, bytesPulled: 1, steps: 1 });
            case 'prepared':
              return keeper.serverPrepared(each.connection, each.run);
            case 'notPrepared':
              return keeper.serverRefused(each.connection, each.run, 'no');
            case 'evaluation':
              return keeper.evaluationPart(each.connection, each.step, {
                records: each.records,
                lossSum: 1,
                correct: 1,
              });
          }
        });
        if (wrong) refusals++;
        if (wrong && known(keeper) !== before) return false;
        for (const run of keeper.runs.values()) {
          if (run.state === 'running') started++;
          if (run.workers.length > run.spec.workers) return false;
          if (run.workers.some(({ rank }, index) => rank !== index)) return false;
          keeper.waiting(run);
        }
      }
      return true;
    }),
    fuzzed(0.5),
  );
  t.true(refusals > 1000 && started > 100, `${refusals} refused, ${started} running`);
});
