// Whatever comes from the network as an optimizer is refused with a sentence, or is one that goes back as it came.
import test from 'ava';
import fc from 'fast-check';
import { OPTIMIZERS, optimizerFault } from '../../../shared/optimizer/spec.js';
import { optimizerFromWire, optimizerToWire } from '../../../shared/optimizer/wire.js';
import type { Optimizer, Optimizer__Output } from '../../../shared/rpc/generated/gradloom/v1/Optimizer.js';
import { membershipService } from '../../../shared/rpc/proto.js';
import { RefusalCode, Refused } from '../../../shared/rpc/refusal.js';
import { makeSpec } from '../../helpers/shards.js';

const { tensors } = makeSpec();

/** The message as it comes out of the deserializer. */
function sent(optimizer: Optimizer): Optimizer__Output {
  const { requestSerialize, requestDeserialize } = membershipService.Work;
  const report = requestDeserialize(requestSerialize({ hello: { spec: { optimizer } } } as never));
  return report.hello?.spec?.optimizer as Optimizer__Output;
}

const number = fc.oneof(
  fc.constantFrom(0, 1, -1, 0.5, 0.9, 1e-7, 1e-40, 1e300, Number.NaN, Number.POSITIVE_INFINITY),
  fc.double(),
);
const rate = fc.oneof(
  { weight: 4, arbitrary: fc.double({ min: 0.001, max: 0.999, noNaN: true }) },
  { weight: 1, arbitrary: number },
);
const count = fc.nat(5000);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

const anyOptimizer = fc.record({
  kind: fc.nat(9),
  learningRate: rate,
  momentum: rate,
  nesterov: fc.boolean(),
  beta1: rate,
  beta2: rate,
  epsilon: rate,
  initialAccumulator: rate,
  decay: rate,
  centered: fc.boolean(),
  weightDecay: rate,
  l1: rate,
  l2: rate,
  clipValue: rate,
  clipNorm: rate,
  schedule: maybe(
    fc.record({
      kind: fc.nat(5),
      warmupSteps: count,
      decaySteps: count,
      decayRate: rate,
      decayEnd: rate,
      decayPower: rate,
    }),
  ),
  groups: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    {
      weight: 2,
      arbitrary: fc.array(
        fc.record({
          match: fc.constantFrom('*', 'dense/*', '*/bias', 'out/*', 'embedding', 'norm/*', '', 'none'),
          learningRateScale: maybe(rate),
          weightDecay: maybe(rate),
          l1: maybe(rate),
          l2: maybe(rate),
          frozen: fc.boolean(),
        }),
        { maxLength: 3 },
      ),
    },
  ),
});

test('an optimizer from the wire is refused with RUN_SPEC, or goes back as it came', (t) => {
  const taken = new Set<string>();
  let refused = 0;
  fc.assert(
    fc.property(anyOptimizer, (message) => {
      let optimizer: ReturnType<typeof optimizerFromWire>;
      try {
        optimizer = optimizerFromWire(sent(message as Optimizer), tensors);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        t.is(error.code, RefusalCode.REFUSAL_CODE_RUN_SPEC);
        t.regex(error.sentence, /expected .*(got|takes none|trainable|characters)/);
        refused++;
        return;
      }
      taken.add(optimizer.kind);
      if (optimizer.groups) taken.add('groups');
      if (optimizer.schedule) taken.add(optimizer.schedule.kind);
      t.is(optimizerFault(optimizer), undefined);
      t.deepEqual(optimizerFromWire(sent(optimizerToWire(optimizer)), tensors), optimizer);
    }),
    { seed: 20_267, numRuns: 6000 },
  );
  t.true(refused > 100);
  t.deepEqual(
    [...taken].sort(),
    [...OPTIMIZERS, 'constant', 'cosine', 'groups', 'polynomial', 'step'].sort(),
  );
});
