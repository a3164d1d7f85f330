// A run's spec comes back from its wire form as it was.
import test from 'ava';
import { membershipService } from '../../shared/rpc/proto.js';
import { fromWire, optimizerSpec, outerOptimizer, specDifference, toWire } from '../../shared/run-spec.js';
import { makeSpec } from '../helpers/shards.js';

for (const kind of ['sgd', 'momentum', 'adam'] as const)
  for (const codec of ['fp32', 'fp16', 'bf16'] as const)
    test(`a spec with ${kind} over ${codec} survives the wire`, (t) => {
      const spec = makeSpec({ optimizer: optimizerSpec(kind, 0.003), codec, seed: -5 });
      const { requestSerialize, requestDeserialize } = membershipService.Work;
      const report = requestDeserialize(requestSerialize({ hello: { spec: toWire(spec) } } as never));
      t.deepEqual(fromWire(report.hello?.spec ?? null), spec);
      t.is(specDifference(spec, fromWire(report.hello?.spec ?? null)), undefined);
    });

test('a spec of local SGD survives the wire, and another number of steps or inner optimizer is a difference', (t) => {
  const local = { steps: 20, optimizer: optimizerSpec('adam', 0.003) };
  const spec = makeSpec({ consistency: 'local', local, optimizer: outerOptimizer(0.5, 0.8) });
  const { requestSerialize, requestDeserialize } = membershipService.Work;
  const report = requestDeserialize(requestSerialize({ hello: { spec: toWire(spec) } } as never));
  t.deepEqual(fromWire(report.hello?.spec ?? null), spec);
  t.is(specDifference(spec, { ...spec }), undefined);
  const steps = specDifference(spec, { ...spec, local: { ...local, steps: 10 } });
  t.regex(steps?.message ?? '', /local steps is 20, got 10/);
  const inner = specDifference(spec, {
    ...spec,
    local: { ...local, optimizer: optimizerSpec('sgd', 0.003) },
  });
  t.regex(inner?.message ?? '', /inner optimizer is .*adam.*, got .*sgd/);
});
