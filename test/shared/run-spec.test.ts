// A run's spec comes back from its wire form as it was.
import test from 'ava';
import { CONSISTENCIES } from '../../shared/config/options.js';
import { membershipService, packageDefinition } from '../../shared/rpc/proto.js';
import { CONSISTENCY_IDS, fromWire, optimizerSpec, specDifference, toWire } from '../../shared/run-spec.js';
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

test('the consistencies of the options, the spec and the proto are the same', (t) => {
  const { type } = packageDefinition['gradloom.v1.Consistency'] as unknown as {
    type: { value: { name: string; number: number }[] };
  };
  const ids = Object.fromEntries(CONSISTENCIES.map((name) => [name, CONSISTENCY_IDS[name]]));
  t.deepEqual(ids, { ...CONSISTENCY_IDS });
  t.deepEqual(
    Object.fromEntries(type.value.slice(1).map(({ name, number }) => [name, number])),
    Object.fromEntries(Object.entries(ids).map(([name, id]) => [`CONSISTENCY_${name.toUpperCase()}`, id])),
  );
});
