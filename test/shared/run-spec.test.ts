// A run's spec comes back from its wire form as it was.
import test from 'ava';
import { membershipService } from '../../shared/rpc/proto.js';
import { fromWire, optimizerSpec, specDifference, toWire } from '../../shared/run-spec.js';
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

for (const clocked of [
  { consistency: 'ssp', staleness: 0 },
  { consistency: 'ssp', staleness: 7 },
  { consistency: 'asp' },
] as const)
  test(`a spec with ${JSON.stringify(clocked)} survives the wire`, (t) => {
    const spec = makeSpec(clocked);
    const { requestSerialize, requestDeserialize } = membershipService.Work;
    const report = requestDeserialize(requestSerialize({ hello: { spec: toWire(spec) } } as never));
    const back = fromWire(report.hello?.spec ?? null);
    t.deepEqual(back, spec);
    t.is(specDifference(spec, back), undefined);
    t.regex(specDifference(makeSpec(), back)?.sentence ?? '', /consistency is bsp, got (ssp|asp)/);
  });

test('workers whose bounds differ are told both', (t) => {
  const ours = makeSpec({ consistency: 'ssp', staleness: 2 });
  t.regex(specDifference(ours, { ...ours, staleness: 3 })?.sentence ?? '', /staleness is 2, got 3/);
});
